"""Lines of a text file that may be anything: gzipped, cut off, not text, one line of a gigabyte."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files.row import RowError

# Bytes that one line or JSON value may take: a schema of 2,000 tables has a few hundred thousand.
LONGEST = 4 * 2**20
HEAD = 4096

BREAKS = (OSError, EOFError, zlib.error)  # what reading may raise; gzip.BadGzipFile is an OSError

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_file(path: Path) -> Iterator[tuple[BinaryIO, bytes]]:
    """The file's bytes, unzipped, and the first few of them, without a byte order mark.

    Raises DatasetError for a file that can't be read or is UTF-16, as some programs write it.
    """
    try:
        raw = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"cannot read {path}: {reason}", "correct path in [[sources]] of sqlora.toml") from error
    with raw:
        stream = raw
        if _peek(stream, path)[:2] == _GZIP:
            stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)))
        head = _peek(stream, path)
        if head.startswith(_UTF_16):
            raise DatasetError(f"{path}:1: is UTF-16, not UTF-8", "save the file as UTF-8")
        if head.startswith(_BOM):
            stream.read(len(_BOM))
            head = head.removeprefix(_BOM)
        yield cast(BinaryIO, stream), head


def _peek(stream: io.BufferedReader, path: Path) -> bytes:
    try:
        return stream.peek(HEAD)[:HEAD]
    except BREAKS as error:
        raise broken_off(path, 1, error) from error


def broken_off(path: Path, line: int, error: Exception) -> DatasetError:
    """What to raise where the compressed data end or make no sense, or the disk fails; one of `BREAKS`."""
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return DatasetError(f"{path}:{line}: cannot be read: {error.strerror or error}", "fetch the file again")
    return DatasetError(f"{path}:{line}: is not a whole gzip file: {error}", "fetch the file again")


class Lines:
    """The lines as text, with their ends. RowError for one that is not UTF-8 or too long: the next one follows.

    ``number`` is the number of the line read last, from 1.
    """

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.number = 0
        self._stream = stream
        self._path = path

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read()
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = self._read()
            raise RowError(f"is longer than {LONGEST:,} bytes")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RowError(f"is not UTF-8 text (byte {error.start})", "save the file as UTF-8") from None

    def _read(self) -> bytes:
        try:
            return self._stream.readline(LONGEST + 1)
        except BREAKS as error:
            raise broken_off(self._path, self.number + 1, error) from error
