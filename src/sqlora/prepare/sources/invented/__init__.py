"""A database for a schema that comes without one: its tables, filled with invented rows."""

from __future__ import annotations

import datetime
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import SchemaError
from sqlora.prepare.sources.invented.rows import Rows, Value, invent_rows
from sqlora.prepare.sources.synthesize.types import Holds, holds
from sqlora.sql.schema import Column, Schema, Table
from sqlora.sql.schema.folding import respelt

__all__ = ["in_types_of", "invent_database", "invent_rows", "quarter"]

EDITION = 2  # of what is made of a schema; a database of another is not taken

# What DuckDB stores invented values as; whatever else a type holds is texts or nothing. Times have no zone, for
# Python would need another package to read them.
STORED: dict[Holds, str] = {
    "whole": "BIGINT", "flag": "BOOLEAN", "date": "DATE", "moment": "TIMESTAMP", "uuid": "UUID",
}  # fmt: skip


def in_types_of(schema: Schema, dialect: str) -> Schema:
    """The schema with the names and types of another dialect; without namespaces where that has none (SQLite)."""
    if schema.dialect == dialect:
        return schema
    tables = tuple(_table(table, schema.dialect, dialect) for table in respelt(schema, dialect).tables)
    return Schema(tables, dialect)


def _table(table: Table, source: str, target: str) -> Table:
    columns = tuple(_converted(column, source, target) for column in table.columns)
    if target != "sqlite":
        return replace(table, columns=columns)
    keys = tuple(replace(key, namespace="") for key in table.foreign_keys)
    return replace(table, columns=columns, foreign_keys=keys, namespace="")


def _converted(column: Column, source: str, target: str) -> Column:
    return replace(column, type=_type(column.type, source, target))


@lru_cache(maxsize=4096)
def _type(text: str, source: str, target: str) -> str:
    try:
        return exp.DataType.build(text, dialect=source).sql(dialect=target) if text else ""
    except (SqlglotError, ValueError):
        return text


def quarter(day: datetime.date | None = None) -> datetime.date:
    """The first day of the quarter: invented dates end with it, so that runs of one quarter are alike."""
    day = day or datetime.date.today()
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def invent_database(schema: Schema, rows: dict[str, Rows], folder: Path, engine: str, day: datetime.date) -> Path:
    """A database file in ``folder`` with the schema's tables and these rows; the one made before, if there is one.

    ``engine`` is "duckdb" or "sqlite"; ``day`` is what the rows were invented for. SchemaError where the engine can't
    have such tables.
    """
    file = folder / f"{schema.hash}-{day.isoformat()}-{EDITION}.{engine}"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    try:
        _make(aside, schema, rows, engine)
    except (duckdb.Error, sqlite3.Error) as error:
        aside.unlink(missing_ok=True)
        raise SchemaError(
            f"no {engine} database can be made of the schema: {str(error).partition(chr(10))[0]}",
            "take the table out of the file; names must differ in more than their case",
        ) from error
    aside.replace(file)
    return file


def _make(file: Path, schema: Schema, rows: dict[str, Rows], engine: str) -> None:
    if engine == "sqlite":
        with closing(sqlite3.connect(file)) as lite, lite:
            _fill_sqlite(lite, schema, rows)
        return
    with duckdb.connect(":memory:") as duck:
        # DuckDB's own blocks of 256 KiB would make half a gigabyte of 2,000 tables.
        path = str(file).replace("'", "''")
        duck.execute(f"ATTACH '{path}' AS made (BLOCK_SIZE 16384)")
        duck.execute("USE made")
        duck.execute("BEGIN")
        _fill_duckdb(duck, schema, rows)
        duck.execute("COMMIT")
        duck.execute("USE memory")
        duck.execute("DETACH made")


def _fill_sqlite(connection: sqlite3.Connection, schema: Schema, rows: dict[str, Rows]) -> None:
    for table in schema.tables:
        name = _quoted(table.name)
        connection.execute(f"CREATE TABLE {name} ({_columns(table, map(_affinity, table.columns))})")
        columns, made = [column.name for column in table.columns], rows[table.qualified_name]
        values = [[_as_text(row[column], native=True) for column in columns] for row in made]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.columns))})", values)


def _fill_duckdb(connection: duckdb.DuckDBPyConnection, schema: Schema, rows: dict[str, Rows]) -> None:
    for namespace in dict.fromkeys(table.namespace for table in schema.tables if table.namespace):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(namespace)}")
    for table in schema.tables:
        name = ".".join(_quoted(part) for part in (table.namespace, table.name) if part)
        types = [_stored_as(column, schema.dialect) for column in table.columns]
        connection.execute(f"CREATE TABLE {name} ({_columns(table, types)})")
        # Columns as lists of texts: a third of the time that literals take.
        values = [[_as_text(row[column.name]) for row in rows[table.qualified_name]] for column in table.columns]
        cast = ", ".join(f"TRY_CAST(unnest(?::VARCHAR[]) AS {kind})" for kind in types)
        connection.execute(f"INSERT INTO {name} SELECT {cast}", values)


def _columns(table: Table, types: Iterable[str]) -> str:
    return ", ".join(f"{_quoted(column.name)} {kind}" for column, kind in zip(table.columns, types, strict=True))


def _affinity(column: Column) -> str:
    """SQLite goes by the words of a type."""
    return re.sub(r"[^A-Za-z ]", "", column.type.partition("(")[0])


def _stored_as(column: Column, dialect: str) -> str:
    """DuckDB's type for the column, which any parameters of the schema's own would not suit."""
    held = holds(column.type, dialect)
    return _decimal(column.type, dialect) if held == "number" else STORED.get(held, "VARCHAR")


def _decimal(text: str, dialect: str) -> str:
    """A number with as many decimals, and room for whatever is drawn; DOUBLE where the type has no fixed number."""
    kind = _type(text, dialect, "duckdb")
    if not kind.startswith(("DECIMAL", "UDECIMAL")):
        return "DOUBLE"
    width, _, scale = kind.partition("(")[2].strip("() ").partition(",")
    if not scale.strip().isdecimal():
        return "DECIMAL(38, 0)" if width.isdecimal() else "DECIMAL"
    wide = min(38, max(18, int(width) if width.isdecimal() else 0))
    return f"DECIMAL({wide}, {min(int(scale), wide)})"


def _as_text(value: Value, native: bool = False) -> str | int | float | None:
    """The value as a text; with ``native``, numbers as they are, for SQLite keeps whatever it is given."""
    if value is None or (native and isinstance(value, int | float)):
        return value
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
