"""A database for a schema that comes without one: its tables, filled with invented rows."""

from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.prepare.sources.invented.rows import Rows, Value, invent_rows
from sqlora.sql.schema import Column, Schema, Table

__all__ = ["in_types_of", "invent_database"]

# Types that DuckDB stores invented values as; every other column holds texts or nothing.
STORED = frozenset({
    "BIGINT", "INT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "DECIMAL", "DOUBLE", "REAL", "FLOAT", "BOOLEAN",
    "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR", "TEXT", "UUID",
})  # fmt: skip


def in_types_of(schema: Schema, dialect: str) -> Schema:
    """The schema with the types' names of another dialect; without namespaces where that has none (SQLite)."""
    if schema.dialect == dialect:
        return schema
    tables = tuple(_table(table, schema.dialect, dialect) for table in schema.tables)
    return Schema(tables, dialect)


def _table(table: Table, source: str, target: str) -> Table:
    columns = tuple(_converted(column, source, target) for column in table.columns)
    if target != "sqlite":
        return replace(table, columns=columns)
    keys = tuple(replace(key, namespace="") for key in table.foreign_keys)
    return replace(table, columns=columns, foreign_keys=keys, namespace="")


def _converted(column: Column, source: str, target: str) -> Column:
    return replace(column, type=_type(column.type, source, target))


def _type(text: str, source: str, target: str) -> str:
    try:
        return exp.DataType.build(text, dialect=source).sql(dialect=target) if text else ""
    except (SqlglotError, ValueError):
        return text


class _Connection(Protocol):
    """What DuckDB's and SQLite's connections have in common."""

    def execute(self, query: str, /) -> object: ...


def invent_database(schema: Schema, folder: Path, engine: str, today: datetime.date | None = None) -> Path:
    """A database file in ``folder`` with the schema's tables and invented rows; the one made before, if there is one.

    ``engine`` is "duckdb" or "sqlite". Dates end with the last quarter, so that runs of one quarter are alike.
    """
    day = today or datetime.date.today()
    day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    file = folder / f"{schema.hash}-{day.isoformat()}.{engine}"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    rows = invent_rows(schema, day)
    if engine == "sqlite":
        with closing(sqlite3.connect(aside)) as lite, lite:
            _fill(lite, schema, rows, engine)
    else:
        with duckdb.connect(str(aside)) as duck:
            duck.execute("BEGIN")
            _fill(duck, schema, rows, engine)
            duck.execute("COMMIT")
    aside.replace(file)
    return file


def _fill(connection: _Connection, schema: Schema, rows: dict[str, Rows], engine: str) -> None:
    if engine == "duckdb":
        for namespace in dict.fromkeys(table.namespace for table in schema.tables if table.namespace):
            connection.execute(f"CREATE SCHEMA {_quoted(namespace)}")
    for table in schema.tables:
        name = ".".join(_quoted(part) for part in (table.namespace, table.name) if part)
        columns = ", ".join(f"{_quoted(column.name)} {_stored_as(column, schema, engine)}" for column in table.columns)
        connection.execute(f"CREATE TABLE {name} ({columns})")
        values = ", ".join(_tuple(table, row) for row in rows[table.qualified_name])
        connection.execute(f"INSERT INTO {name} VALUES {values}")


def _stored_as(column: Column, schema: Schema, engine: str) -> str:
    """The type that the engine has for the column; texts where it has none."""
    if engine == "sqlite":
        return column.type if column.type.replace(" ", "").isalnum() else "TEXT"
    kind = _type(column.type, schema.dialect, engine) or "VARCHAR"
    return kind if kind.partition("(")[0].upper() in STORED else "VARCHAR"


def _tuple(table: Table, row: dict[str, Value]) -> str:
    return f"({', '.join(_literal(row[column.name]) for column in table.columns)})"


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return repr(value)
    text = value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
