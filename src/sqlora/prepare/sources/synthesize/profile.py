"""What is in each column: its kind, its most frequent values, its range. Read once from the database."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlora.errors import SqloraError
from sqlora.sql.execute import Database
from sqlora.sql.schema import Column, Schema, Table

Kind = Literal["key", "name", "category", "number", "date", "text", "flag", "hidden"]

# More distinct values than this are no categories: nobody asks for a breakdown by 500 of them.
CATEGORIES = 60
SAMPLE = 400

_NUMBERS = re.compile(r"INT|DEC|NUM|REAL|FLOAT|DOUBLE|MONEY", re.IGNORECASE)
_DATES = re.compile(r"^(DATE|TIMESTAMP|DATETIME)", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
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


def profile_tables(schema: Schema, database: Database) -> dict[str, dict[str, Profile]]:
    """Table → column → profile. A table that can't be read has none."""
    found: dict[str, dict[str, Profile]] = {}
    for table in schema.tables:
        try:
            rows = database.count(table.qualified_name)
            found[table.name] = {column.name: _profile(table, column, rows, database) for column in table.columns}
        except SqloraError:
            found[table.name] = {}
    return found


def profile_rows(schema: Schema, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Profile]]:
    """As `profile_tables`, of rows that are at hand, by the tables' qualified names: nothing is asked of a database."""
    return {
        table.name: {
            column.name: _profile_values(table, column, [row[column.name] for row in rows[table.qualified_name]])
            for column in table.columns
        }
        for table in schema.tables
    }


def _profile_values(table: Table, column: Column, held: Sequence[Any]) -> Profile:
    counted = Counter(value for value in held if value is not None)
    ordered = sorted(value for value in held if value is not None)
    frequent = sorted(sorted(counted), key=lambda value: -counted[value])
    values = tuple(frequent[:SAMPLE])
    kind = _kind(table, column, values, len(counted), len(held))
    steps: tuple[Any, ...] = ()
    if kind in ("number", "date") and len(counted) > 1:
        steps = tuple(ordered[round(part * (len(ordered) - 1) / 20)] for part in range(21))
        steps = tuple(map(_as_date, steps)) if kind == "date" else steps
    whole = kind == "number" and all(float(value).is_integer() for value in values)
    return Profile(table.name, column.name, kind, values, steps, len(counted), len(held) - len(ordered), whole)


def _profile(table: Table, column: Column, rows: int, database: Database) -> Profile:
    name = database.quote(column.name)
    source = ".".join(database.quote(part) for part in (table.namespace, table.name) if part)
    counted = database.run(f"SELECT COUNT(DISTINCT {name}), COUNT({name}) FROM {source}").rows[0]
    distinct, missing = int(counted[0]), rows - int(counted[1])
    # As `Database.values`, which would read the schema anew for each column.
    frequent = f"SELECT {name} FROM {source} WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY COUNT(*) DESC, {name}"
    values = tuple(row[0] for row in database.run(f"{frequent} LIMIT {SAMPLE}").rows)
    kind = _kind(table, column, values, distinct, rows)
    steps: tuple[Any, ...] = ()
    if kind in ("number", "date") and distinct > 1:
        ordered = [row[0] for row in database.run(_SPREAD.format(name=name, source=source)).rows]
        steps = tuple(ordered[round(part * (len(ordered) - 1) / 20)] for part in range(21))
    if kind == "date":
        steps = tuple(_as_date(step) for step in steps)
    whole = kind == "number" and all(float(value).is_integer() for value in values)
    return Profile(table.name, column.name, kind, values, steps, distinct, missing, whole)


# At most about 2,000 values at equal distances, so that a large table is not fetched.
_SPREAD = (
    "SELECT {name} FROM (SELECT {name}, ROW_NUMBER() OVER (ORDER BY {name}) AS place, COUNT(*) OVER () AS size "
    "FROM {source} WHERE {name} IS NOT NULL) AS numbered WHERE (place - 1) % (size / 2000 + 1) < 1 ORDER BY {name}"
)


def _kind(table: Table, column: Column, values: tuple[Any, ...], distinct: int, rows: int) -> Kind:
    keys = {*table.primary_key, *(name for key in table.foreign_keys for name in key.columns)}
    if distinct == 0:
        return "hidden"
    if _DATES.match(column.type) or all(isinstance(value, datetime.date) for value in values):
        return "date"
    if all(isinstance(value, str) and _ISO.fullmatch(value[:10]) for value in values):
        return "date"
    if column.name in keys or re.search(r"(^|_)id$", column.name):
        return "key"
    if column.type.upper().startswith("BOOL"):
        return "flag"
    if _NUMBERS.search(column.type) or all(isinstance(value, (int, float)) for value in values):
        return "number"
    if not all(isinstance(value, str) for value in values):
        return "hidden"
    if _NAMES.match(column.name) and distinct > rows * 0.9:
        return "name"
    if distinct <= CATEGORIES and (distinct < rows * 0.9 or distinct <= 3):
        return "category"
    return "text"


def _as_date(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value)[:10])
