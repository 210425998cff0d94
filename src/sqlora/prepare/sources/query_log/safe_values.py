"""Values that may stand in a query that many will see: frequent ones of the database, or made-up ones."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlglot import exp

from sqlora.errors import SqloraError
from sqlora.sql.execute import Database, Limits
from sqlora.sql.personal import is_personal_name
from sqlora.sql.schema import Column, Schema, Table
from sqlora.sql.schema.samples import with_samples

SAMPLES = 8
SECONDS = 3.0  # for one column
DAYS = ("2025-01-01", "2025-02-01")
KEY = 1001  # of a made-up person; others follow

# RFC 2606 keeps example.com, and 555-0100 to 0199 are given to nobody.
_MADE_UP = (
    (r"mail", "someone@example.com"),
    (r"first|given|fore", "Alex"),
    (r"last|sur|family", "Example"),
    (r"phone|mobile|fax|tel\b", "555-0100"),
    (r"name", "Alex Example"),
)
_NUMBERS = re.compile(r"INT|DEC|NUM|REAL|FLOAT|DOUBLE|MONEY|SERIAL", re.IGNORECASE)
_DATES = re.compile(r"DATE|TIME", re.IGNORECASE)
_TEXTS = re.compile(r"TEXT|CHAR|STRING|^$", re.IGNORECASE)


class SafeValues:
    """Values for columns, read from the database once a column; without one there are only numbers and days."""

    def __init__(self, schema: Schema, database: Database | None = None) -> None:
        self._schema, self._database = schema, database
        self._known: dict[tuple[str, str], tuple[exp.Expr, ...]] = {}

    def of(self, table: Table, column: Column) -> tuple[exp.Expr, ...]:
        """Literals of a column, the best first; none where no value of it may be shown or is known."""
        key = table.qualified_name, column.name
        if key not in self._known:
            self._known[key] = tuple(self._find(table, column))
        return self._known[key]

    def _find(self, table: Table, column: Column) -> list[exp.Expr]:
        if column.type.upper().startswith("BOOL"):
            return [exp.true(), exp.false()]
        if is_personal_name(column.name, table.name):
            return []
        if _NUMBERS.search(column.type):
            return _numbers(*(self._range(table, column) or (None, None)))
        if _DATES.match(column.type):
            return _days(*(self._range(table, column) or (None, None)))
        if self._database is None or not _TEXTS.search(column.type):
            return []
        # A table that has this column only, so that nothing else is read.
        alone = replace(self._schema, tables=(replace(table, columns=(column,)),))
        [found] = with_samples(alone, self._database, SAMPLES, SECONDS).tables[0].columns
        return [exp.Literal.string(value) for value in found.samples]

    def _range(self, table: Table, column: Column) -> tuple[Any, Any] | None:
        if self._database is None:
            return None
        name = self._database.quote(column.name)
        source = ".".join(self._database.quote(part) for part in (table.namespace, table.name) if part)
        try:
            rows = self._database.run(f"SELECT MIN({name}), MAX({name}) FROM {source}", Limits(seconds=SECONDS)).rows
        except SqloraError:
            return None
        low, high = rows[0]
        return None if low is None else (low, high)


def made_up(column: str) -> str | None:
    """A value for a column that identifies people: nobody's. None where there is no such value."""
    return next((value for words, value in _MADE_UP if re.search(words, column.lower())), None)


def _numbers(low: Any, high: Any) -> list[exp.Expr]:
    """Two round numbers from the middle of what there is, the smaller first."""
    if not isinstance(low, int | float | Decimal) or not isinstance(high, int | float | Decimal):
        return [exp.Literal.number(10), exp.Literal.number(100)]
    found: list[exp.Expr] = []
    for share in (0.5, 0.75):
        value = float(low) + (float(high) - float(low)) * share
        size = 10 ** max(0, len(str(int(abs(value)))) - 2)
        found.append(exp.Literal.number(int(round(value / size) * size)))
    return found


def _days(low: Any, high: Any) -> list[exp.Expr]:
    """Two first days of months from the middle of what there is, the earlier first."""
    if not isinstance(low, datetime.date) or not isinstance(high, datetime.date):
        return [exp.Literal.string(day) for day in DAYS]
    first, last = (day.date() if isinstance(day, datetime.datetime) else day for day in (low, high))
    days = [(first + (last - first) * share).replace(day=1) for share in (0.5, 0.75)]
    return [exp.Literal.string(day.isoformat()) for day in days]
