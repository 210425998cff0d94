"""Rows for a schema that comes without any, so that queries over it can be run and values asked for.

They are made up from names and types, repeatably, and are nobody's data: `city` gets cities, `order_date` dates of the
last three years, a foreign key one of its table's keys. What nothing is known of gets plain words or numbers.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from sqlora.prepare.sources.invented.texts import (
    ADJECTIVES,
    CLASSES,
    CODES,
    FIRST_NAMES,
    LAST_NAMES,
    LEFT_EMPTY,
    NOUNS,
    PEOPLE,
    PROSE,
    TEXTS,
)
from sqlora.prepare.sources.synthesize.types import Holds, holds
from sqlora.prepare.sources.synthesize.words import readable, singular
from sqlora.sql.schema import Column, ForeignKey, Schema, Table

Value = str | int | float | bool | datetime.date | datetime.datetime | None
Rows = list[dict[str, Value]]

THINGS, FACTS = 60, 150  # rows of a table that refers to no other, and of one that does
WIDE = 200  # tables; a schema of more has a third of the rows in each
MISSING = 0.1  # share of NULLs in a column that may have them
DAYS = 3 * 365  # that dates are spread over, up to `today`

_BARE = re.compile(r"^(NUMBER|NUMERIC)$")  # mostly whole, as Snowflake's is
_EXACT = re.compile(r"(?:DEC|NUM)\w*\s*\(\s*(\d+|\*)\s*(?:,\s*(\d+)\s*)?\)")
_LARGEST = (("TINY", 100.0), ("SMALL", 32_000.0), ("", 1e9))

# What a column whose name ends so holds: smallest, largest, digits behind the point. First match counts.
RANGES: tuple[tuple[str, float, float, int], ...] = (
    (r"year", 2015, 2026, 0),
    (r"age", 18, 80, 0),
    (r"rating|score|stars|grade|level|rank|priority", 1, 5, 0),
    (r"percent|percentage|pct|rate|share|ratio|discount", 0, 100, 1),
    (r"latitude|lat", -60, 70, 4),
    (r"longitude|lon|lng", -170, 170, 4),
    (r"price|cost|fee|amount|total|revenue|sales|balance|budget|value|tax|paid|margin|profit", 5, 2_000, 2),
    (r"salary|wage|income", 20_000, 120_000, 0),
    (r"quantity|qty|count|units|items|number|stock|seats|days|hours|minutes|no", 1, 60, 0),
    (r"", 1, 500, 0),
)


def invent_rows(schema: Schema, today: datetime.date, seed: int = 0) -> dict[str, Rows]:
    """Rows of each table, by its qualified name; equal arguments give equal rows."""
    tables = {table.name.lower(): table for table in reversed(schema.tables)}
    tables |= {table.qualified_name.lower(): table for table in schema.tables}
    made: dict[str, Rows] = {}
    for table in _parents_first(schema, tables):
        random = Random(f"{seed}:{table.qualified_name}")
        size = (FACTS if table.foreign_keys else THINGS) // (1 if len(schema.tables) <= WIDE else 3)
        made[table.qualified_name] = _rows(table, size or 1, made, tables, random, today, schema.dialect)
    return made


def _parents_first(schema: Schema, tables: Mapping[str, Table]) -> list[Table]:
    """Tables after those that they refer to, as far as that goes: not around a circle."""
    ordered: dict[str, Table] = {}
    seen: set[str] = set()
    for start in schema.tables:
        waiting = [start]
        while waiting:  # a loop, since chains of keys may be longer than Python's stack
            table = waiting[-1]
            seen.add(table.qualified_name)
            parents = [parent for key in table.foreign_keys if (parent := _parent(tables, key))]
            unseen = [parent for parent in parents if parent.qualified_name not in seen]
            if unseen:
                waiting.append(unseen[0])
            else:
                ordered.setdefault(table.qualified_name, table)
                waiting.pop()
    return list(ordered.values())


def _parent(tables: Mapping[str, Table], key: ForeignKey) -> Table | None:
    return tables.get((f"{key.namespace}.{key.table}" if key.namespace else key.table).lower())


def _rows(
    table: Table,
    count: int,
    made: Mapping[str, Rows],
    tables: Mapping[str, Table],
    random: Random,
    today: datetime.date,
    dialect: str,
) -> Rows:
    columns = {column.name: _values(table, column, count, random, today, dialect) for column in table.columns}
    for key in table.foreign_keys:
        parent = _parent(tables, key)
        others = made.get(parent.qualified_name) if parent else None
        if not others or len(key.columns) != len(key.referenced_columns):
            continue
        may_miss = all((column := table.get(name)) and column.nullable for name in key.columns)
        chosen = [None if may_miss and random.random() < MISSING else random.choice(others) for _ in range(count)]
        for name, other in zip(key.columns, key.referenced_columns, strict=True):
            if (column := table.get(name)) and parent and (target := parent.get(other)):
                columns[column.name] = [row[target.name] if row else None for row in chosen]
    return [{name: values[place] for name, values in columns.items()} for place in range(count)]


def _values(
    table: Table, column: Column, count: int, random: Random, today: datetime.date, dialect: str
) -> list[Value]:
    held = holds(column.type, dialect)
    if table.primary_key == (column.name,):
        return [_key(held, place, today) for place in range(count)]
    draw = _drawn(table, column, held, random, today)
    if draw is None:
        return [None] * count
    missing = MISSING if column.nullable else 0.0
    return [None if random.random() < missing else draw() for _ in range(count)]


def _key(held: Holds, place: int, today: datetime.date) -> Value:
    """Another one for each row."""
    if held in ("text", "enum"):
        return f"K{place + 1:04d}"
    if held in ("date", "moment"):
        day = today - datetime.timedelta(days=place)
        return day if held == "date" else datetime.datetime.combine(day, datetime.time())
    return f"{place + 1:032x}" if held == "uuid" else place + 1


def _drawn(
    table: Table, column: Column, held: Holds, random: Random, today: datetime.date
) -> Callable[[], Value] | None:
    """What makes one value after the other; None for types that nobody asks about, as JSON."""
    kind, name = column.type.upper(), readable(column.name)
    listed = re.findall(r"'([^']*)'", column.type) if kind.startswith(("ENUM", "SET(")) else []
    values = column.samples or tuple(listed)
    if values and held in ("text", "enum", ""):
        return lambda: _often_the_first(values, random)
    if held == "flag":
        return lambda: random.random() < 0.6
    if kind in ("BIT", "TINYINT(1)") and held == "whole":  # the flags of SQL Server and MySQL
        return lambda: int(random.random() < 0.6)
    if held in ("date", "moment") or (not kind and re.search(r"\b(date|at|on)$", name)):
        return lambda: _moment(random, today, held == "moment")
    if held in ("whole", "number"):
        digits, largest = _size(kind, held)
        return lambda: _number(name, digits, largest, random)
    if not kind and re.search(r"\b(id|number|count|quantity|amount|price|cost|year|age)$", name):
        return lambda: _number(name, 0, 1e9, random)
    if held == "uuid":
        return lambda: f"{random.getrandbits(128):032x}"
    return _words(table, name, random) if held in ("text", "enum") or not kind else None


def _size(kind: str, held: Holds) -> tuple[int, float]:
    """How many digits a number of this type has behind its point, and the largest it may be."""
    if exact := _EXACT.search(kind):
        digits = int(exact[2] or 0)
        return digits, 10.0 ** (int(exact[1]) - digits) - 1 if exact[1] != "*" else 1e9
    largest = next(most for word, most in _LARGEST if word in kind)
    return 0 if held == "whole" or _BARE.match(kind) else 2, largest


def _moment(random: Random, today: datetime.date, has_time: bool) -> Value:
    day = today - datetime.timedelta(days=int(DAYS * random.random() ** 1.3))  # the later, the more
    if not has_time:
        return day
    return datetime.datetime.combine(day, datetime.time(random.randrange(8, 20), random.randrange(60)))


def _number(name: str, digits: int, largest: float, random: Random) -> Value:
    low, high, own_digits = next(
        (low, high, own) for ending, low, high, own in RANGES if re.search(rf"(?:^|\b)(?:{ending})s?$", name)
    )
    number = random.uniform(low, min(high, largest)) if low <= largest else random.uniform(0, largest)
    places = min(digits, own_digits)
    return round(number, places) if places else int(number)


def _words(table: Table, name: str, random: Random) -> Callable[[], Value]:
    about_people = any(word in PEOPLE for word in singular(table.name).split())
    last = name.split()[-1] if name else ""
    if last in TEXTS:
        texts = TEXTS[last]
        return lambda: _often_the_first(texts, random)
    if name in ("first name", "given name"):
        return lambda: random.choice(FIRST_NAMES)
    if name in ("last name", "surname", "family name"):
        return lambda: random.choice(LAST_NAMES)
    if last == "name" and (about_people or any(word in PEOPLE for word in name.split())):
        return lambda: f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
    if last in ("name", "title", "label"):
        return lambda: f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)}"
    if last in LEFT_EMPTY:
        return lambda: None
    if last in CODES:
        return lambda: f"{random.choice('ABCDEFGH')}{random.randrange(100, 999)}"
    if last in PROSE:
        return lambda: f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)}, {random.choice(ADJECTIVES).lower()} edge"
    return lambda: _often_the_first(CLASSES, random)


def _often_the_first(texts: Sequence[str], random: Random) -> str:
    return texts[min(int(random.expovariate(2.5 / len(texts))), len(texts) - 1)]
