"""An adapter folder from elsewhere becomes a custom model's own, once it was checked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from sqlora.errors import ModelError
from sqlora.models.adapter import CONFIG, MANIFEST, WEIGHTS, check_adapter
from sqlora.models.cache import disk_errors

CheckAdapter = Callable[[Path, str], Mapping[str, Any]]


def check_folder(folder: Path, base_model: str) -> dict[str, Any]:
    """The manifest of an adapter folder that fits a base model, with that model's name, its hash and the weights'.

    Configuration, size, names, number formats and shapes are checked by the headers of the files, and the weights'
    hash if the manifest has one; no tensor is loaded. ModelError otherwise. Only safetensors are looked at.
    """
    from sqlora.models.base import resolve_base_model

    base = resolve_base_model(base_model)
    return {**check_adapter(folder, base), "base_model": base.name, "base_sha256": base.sha256}


def adopt(source: Path, folder: Path, manifest: Mapping[str, Any], own: Path) -> None:
    """Put the adapter of ``source`` into ``folder``, with that manifest; nothing else in ``source`` is taken along.

    It appears whole or not at all. Weights that lie below ``own``, where files are never changed once written, are
    linked; others are copied. ModelError when the disk is full or a file is missing.
    """
    aside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    with disk_errors(folder):
        aside.mkdir(parents=True)
        try:
            _copy(source / CONFIG, aside / CONFIG)
            weights = (source / WEIGHTS).resolve()  # a hub's cache has links in place of files
            if not (weights.is_relative_to(own.resolve()) and _linked(weights, aside / WEIGHTS)):
                _copy(weights, aside / WEIGHTS)
            with (aside / MANIFEST).open("w", encoding="utf-8") as file:
                file.write(json.dumps(dict(manifest), indent=2, ensure_ascii=False) + "\n")
                _sync(file)
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(error, FileNotFoundError):
                raise ModelError(f"{source} has lost {Path(str(error.filename)).name}") from error
            raise


def _copy(file: Path, to: Path) -> None:
    with file.open("rb") as source, to.open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)
        _sync(target)


def _sync(file: IO[Any]) -> None:
    """On the disk itself: the database must not outlive the files it speaks of."""
    file.flush()
    os.fsync(file.fileno())


def _linked(file: Path, to: Path) -> bool:
    try:
        os.link(file, to)
    except OSError:  # another disk, or one that has no links
        return False
    return True
