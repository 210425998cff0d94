"""A few of each column's values, so that a model knows how things are written: 'UK', or 'United Kingdom'.

They are data, so nobody gets them who did not ask (`[prepare] sample_values`), they are few and short, and a column
that looks as if it identified people gives none at all.
"""

from __future__ import annotations

import time
from dataclasses import replace

from sqlora.errors import QueryError, QueryLimitError
from sqlora.sql.execute import Database, Limits
from sqlora.sql.personal_values import is_personal_name, looks_personal
from sqlora.sql.schema.schema import Column, Schema, Table

LOOKED_AT = 100_000  # rows of a table
LENGTH = 40  # characters; longer texts are prose, and room for what a model might obey
SECONDS = 3.0  # for one column
TEXTS = ("", "TEXT", "VARCHAR", "CHAR", "NVARCHAR", "NCHAR", "BPCHAR", "STRING", "ENUM", "SET", "NAME")


def with_samples(schema: Schema, database: Database, most: int, seconds: float = 60.0) -> Schema:
    """The schema with up to ``most`` values of each column of texts, the most frequent first.

    Left out: columns that look personal, by their name or by any value that was looked at, and those of views and
    tables that take too long. After ``seconds`` the columns that are left get none.
    """
    until = time.monotonic() + seconds
    tables = [_sampled(table, database, most, until) for table in schema.tables]
    return replace(schema, tables=tuple(tables))


def _sampled(table: Table, database: Database, most: int, until: float) -> Table:
    columns = []
    for column in table.columns:
        if not _may_be_shown(table, column) or time.monotonic() > until:
            columns.append(column)
            continue
        columns.append(replace(column, samples=_values(table, column, database, most)))
    return replace(table, columns=tuple(columns))


def _may_be_shown(table: Table, column: Column) -> bool:
    kind = column.type.upper().partition("(")[0].strip()
    key = column.name in table.primary_key or any(column.name in key.columns for key in table.foreign_keys)
    return kind in TEXTS and not key and not is_personal_name(column.name, table.name)


def _values(table: Table, column: Column, database: Database, most: int) -> tuple[str, ...]:
    name, source = database.quote(column.name), database.quoted(table)
    sql = (
        f"SELECT {name} FROM (SELECT {name} FROM {source} WHERE {name} IS NOT NULL LIMIT {LOOKED_AT}) looked_at "
        f"GROUP BY {name} ORDER BY COUNT(*) DESC, {name} LIMIT {most + 100}"
    )
    try:
        found = [row[0] for row in database.run(sql, Limits(SECONDS, most + 100)).rows]
    except (QueryError, QueryLimitError):  # a view that is broken, a table that is locked, a column without an order
        return ()
    texts = [value for value in found if isinstance(value, str) and value.strip()]
    if any(looks_personal(text) for text in texts):
        return ()
    return tuple(text for text in texts if len(text) <= LENGTH and text.isprintable())[:most]
