"""Rows of a file, one at a time, in bounded memory: JSON lines, a JSON array, CSV or Parquet, gzipped or not.

Whatever bytes a file has, reading it ends in rows, of which some say why they can't be used (`Row.problem`), or in one
DatasetError that names the file and, where there is one, the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sqlora.prepare.sources.files.csv_file import read_csv
from sqlora.prepare.sources.files.json_file import begins_array, read_json_array, read_json_lines
from sqlora.prepare.sources.files.lines import open_file
from sqlora.prepare.sources.files.row import Row, RowError

__all__ = ["Row", "RowError", "read_rows"]

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_MAGIC = b"PAR1"


def read_rows(path: Path, required: Iterable[str] = (), fields: Mapping[str, str] | None = None) -> Iterator[Row]:
    """The rows of ``path``; what kind of file it is shows in its name (CSV) or in its first bytes.

    ``fields`` says what the file calls a field: ``{"sql": "query"}``. Of ``required``, a CSV or Parquet file must have
    a column each. Raises DatasetError for a file that is not there or not of its kind.
    """
    called = dict(fields or {})
    columns = [called.get(name, name) for name in required]
    rows = _rows(path, columns)
    if not called:
        return rows
    names = {theirs: ours for ours, theirs in called.items()}
    return (replace(row, values={names.get(key, key): value for key, value in row.values.items()}) for row in rows)


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
