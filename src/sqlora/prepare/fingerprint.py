"""What a dataset depends on, hashed without doing the work: settings, files, the database's age, and this code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlora.project import Project


def fingerprint(project: Project) -> str:
    """Equal for two calls when nothing that `prepare` reads has changed between them."""
    digest = hashlib.sha256()
    for part in _parts(project):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def _parts(project: Project) -> Iterator[str]:
    settings = [project.dialect_name, project.database.url, project.prepare.model_dump(mode="json")]
    yield json.dumps(settings, sort_keys=True)
    for source in project.sources:
        yield source.model_dump_json()
        for path in (source.path, source.glossary):
            if path is not None:
                yield _content(path)
    yield _content(project.folder / project.dialect_name) if project.dialect_name.endswith(".toml") else ""
    yield _database(project)
    own = Path(__file__).parent
    for path in sorted([*own.rglob("*.py"), own.parent / "prompting.py", *(own.parent / "sql").glob("*.py")]):
        yield _content(path)


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _database(project: Project) -> str:
    """Size and time of the database's file: reading a warehouse whole would take longer than most of the work.

    A database on a server has no such mark, so it counts as unchanged only within its URL; see `prepare`'s ``again``.
    """
    url = project.database.url or ""
    name = url.split(":///", 1)[-1] if ":///" in url else url
    path = project.folder / name
    if not name or "://" in name or not path.is_file():
        return ""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
