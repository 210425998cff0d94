"""SHA-256 of files, computed once for large ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from sqlora.project import cache_folder

_REMEMBER_FROM = 64 * 2**20  # bytes; smaller files are hashed in less time than a memo is looked up


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content; of a large file remembered until its size or time of change differs."""
    state = path.stat()
    if state.st_size < _REMEMBER_FROM:
        return hash_file(path)
    key = hashlib.sha256(f"{path.absolute()}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:32]
    memo = cache_folder() / "digests" / key
    try:
        known = memo.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        known = ""
    if len(known) == 64:
        return known
    digest = hash_file(path)
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        aside = memo.with_name(f"{key}.{os.getpid()}")
        aside.write_text(digest, encoding="ascii")
        aside.replace(memo)
    except OSError:
        pass  # only a memo: a cache folder that can't be written costs time, not correctness
    return digest


def hash_file(path: Path) -> str:
    """Hex digest of a file's content, read now."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
