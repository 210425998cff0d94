"""sqlora.toml, the environment and the command line → `Settings`, with every mistake and where it was made."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sqlora.errors import ConfigError
from sqlora.settings import SECTIONS, Settings, TrainSection

FILE_NAME = "sqlora.toml"
ENVIRONMENT_PREFIX = "SQLORA_"


def read_settings(
    file: Path, overrides: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[Settings, dict[str, str]]:
    """The settings, and the origin of each by dotted key; see `sqlora.project.load_project` for the arguments.

    Raises ConfigError, which lists every mistake.
    """
    raw, origins = _parse(_read(file), file)
    problems = _apply_environment(raw, origins, environ)
    for key, value in overrides.items():
        if value is not None:
            problems += _apply(raw, origins, key.split("."), value, "command line")
    problems += _misspelt_train_keys(raw, origins)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(raw, context={"folder": file.parent})
    except ValidationError as error:
        problems += [_describe(item, raw, origins) for item in error.errors()]
    if problems or settings is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError("\n".join([f"{count} in the settings of {file}", *(f"  {p}" for p in problems)]))
    return settings, origins


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error


def _parse(text: str, file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", "correct that line; strings need quotes") from error
    return raw, {key: f"{file.name} line {line}" for key, line in key_lines(text).items()}


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-\" ]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([\w.\-\"]+(?:\s*\.\s*[\w\-\"]+)*)\s*=")


def key_lines(text: str) -> dict[str, int]:
    """Line (from 1) of each section and key of TOML text, by dotted key (``sources.0`` for a list).

    Good enough to point at a mistake (tomllib keeps no positions). Multi-line strings are passed over.
    """
    lines: dict[str, int] = {}
    section, counts, inside = "", dict[str, int](), ""
    for number, line in enumerate(text.splitlines(), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if header := _HEADER.match(line):
            section = _dotted(header[2])
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                lines.setdefault(section, number)
                section = f"{section}.{counts[section]}"
            lines.setdefault(section, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault(".".join(filter(None, (section, _dotted(assignment[1])))), number)
            inside = next((quote for quote in ('"""', "'''") if line.count(quote) == 1), "")
    return lines


def _dotted(key: str) -> str:
    return ".".join(part.strip().strip('"') for part in key.split("."))


def _apply_environment(raw: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for variable in sorted(environ):
        if variable.startswith(ENVIRONMENT_PREFIX) and "__" in variable:
            path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            problems += _apply(raw, origins, path, environ[variable], f"environment variable {variable}")
    return problems


def _apply(raw: dict[str, Any], origins: dict[str, str], path: list[str], value: object, origin: str) -> list[str]:
    """Set ``path`` in ``raw``; a list's item is named by its number. Returns the problem, if there is one."""
    key = ".".join(path)
    target: Any = raw
    for part in path[:-1]:
        if isinstance(target, list):
            if not (part.isdigit() and int(part) < len(target)):
                known = f"there are {len(target)}, numbered from 0"
                return [f"{key} = {_show(value)} ({origin}): no such item; {known}"]
            target = target[int(part)]
        elif isinstance(target, dict):
            target = target.setdefault(part, {})
    if not isinstance(target, dict):
        return [f"{key} = {_show(value)} ({origin}): no such setting; name section and key, as train.recipe"]
    is_recipe_key = path[0] == "train" and path[-1] not in TrainSection.model_fields
    target[path[-1]] = _literal(value) if is_recipe_key and isinstance(value, str) else value
    origins[key] = origin
    return []


def _literal(text: str) -> object:
    """``text`` as a TOML value where it is one (16, true, [1, 2]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean recipe?`` for the known word nearest to ``word``, else the list of what is known."""
    names = sorted(known)
    if near := difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6):
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(names)}"


def _misspelt_train_keys(raw: dict[str, Any], origins: dict[str, str]) -> list[str]:
    """[train] takes the recipe's keys too, unknown here; but ``recpie`` is surely not one of them."""
    train = raw.get("train")
    own = TrainSection.model_fields
    return [
        f"{_key_value(('train', key), value, origins)}: unknown key{suggestion(key, own)}"
        for key, value in (train.items() if isinstance(train, dict) else ())
        if key not in own and difflib.get_close_matches(key.lower(), own, n=1, cutoff=0.8)
    ]


def _describe(item: Any, raw: dict[str, Any], origins: dict[str, str]) -> str:
    """One line for one of pydantic's errors."""
    location: tuple[str | int, ...] = item["loc"]
    if item["type"] == "extra_forbidden":
        return f"{_key_value(location, item['input'], origins)}: {_unknown(location)}"
    if item["type"] == "missing":
        return f"{_key(location)} ({_origin(location, origins)}): is required"
    message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{_key_value(location, item['input'], origins)}: {message}"


def _unknown(location: tuple[str | int, ...]) -> str:
    name = str(location[-1])
    if len(location) == 1:
        return f"unknown section{suggestion(name, SECTIONS)}"
    elsewhere = [section for section, model in SECTIONS.items() if name in model.model_fields]
    known = _section_at(location[:-1]).model_fields
    if elsewhere and not difflib.get_close_matches(name, known, n=1, cutoff=0.8):
        return f"unknown key; it belongs in [{elsewhere[0]}]"
    return f"unknown key{suggestion(name, known)}"


def _section_at(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The section at a place, one within another too: ``prepare.writer``."""
    section: type[BaseModel] = SECTIONS[str(location[0])]
    for part in location[1:]:
        field = section.model_fields.get(str(part))
        inner = [kind for kind in get_args(field.annotation) if isinstance(kind, type)] if field else []
        section = next((kind for kind in inner if issubclass(kind, BaseModel)), section)
    return section


def _key(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location)


def _origin(location: tuple[str | int, ...], origins: dict[str, str]) -> str:
    for length in range(len(location), 0, -1):
        if origin := origins.get(_key(location[:length])):
            return origin
    # A section that only the environment or the command line names has no line of its own.
    inside = (origin for key, origin in origins.items() if key.startswith(f"{_key(location)}."))
    return next(inside, FILE_NAME)


def _key_value(location: tuple[str | int, ...], value: object, origins: dict[str, str]) -> str:
    shown = "" if isinstance(value, (dict, BaseModel)) else f" = {_show(value)}"
    return f"{_key(location)}{shown} ({_origin(location, origins)})"


def _show(value: object) -> str:
    """The value on one short line, without the password of a URL."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"(://[^:/@\s]+:)[^@\s]+@", r"\1***@", text)
    return text if len(text) <= 80 else f"{text[:77]}…"
