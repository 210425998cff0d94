"""Source ``pairs``: questions and SQL that somebody wrote, as JSON lines or CSV.

Each has a ``question`` and a ``sql`` in the project's dialect; anything else is kept as tags (``level=hard``), and
a ``tags`` list as it is.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Example, Split

FIELDS = ("question", "sql")


def read_pairs(path: Path, name: str, split: Split | None = None) -> Iterator[Candidate]:
    """The pairs of ``path`` (.jsonl, .ndjson or .csv), which is called ``name``.

    DatasetError names file and line of a malformed one.
    """
    rows = _read_csv(path) if path.suffix.lower() == ".csv" else _read_json_lines(path)
    for line, row in rows:
        for field in FIELDS:
            if not isinstance(row.get(field), str) or not row[field].strip():
                found = ", ".join(map(str, row)) or "nothing"
                problem = f"needs a text named {field!r}; it has {found}"
                _fail(path, line, problem, f"give every pair a {FIELDS[0]} and a {FIELDS[1]}")
        example = Example(row["question"].strip(), row["sql"].strip(), name, split, tags=_tags(row))
        yield Candidate(example, f"{name} line {line}")


def _tags(row: dict[str, Any]) -> tuple[str, ...]:
    given = row.get("tags") or []
    tags = [str(tag) for tag in given] if isinstance(given, list) else str(given).split()
    others = {key: value for key, value in row.items() if key not in (*FIELDS, "tags") and value not in (None, "")}
    return (*tags, *(f"{key}={value}" for key, value in others.items()))


def _read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        _fail(path, number, f"is not JSON: {error.msg} at column {error.colno}")
    if not isinstance(row, dict):
        _fail(path, number, f"is not a JSON object: {line.strip()[:60]}")
    return row


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            missing = [field for field in FIELDS if field not in (reader.fieldnames or ())]
            if missing:
                _fail(path, 1, f"has no column {' or '.join(map(repr, missing))}", "name the columns question, sql")
            for row in reader:
                if None in row:
                    _fail(path, reader.line_num, "has more values than columns", "quote values that have commas")
                yield reader.line_num, row
    except csv.Error as error:
        _fail(path, reader.line_num, f"is not CSV: {error}")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | UnicodeDecodeError) -> DatasetError:
    """The error for a source's file that is missing or not text."""
    if isinstance(error, UnicodeDecodeError):
        return DatasetError(f"{path} is not UTF-8 text (byte {error.start})", "save the file as UTF-8")
    return DatasetError(f"cannot read {path}: {error.strerror}", "correct path in [[sources]] of sqlora.toml")


def _fail(path: Path, line: int, problem: str, next_step: str = "correct that line") -> NoReturn:
    raise DatasetError(f"{path}:{line}: {problem}", next_step)
