"""What a dataset depends on, hashed without doing the work: settings, files, the database's age, and this code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlora.prepare.limits import longest_record
from sqlora.prepare.sources import inputs

if TYPE_CHECKING:
    from sqlora.project import Project

LONG = 2**30  # bytes, some seconds of reading: a query log counts as unchanged while its size and time are


def fingerprint(project: Project) -> str:
    """Equal for two calls when nothing that `prepare` reads has changed between them."""
    digest = hashlib.sha256()
    for part in _parts(project):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def _parts(project: Project) -> Iterator[str]:
    # How many processes do the work changes nothing that comes out.
    prepare = project.prepare.model_dump(mode="json", exclude={"processes"})
    yield json.dumps([project.dialect_name, project.database.url, prepare], sort_keys=True)
    yield json.dumps([longest_record(project)])
    for source in project.sources:
        yield source.model_dump_json()
        for path in inputs(source):
            yield _content(path)
    yield _content(project.folder / project.dialect_name) if project.dialect_name.endswith(".toml") else ""
    yield _database(project)
    own = Path(__file__).parent
    code = [path for name in ("prepare", "sql", "dialects") for path in (own.parent / name).rglob("*.*")]
    for path in sorted(path for path in [*code, own.parent / "prompting.py"] if path.suffix in (".py", ".toml")):
        yield _content(path)


def _content(path: Path) -> str:
    """A file's hash, read in blocks; of a folder, and of a file that takes long to read, what its folder says."""
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        return ", ".join(f"{each.relative_to(path)} {_stamp(each)}" for each in inside)
    if not path.is_file():
        return "missing"
    if path.stat().st_size > LONG:
        return _stamp(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _database(project: Project) -> str:
    """Size and time of the database's file: reading a warehouse whole would take longer than most of the work.

    A database on a server has no such mark, so it counts as unchanged only within its URL; see `prepare`'s ``again``.
    """
    url = project.database.url or ""
    name = url.split(":///", 1)[-1] if ":///" in url else url
    path = project.folder / name
    if not name or "://" in name or not path.is_file():
        return ""
    return _stamp(path)
