"""PostgreSQL's own logs: ``csvlog`` and ``jsonlog``, with ``log_statement`` or ``log_min_duration_statement`` on.

Columns of csvlog: https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sqlora.prepare.sources.files import RowError
from sqlora.prepare.sources.files.lines import Lines
from sqlora.prepare.sources.query_log.seen import Seen, Unusable

LOG_TIME, DATABASE, SEVERITY, MESSAGE, DETAIL = 0, 2, 11, 13, 14
FEWEST, MOST = 22, 30  # columns: 23 in PostgreSQL 12, 26 since 14

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_STATEMENT = re.compile(
    r"(?:duration: [\d.]+ ms +)?(?:statement|execute [^:\n]*|query text): ?(.*)", re.IGNORECASE | re.DOTALL
)
_PARAMETERS = re.compile(r"parameters: (.*)", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


def read_csvlog(stream: BinaryIO, path: Path) -> Iterator[Seen | Unusable]:
    """The statements of a csvlog; its other messages are passed over."""
    lines = Lines(stream, path)
    reader = csv.reader(lines, strict=True)
    while True:
        place = f"line {lines.number + 1}"
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, RowError) as error:
            yield Unusable("malformed", f"is not CSV: {error}", place)
            continue
        if not FEWEST <= len(row) <= MOST:
            yield Unusable("malformed", f"has {len(row)} columns; a line of csvlog has {FEWEST} to {MOST}", place)
        elif row[SEVERITY] == "LOG" and (
            seen := statement(row[MESSAGE], row[DETAIL], place, row[LOG_TIME], row[DATABASE])
        ):
            yield seen


def statement(message: str, detail: str, place: str, time: str, database: str) -> Seen | None:
    """The statement of a log message; None for a message of another kind.

    ``parse`` and ``bind`` of the extended protocol are passed over: the same statement comes again as ``execute``.
    """
    found = _STATEMENT.match(message)
    if found is None or not found[1].strip():
        return None
    return Seen(found[1], place, 1, time, database, _values(detail))


def _values(detail: str) -> tuple[str, ...]:
    """The parameters' values as SQL texts, by number; a missing one is ''."""
    found = _PARAMETERS.match(detail or "")
    if found is None:
        return ()
    values = {int(number): value for number, value in _PARAMETER.findall(found[1]) if int(number) <= 1_000}
    return tuple(values.get(number, "") for number in range(1, max(values, default=0) + 1))
