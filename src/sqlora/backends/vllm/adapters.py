"""Adapters where a vLLM server finds them: the project's own folder, or a copy on a volume that both see."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from sqlora.backends.adopt import adopt
from sqlora.errors import ConflictError, ModelError
from sqlora.models.adapter import CONFIG, MANIFEST, WEIGHTS
from sqlora.models.cache import disk_errors


def whole(folder: Path, name: str) -> Path:
    """``folder``, if it has an adapter's files; ModelError otherwise."""
    if missing := [file for file in (CONFIG, WEIGHTS) if not (folder / file).is_file()]:
        raise ModelError(f"custom model {name!r} has lost {missing[0]} from {folder}", "sqlora train")
    return folder


def publish(source: Path, folder: Path, base_model: str, owner: str) -> None:
    """Copy the adapter in ``source`` to ``folder``, over ``base_model`` by the server's name; ``owner`` is its row.

    It appears whole or not at all, so that a server that looks by itself never reads half of it. What is there
    already for this owner stays. ConflictError when the folder is somebody else's, ModelError when the disk is full.
    """
    if folder.exists():
        if owner_of(folder) == owner:
            return
        raise ConflictError(f"{folder} exists already and is not this deployment's", "another --name")
    manifest = {**_read(source / MANIFEST), "deployment_id": owner}
    aside = folder.with_name(f".{folder.name}.{owner}")
    adopt(source, aside, manifest, own=aside)
    # vLLM's filesystem resolver takes an adapter only if it names the server's own base model.
    config = {**_read(aside / CONFIG), "base_model_name_or_path": base_model}
    with disk_errors(folder):
        (aside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        aside.rename(folder)


def withdraw(folder: Path, owner: str) -> None:
    """Remove what `publish` put there for this owner, whole or half, and nothing else."""
    shutil.rmtree(folder.with_name(f".{folder.name}.{owner}"), ignore_errors=True)
    if owner_of(folder) == owner:
        shutil.rmtree(folder)


def owner_of(folder: Path) -> str | None:
    """Whose copy it is; None for a folder that is not there or was not published."""
    owner = _read(folder / MANIFEST).get("deployment_id")
    return owner if isinstance(owner, str) else None


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
