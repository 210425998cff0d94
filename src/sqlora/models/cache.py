"""The cache of converted base models: one folder each, complete or absent.

An entry is written in a folder aside, described by ``manifest.json`` (size and SHA-256 of each file), then renamed.
A file lock makes processes that start together convert once. An entry whose files don't match its manifest is
made anew.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlora.errors import BusyError, ModelError
from sqlora.models.digest import hash_file
from sqlora.project import cache_folder

MANIFEST = "manifest.json"
FORMAT = 1  # raise it when conversion changes, so that older entries are made anew


@dataclass(frozen=True)
class CacheEntry:
    """One model's place in the cache; ``key`` holds the name and the hash of what it was made from."""

    key: str

    @property
    def folder(self) -> Path:
        """Where the model's files are, once made."""
        return cache_folder() / "models" / f"{self.key}-v{FORMAT}"

    def is_ready(self) -> bool:
        """Whether all files are there as written. Contents are read only where a time of change differs."""
        files = _recorded(self.folder)
        return files is not None and all(_unchanged(self.folder / name, facts) for name, facts in files.items())

    def make(self, build: Callable[[Path], None], source: dict[str, Any], wait_seconds: float = 900.0) -> Path:
        """The folder, filled by ``build(empty folder)`` unless it is ready; waits for another process doing it.

        Raises BusyError after ``wait_seconds``, ModelError when the disk is full or the cache can't be written.
        """
        if self.is_ready():
            return self.folder
        from filelock import FileLock, Timeout

        parent = self.folder.parent
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(parent / f"{self.folder.name}.lock", timeout=wait_seconds)
            try:
                with lock:
                    if not self.is_ready():
                        self._fill(build, source)
            except Timeout as error:
                raise BusyError(
                    f"another process has been preparing {self.folder} for {wait_seconds:.0f} s",
                    "wait for it, or stop it, and run the command again",
                ) from error
        return self.folder

    def _fill(self, build: Callable[[Path], None], source: dict[str, Any]) -> None:
        aside = self.folder.with_name(f"{self.folder.name}.partial")  # the lock is held: nobody else writes it
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            build(aside)
            files = {path.name: _facts(path) for path in sorted(aside.iterdir()) if path.is_file()}
            text = json.dumps({"format": FORMAT, "source": source, "files": files}, indent=2) + "\n"
            (aside / MANIFEST).write_text(text, encoding="utf-8")
            shutil.rmtree(self.folder, ignore_errors=True)
            aside.rename(self.folder)
        except BaseException:  # Ctrl-C too: nothing half-written stays
            shutil.rmtree(aside, ignore_errors=True)
            raise


def damaged_files(folder: Path) -> list[str]:
    """Names of an entry's files whose content does not have the recorded hash; reads everything."""
    files = _recorded(folder)
    if files is None:
        return [MANIFEST]
    return [name for name, facts in files.items() if not _same_content(folder / name, facts)]


def _recorded(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = content["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if isinstance(files, dict) and files else None


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Full, read-only and forbidden disks as ModelError with what to do."""
    elsewhere = "free some space, or set SQLORA_CACHE to a folder on another disk"
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"no space left on the disk of {folder}", elsewhere) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise ModelError(
                f"cannot write the model cache {folder}: {error.strerror}",
                "set SQLORA_CACHE to a folder that you may write",
            ) from error
        raise
    except Exception as error:
        # safetensors reports a full disk in words of its own.
        if "os error 28" in str(error) or "No space left" in str(error):
            raise ModelError(f"no space left on the disk of {folder}", elsewhere) from error
        raise


def _facts(path: Path) -> dict[str, Any]:
    state = path.stat()
    return {"size": state.st_size, "modified_ns": state.st_mtime_ns, "sha256": hash_file(path)}


def _unchanged(path: Path, facts: dict[str, Any]) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    if state.st_size != facts.get("size"):
        return False
    return state.st_mtime_ns == facts.get("modified_ns") or _same_content(path, facts)


def _same_content(path: Path, facts: dict[str, Any]) -> bool:
    try:
        return hash_file(path) == facts.get("sha256")
    except OSError:
        return False
