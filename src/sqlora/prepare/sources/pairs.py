"""Source ``pairs``: questions and SQL in the project's dialect, that somebody wrote, as JSON, CSV or Parquet."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path

from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.files import Row, RowError, read_rows
from sqlora.prepare.sources.files.row import printable

FIELDS = ("question", "sql")
SHAPE = 'give every pair a question and a sql, or say in [[sources]] what they are called: fields = {sql = "query"}'

# What has a meaning of its own in a pair; every other field that is short enough becomes a tag.
KNOWN = (*FIELDS, "tags", "split", "database", "time", "weight", "ddl")
LONGEST_TAG = 100  # characters

SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "val": "validation", "dev": "validation",
                            "test": "test"}  # fmt: skip


def read_pairs(path: Path, name: str, split: Split | None = None, fields: Mapping[str, str] | None = None) -> Found:
    """The pairs of ``path`` (JSON lines, a JSON array, CSV or Parquet), which is called ``name``.

    Beside ``question`` and ``sql`` a pair may have ``tags``, ``split`` (of use where the project splits as given),
    ``database`` (a name), ``time`` (ISO 8601), ``weight`` and ``ddl`` (a schema of its own, which there is no data
    for). ``fields``: see `read_rows`, as for the errors.
    """

    def pair(row: Row) -> Candidate:
        return pair_of(row, name, split)

    return read_candidates(path, name, read_rows(path, FIELDS, fields, KNOWN), pair, SHAPE)


def pair_of(row: Row, name: str, split: Split | None) -> Candidate:
    """The row as a candidate in the project's dialect; RowError where it is none."""
    example = Example(
        question=row.text("question"),
        sql=row.text("sql"),
        source=name,
        split=split or _split(row.optional("split")),
        tags=_tags(row),
        database=row.optional("database"),
        time=_time(row.optional("time")),
        weight=_weight(row.optional("weight")),
    )
    ddl = row.optional("ddl") or None
    return Candidate(example, f"{name} {row.place}", ddl=ddl, run=ddl is None)


def _split(text: str) -> Split | None:
    if not text:
        return None
    # A typing error in "test" would teach what was to be tested.
    if (split := SPLITS.get(text.lower())) is None:
        raise RowError(f"split is {printable(text, 40)!r}", f"a split is one of {', '.join(SPLITS)}, or left out")
    return split


def _tags(row: Row) -> tuple[str, ...]:
    given = row.values.get("tags") or ""
    tags = [str(tag) for tag in given if isinstance(tag, str)] if isinstance(given, list) else str(given).split()
    for key, value in row.values.items():
        if key not in KNOWN and isinstance(value, (str, int, float)) and value != "":
            tags.append(f"{key}={value}")
    return tuple(tag for tag in tags if len(tag) <= LONGEST_TAG)


def _time(text: str) -> str:
    try:
        return datetime.datetime.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise RowError(f"time is {text[:40]!r}", "write times as 2026-01-31 or 2026-01-31T18:00:00+00:00") from None


def _weight(text: str) -> float:
    try:
        weight = float(text) if text else 1.0
    except ValueError:
        weight = math.nan
    if not (0 < weight < math.inf):
        raise RowError(f"weight is {text[:40]!r}", "a weight is a number above 0")
    return weight
