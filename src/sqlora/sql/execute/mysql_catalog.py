"""The tables of a MySQL or MariaDB database, by its `information_schema`: three questions for any number of tables.

Other ways (SHOW CREATE VIEW, which SQLAlchemy takes) need a right that a role which may only read has not.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.engine import Connection

from sqlora.sql.schema import Column, ForeignKey, Table
from sqlora.sql.schema.ddl import canonical_type

TABLES = """
SELECT table_name, table_type, table_comment FROM information_schema.tables
WHERE table_schema = DATABASE() ORDER BY table_type, table_name"""
COLUMNS = """
SELECT table_name, column_name, column_type, column_comment, is_nullable FROM information_schema.columns
WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"""
KEYS = """
SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND (constraint_name = 'PRIMARY' OR referenced_table_schema = DATABASE())
ORDER BY table_name, constraint_name, ordinal_position"""

WIDTH = re.compile(
    r"^((?:small|medium|big)?int|tinyint(?!\(1\)))\(\d+\)", re.IGNORECASE
)  # of what is shown; says nothing


def read_tables(connection: Connection) -> list[Table]:
    """Tables, then views, each in the order of their names; a view that is broken has no columns and is left out."""
    columns: dict[str, list[Column]] = {}
    for table, name, kind, comment, nullable in connection.exec_driver_sql(COLUMNS):
        type_ = canonical_type(WIDTH.sub(r"\1", _text(kind)), "mysql")
        columns.setdefault(table, []).append(Column(name, type_, _text(comment), nullable == "YES"))
    keys: dict[tuple[str, str], list[tuple[str, str | None, str | None]]] = {}
    for table, constraint, *parts in connection.exec_driver_sql(KEYS):
        keys.setdefault((table, constraint), []).append((parts[0], parts[1], parts[2]))
    foreign: dict[str, list[ForeignKey]] = {}
    for (table, _), parts in keys.items():
        if parts[0][1]:
            foreign.setdefault(table, []).append(_foreign(parts))
    return [
        Table(
            table,
            tuple(columns[table]),
            tuple(name for name, _, _ in keys.get((table, "PRIMARY"), ())),
            tuple(foreign.get(table, ())),
            "" if kind == "VIEW" else _text(comment),
        )
        for table, kind, comment in connection.exec_driver_sql(TABLES)
        if table in columns
    ]


def _foreign(parts: list[tuple[str, str | None, str | None]]) -> ForeignKey:
    return ForeignKey(tuple(part[0] for part in parts), parts[0][1] or "", tuple(part[2] or "" for part in parts))


def _text(value: Any) -> str:
    """MySQL 8 gives some of these as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
