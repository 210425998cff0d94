"""Where a training job's recipe comes from: YAML in the ``recipe`` channel, hyperparameters, or both.

SageMaker's SDK resolves a recipe, puts it into S3 and sends the hyperparameters ``base_model`` (or
``base_model_location`` for an earlier checkpoint) and ``sagemaker_recipe_local_path``. Whoever calls the API by hand
may instead name a recipe's keys as hyperparameters: by their whole path (``training_config.trainer.max_epochs``) or,
where it is the only one of that name, by the last part (``max_epochs``). They replace the file's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from sqlora.errors import ConfigError
from sqlora.platform.objects import Objects
from sqlora.train.nova import leaves

MOST_BYTES = 64 * 1024  # Nova's recipes have 1 KB
SDK_PREFIX = "sagemaker_"  # what the SDK adds for its own container: log level, region, program …

_PATHS = leaves()
_BY_NAME = {path[-1]: path for path in _PATHS if [other[-1] for other in _PATHS].count(path[-1]) == 1}
_KNOWN = (
    {".".join(path): path for path in _PATHS}
    | _BY_NAME
    | {
        "base_model": ("run", "model_name_or_path"),
        "base_model_location": ("run", "model_name_or_path"),
    }
)


def from_hyperparameters(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """The recipe's values that hyperparameters give, nested as in the file; ConfigError names the unknown ones."""
    values: dict[str, Any] = {}
    unknown = []
    for name, text in hyperparameters.items():
        if name.startswith(SDK_PREFIX):
            continue
        if name not in _KNOWN:
            unknown.append(name)
            continue
        *levels, last = _KNOWN[name]
        place = values
        for level in levels:
            place = place.setdefault(level, {})
        place[last] = _plain(text)
    if unknown:
        raise ConfigError(f"HyperParameters has what is no key of this recipe: {', '.join(sorted(unknown))}")
    return values


def _plain(text: str) -> Any:
    """What a hyperparameter says: version 2 of the SDK sends JSON, so that text comes in quotes of its own."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        return text
    return text if isinstance(value, dict) else value


def read_recipe(objects: Objects, uri: str, local_path: str = "") -> tuple[dict[str, Any], str]:
    """The values in the recipe channel's YAML, and the URI of that file.

    ``uri`` is the file or what its name begins with; ``local_path`` (the hyperparameter) tells which of several.
    ConfigError for what is no recipe, and what `Objects` raises.
    """
    file = uri if uri.endswith((".yaml", ".yml")) else _only_file(objects.list(uri), uri, local_path)
    try:
        values = yaml.safe_load(_text(objects, file))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{file}{_where(error)} is not YAML: {_what(error)}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{file} is not a recipe: it has no run and no training_config")
    return values, file


def _text(objects: Objects, uri: str) -> str:
    lines, size = [], 0
    for line in objects.open(uri):
        lines.append(line)
        size += len(line) + 1
        if size > MOST_BYTES:
            raise ConfigError(f"{uri} is not a recipe: it has more than {MOST_BYTES // 1024} KB")
    return b"\n".join(lines).decode("utf-8")


def _only_file(uris: list[str], prefix: str, local_path: str) -> str:
    files = [uri for uri in uris if uri.endswith((".yaml", ".yml"))]
    named = [uri for uri in files if local_path and uri.rsplit("/", 1)[-1] == local_path.rsplit("/", 1)[-1]]
    chosen = named or files
    if len(chosen) != 1:
        raise ConfigError(f"{prefix} has {len(chosen) or 'no'} YAML files, and the recipe is to be one")
    return chosen[0]


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def _what(error: Exception) -> str:
    return str(getattr(error, "problem", None) or type(error).__name__)
