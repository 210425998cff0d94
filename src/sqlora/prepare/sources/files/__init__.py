"""Rows of a file, one at a time, in bounded memory: JSON lines, a JSON array, CSV or Parquet, gzipped or not.

Whatever bytes a file has, reading it ends in rows, of which some say why they can't be used (`Row.problem`), or in one
DatasetError that names the file and, where there is one, the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from sqlora.errors import ConfigError, DatasetError
from sqlora.prepare.sources.files.csv_file import read_csv
from sqlora.prepare.sources.files.json_file import begins_array, read_json_array, read_json_lines
from sqlora.prepare.sources.files.lines import open_file
from sqlora.prepare.sources.files.row import Row, RowError

__all__ = ["Row", "RowError", "read_rows"]

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_MAGIC = b"PAR1"
KEPT = 50  # names of a file's fields that are remembered to suggest one of


def read_rows(
    path: Path, required: Iterable[str] = (), fields: Mapping[str, str] | None = None, known: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of ``path``; what kind of file it is shows in its name (CSV) or in its first bytes.

    ``fields`` says what the file calls a field: ``{"sql": "query"}``; of those it may name, ``known`` are all. Of
    ``required``, a CSV or Parquet file must have a column each. Raises DatasetError for a file that is not there or not
    of its kind, or that has none of the names in ``fields``; ConfigError where ``fields`` is about no known field.
    """
    called = dict(fields or {})
    if unknown := [name for name in called if name not in known]:
        raise ConfigError(
            f"fields in [[sources]] has {unknown[0]!r}, which is no field of a row{_near(unknown[0], known)}",
            f"fields = {{sql = \"what the file calls it\"}}, of {', '.join(known)}",
        )
    rows = _rows(path, list(dict.fromkeys([*(called.get(name, name) for name in required), *called.values()])))
    return _renamed(rows, path, called) if called else rows


def _renamed(rows: Iterator[Row], path: Path, called: Mapping[str, str]) -> Iterator[Row]:
    """The rows with our names for the file's; DatasetError at the end of a file in which a name never was."""
    names = {theirs: ours for ours, theirs in called.items()}
    missing, others = set(names), set[str]()
    for row in rows:
        if missing and row.values:
            missing -= row.values.keys()
            others.update(list(row.values)[:KEPT] if len(others) < KEPT else ())
        values = {names.get(key, key): value for key, value in row.values.items()}
        yield replace(row, values=values, names=called)
    if others and missing:
        name = min(missing)
        raise DatasetError(
            f"{path}: no row has {name!r}, which fields in [[sources]] calls {names[name]}{_near(name, others)}",
            "correct fields in [[sources]] of sqlora.toml",
        )


def _near(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, list(names), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _rows(path: Path, columns: list[str]) -> Iterator[Row]:
    with open_file(path) as (stream, head):
        if head.startswith(PARQUET_MAGIC):
            from sqlora.prepare.sources.files.parquet_file import read_parquet

            rows = read_parquet(path, columns)
        elif any(suffix.lower() in CSV_SUFFIXES for suffix in path.suffixes[-2:]):
            rows = read_csv(stream, path, columns)
        elif begins_array(head):
            rows = read_json_array(stream, path)
        else:
            rows = read_json_lines(stream, path)
        yield from rows
