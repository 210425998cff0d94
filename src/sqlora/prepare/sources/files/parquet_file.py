"""Parquet, read by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files.row import Row, printable

FETCH = 500  # rows at a time
CONFIG: dict[str, Any] = {
    "memory_limit": "256MiB",
    "threads": 1,
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}


def read_parquet(path: Path, required: Sequence[str]) -> Iterator[Row]:
    """A row for each of the table's; DatasetError when it lacks a column of ``required`` or breaks off.

    Numbers, dates and the like come as DuckDB's Python values, times as texts in ISO 8601.
    """
    number = 0
    # A name with * or ? would be a pattern to DuckDB; in brackets a character stands for itself.
    name = re.sub(r"[*?\[]", r"[\g<0>]", str(path.absolute()))
    with duckdb.connect(":memory:", config=CONFIG) as connection:
        try:
            source = connection.read_parquet(name)
            columns = list(source.columns)
            _require(path, columns, required)
            connection.execute("SELECT * FROM read_parquet(?)", [name])
            while batch := connection.fetchmany(FETCH):
                for values in batch:
                    number += 1
                    yield Row(number, dict(zip(columns, map(_plain, values), strict=True)), unit="row")
        # RuntimeError: the names of the columns are not UTF-8
        except (duckdb.Error, UnicodeDecodeError, RuntimeError) as error:
            where = f"{path} row {number + 1}" if number else f"{path}:1"
            reason = printable(str(error).strip().split("\n")[0], 200)
            raise DatasetError(f"{where}: can't be read as Parquet: {reason}", "write the file again") from error


def _require(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    if missing := [name for name in required if name not in columns]:
        found = printable(", ".join(columns), 200)
        raise DatasetError(
            f"{path}:1: has no column {' or '.join(map(repr, missing))}; it has {found}",
            f"name the columns {', '.join(required)}",
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
