"""A database for a schema that comes without one: its tables, filled with invented rows."""

from __future__ import annotations

import datetime
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.prepare.sources.invented.rows import Rows, Value, invent_rows
from sqlora.sql.schema import Column, Schema, Table
from sqlora.sql.schema.folding import respelt

__all__ = ["in_types_of", "invent_database", "invent_rows", "quarter"]

# Types that DuckDB stores invented values as; every other column holds texts or nothing.
STORED = frozenset({
    "BIGINT", "INT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "DECIMAL", "DOUBLE", "REAL", "FLOAT", "BOOLEAN",
    "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR", "TEXT", "UUID",
})  # fmt: skip


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

    ``engine`` is "duckdb" or "sqlite"; ``day`` is what the rows were invented for.
    """
    file = folder / f"{schema.hash}-{day.isoformat()}.{engine}"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    if engine == "sqlite":
        with closing(sqlite3.connect(aside)) as lite, lite:
            _fill_sqlite(lite, schema, rows)
    else:
        with duckdb.connect(":memory:") as duck:
            # DuckDB's own blocks of 256 KiB would make half a gigabyte of 2,000 tables.
            path = str(aside).replace("'", "''")
            duck.execute(f"ATTACH '{path}' AS made (BLOCK_SIZE 16384)")
            duck.execute("USE made")
            duck.execute("BEGIN")
            _fill_duckdb(duck, schema, rows)
            duck.execute("COMMIT")
            duck.execute("USE memory")
            duck.execute("DETACH made")
    aside.replace(file)
    return file


def _fill_sqlite(connection: sqlite3.Connection, schema: Schema, rows: dict[str, Rows]) -> None:
    for table in schema.tables:
        name = _quoted(table.name)
        connection.execute(f"CREATE TABLE {name} ({_columns(table, schema, 'sqlite')})")
        columns, made = [column.name for column in table.columns], rows[table.qualified_name]
        values = [[_as_text(row[column], native=True) for column in columns] for row in made]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.columns))})", values)


def _fill_duckdb(connection: duckdb.DuckDBPyConnection, schema: Schema, rows: dict[str, Rows]) -> None:
    for namespace in dict.fromkeys(table.namespace for table in schema.tables if table.namespace):
        connection.execute(f"CREATE SCHEMA {_quoted(namespace)}")
    for table in schema.tables:
        name = ".".join(_quoted(part) for part in (table.namespace, table.name) if part)
        connection.execute(f"CREATE TABLE {name} ({_columns(table, schema, 'duckdb')})")
        # Columns as lists of texts: a third of the time that literals take.
        values = [[_as_text(row[column.name]) for row in rows[table.qualified_name]] for column in table.columns]
        connection.execute(f"INSERT INTO {name} SELECT {', '.join(['unnest(?::VARCHAR[])'] * len(values))}", values)


def _columns(table: Table, schema: Schema, engine: str) -> str:
    return ", ".join(f"{_quoted(column.name)} {_stored_as(column, schema, engine)}" for column in table.columns)


def _stored_as(column: Column, schema: Schema, engine: str) -> str:
    """The type that the engine has for the column; texts where it has none."""
    if engine == "sqlite":
        return re.sub(r"[^A-Za-z ]", "", column.type.partition("(")[0])
    if column.type.upper() == "BIT":  # SQL Server's boolean, which is compared with 0 and 1
        return "TINYINT"
    kind = _type(column.type, schema.dialect, engine) or "VARCHAR"
    return kind if kind.partition("(")[0].upper() in STORED else "VARCHAR"


def _as_text(value: Value, native: bool = False) -> str | int | float | None:
    """The value as a text; with ``native``, numbers as they are, for SQLite keeps whatever it is given."""
    if value is None or (native and isinstance(value, int | float)):
        return value
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
