"""What is in each column: its kind, its most frequent values, its range. Read once from the database."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlora.errors import SqloraError
from sqlora.prepare.sources.synthesize.types import Holds, holds
from sqlora.prepare.sources.synthesize.words import readable
from sqlora.sql.execute import Database
from sqlora.sql.schema import Column, Schema, Table

Kind = Literal["key", "name", "category", "number", "date", "text", "flag", "hidden"]

# More distinct values than this are no categories: nobody asks for a breakdown by 500 of them.
CATEGORIES = 60
SAMPLE = 400

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:")
_KEYS = re.compile(r"(^| )id$| (key|sk|pk|fk)$")  # in a name that is made readable
_NAMES = re.compile(r"^(name|title|label|full_?name|.*_name|.*name)$", re.IGNORECASE)


@dataclass(frozen=True)
class Profile:
    """One column. ``values`` are the most frequent first, ``steps`` the 5 % quantiles of numbers and dates."""

    table: str
    name: str
    kind: Kind
    values: tuple[Any, ...] = ()
    steps: tuple[Any, ...] = ()
    distinct: int = 0
    missing: int = 0
    whole: bool = False  # a number without decimals
    timed: bool = False  # a date whose values have a time of day


def profile_tables(schema: Schema, database: Database) -> dict[str, dict[str, Profile]]:
    """Table → column → profile. A table that can't be read has none, a column that can't be is hidden."""
    found: dict[str, dict[str, Profile]] = {}
    for table in schema.tables:
        try:
            rows = database.count(table.qualified_name)
        except SqloraError:
            found[table.name] = {}
            continue
        found[table.name] = {each.name: _read(table, each, schema.dialect, rows, database) for each in table.columns}
    return found


def profile_rows(schema: Schema, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Profile]]:
    """As `profile_tables`, of rows that are at hand, by the tables' qualified names: nothing is asked of a database."""
    return {
        table.name: {
            column.name: _count(table, column, schema.dialect, [row[column.name] for row in rows[table.qualified_name]])
            for column in table.columns
        }
        for table in schema.tables
    }


def _count(table: Table, column: Column, dialect: str, held: Sequence[Any]) -> Profile:
    about = _About(table, column, holds(column.type, dialect))
    if about.unasked:
        return about.hidden
    ordered = sorted(value for value in held if value is not None)
    counted = Counter(ordered)
    values = tuple(sorted(counted, key=lambda value: -counted[value])[:SAMPLE])
    return about.profile(values, len(counted), len(held) - len(ordered), len(held), lambda: ordered)


def _read(table: Table, column: Column, dialect: str, rows: int, database: Database) -> Profile:
    about = _About(table, column, holds(column.type, dialect))
    if about.unasked:
        return about.hidden
    name = database.quote(column.name)
    source = ".".join(database.quote(part) for part in (table.namespace, table.name) if part)
    try:
        counted = database.run(f"SELECT COUNT(DISTINCT {name}), COUNT({name}) FROM {source}").rows[0]
        # As `Database.values`, which would read the schema anew for each column.
        frequent = f"SELECT {name} FROM {source} WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY COUNT(*) DESC, {name}"
        values = tuple(row[0] for row in database.run(f"{frequent} LIMIT {SAMPLE}").rows)
        spread = _SPREAD.format(name=name, source=source)
        return about.profile(
            values, int(counted[0]), rows - int(counted[1]), rows, lambda: [row[0] for row in database.run(spread).rows]
        )
    except SqloraError:
        return about.hidden


# At most about 2,000 values at equal distances, so that a large table is not fetched.
_SPREAD = (
    "SELECT {name} FROM (SELECT {name}, ROW_NUMBER() OVER (ORDER BY {name}) AS place, COUNT(*) OVER () AS size "
    "FROM {source} WHERE {name} IS NOT NULL) AS numbered WHERE (place - 1) % (size / 2000 + 1) < 1 ORDER BY {name}"
)


@dataclass(frozen=True)
class _About:
    """A column whose profile is made; ``held`` is what its type says."""

    table: Table
    column: Column
    held: Holds

    @property
    def is_key(self) -> bool:
        """By the schema, else by its name: `ORDER_ID`, `orderId`."""
        keys = {*self.table.primary_key, *(name for key in self.table.foreign_keys for name in key.columns)}
        return self.column.name in keys or _KEYS.search(readable(self.column.name)) is not None

    @property
    def unasked(self) -> bool:
        """Whether no question is about it, so that it need not be read."""
        return self.held == "other" and not self.is_key

    @property
    def hidden(self) -> Profile:
        """The profile of what is not asked about."""
        return Profile(self.table.name, self.column.name, "hidden")

    def profile(
        self, values: tuple[Any, ...], distinct: int, missing: int, rows: int, ordered: Callable[[], Sequence[Any]]
    ) -> Profile:
        """From the most frequent values and, for numbers and dates, all of them or a spread of them, ``ordered``."""
        kind = self._kind(values, distinct, rows)
        steps: Sequence[Any] = ordered() if kind in ("number", "date") and distinct > 1 else ()
        if kind == "number":
            values, steps = tuple(filter(_is_finite, values)), [value for value in steps if _is_finite(value)]
        if kind == "date" and not all(map(_is_date, steps)):
            return self.hidden
        steps = tuple(steps[round(part * (len(steps) - 1) / 20)] for part in range(21)) if steps else ()
        if kind == "date":
            steps = tuple(map(_as_date, steps))
        timed = kind == "date" and (self.held == "moment" or any(map(_has_time, values)))
        whole = kind == "number" and all(float(value).is_integer() for value in values)
        return Profile(self.table.name, self.column.name, kind, values, steps, distinct, missing, whole, timed)

    def _kind(self, values: tuple[Any, ...], distinct: int, rows: int) -> Kind:
        if distinct == 0:
            return "hidden"
        if all(map(_is_date, values)):
            return "date"
        if self.is_key:
            return "key"
        if self.held == "flag":
            return "flag"
        if all(map(_is_number, values)) and self.held not in ("date", "moment"):  # those are seconds since 1970
            return "number"
        if self.held in ("other", "uuid") or not all(isinstance(value, str) for value in values):
            return "hidden"
        if self.held == "enum":
            return "category"
        if _NAMES.match(self.column.name) and distinct > rows * 0.9:
            return "name"
        if distinct <= CATEGORIES and (distinct < rows * 0.9 or distinct <= 3):
            return "category"
        return "text"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, datetime.date)
    try:
        return _ISO.fullmatch(value[:10]) is not None and _as_date(value) is not None
    except ValueError:  # 2024-02-30
        return False


def _as_date(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value)[:10])


def _has_time(value: Any) -> bool:
    if isinstance(value, datetime.datetime):
        return value.time() != datetime.time()
    return isinstance(value, str) and _TIME.match(value) is not None
