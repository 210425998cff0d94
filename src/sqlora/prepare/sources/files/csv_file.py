"""CSV with a header, separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files.lines import Lines
from sqlora.prepare.sources.files.row import Row, RowError, printable

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_csv(stream: BinaryIO, path: Path, required: Sequence[str]) -> Iterator[Row]:
    """A row for each record; DatasetError when the header lacks a column of ``required``.

    A value may not be longer than the csv module's limit, 131,072 characters: a quote that is never closed would
    take the rest of the file for one.
    """
    lines = Lines(stream, path)
    header, separator = _header(lines, path, required)
    reader = csv.reader(lines, strict=True, delimiter=separator)
    while True:
        number = lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, RowError) as error:
            yield Row(number, problem=error.problem if isinstance(error, RowError) else f"is not CSV: {error}")
            continue
        if len(values) > len(header):
            yield Row(number, problem=f"has more values than columns; quote values that have {SEPARATORS[separator]}")
        elif values:
            yield Row(number, dict(zip(header, values, strict=False)))


def _header(lines: Lines, path: Path, required: Sequence[str]) -> tuple[list[str], str]:
    """The names of the columns, and what separates them: that which gives most of them."""
    try:
        first = next(lines, "")
        found = {separator: next(csv.reader([first], delimiter=separator), []) for separator in SEPARATORS}
    except (RowError, csv.Error) as error:
        raise DatasetError(f"{path}:1: {error}", "is it a CSV file?") from error
    separator = max(SEPARATORS, key=lambda each: len(found[each]))
    header = [name.strip() for name in found[separator]]
    missing = [name for name in required if name not in header]
    if missing:
        found_names = printable(", ".join(header), 200)
        raise DatasetError(
            f"{path}:1: has no column {' or '.join(map(repr, missing))}; it has {found_names or 'nothing'}",
            f"name the columns {', '.join(required)}",
        )
    return header, separator
