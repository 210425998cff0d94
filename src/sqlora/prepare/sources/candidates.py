"""Rows → candidates: what every source that reads a file has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.files import Row, RowError

Found = Iterator[Candidate | Rejection]

# Rows at a file's beginning of which one must be usable: else it is another kind of file, and is not read to its end.
PATIENCE = 100


def read_candidates(path: Path, name: str, rows: Iterable[Row], make: Callable[[Row], Candidate], shape: str) -> Found:
    """What ``make`` makes of each row; where it raises RowError, a Rejection whose reason is "malformed".

    ``name`` is the source's, ``shape`` says in words what a row should look like. DatasetError with file and line when
    none of the first rows is usable.
    """
    first: DatasetError | None = None
    used = False
    for count, row in enumerate(rows, start=1):
        try:
            if row.problem:
                raise RowError(row.problem)
            candidate = make(row)
            _require_writable(candidate)
        except RowError as error:
            suggestion = error.suggestion or shape
            first = first or DatasetError(f"{row.at(path)}: {error.problem}", suggestion)
            if not used and count >= PATIENCE:
                break
            yield Rejection("malformed", Example("", "", name), error.problem, f"{name} {row.place}", suggestion)
        else:
            used = True
            yield candidate
    if first and not used:
        raise first


def sample(read: Callable[[], Found], count: int, seed: int) -> Found:
    """``count`` of what ``read`` gives, drawn by ``seed``, in their order. It is read twice, so that none is held."""
    total = sum(1 for _ in read())
    chosen = set(Random(seed).sample(range(total), min(count, total)))
    for place, found in enumerate(read()):
        if place in chosen:
            yield found


def _require_writable(candidate: Candidate) -> None:
    """RowError for what JSON can spell and UTF-8 can't, and for NUL, at which databases cut a text off."""
    example = candidate.example
    for text in (example.question, example.sql, example.database, example.time, *example.tags, candidate.ddl or ""):
        if "\0" in text:
            raise RowError("has a NUL character")
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise RowError(f"has half of a surrogate pair, \\u{ord(text[error.start]):04x}") from None
