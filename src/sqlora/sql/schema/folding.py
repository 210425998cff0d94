"""What an engine makes of a name that is written without quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase

from sqlora.sql.schema.schema import Column, ForeignKey, Schema, Table

LOWER = frozenset({"postgres", "redshift", "materialize", "risingwave"})
UPPER = frozenset({"oracle", "snowflake", "exasol"})
BLIND = frozenset({"redshift"})  # quotes keep no case there, unless the session is told so
# Of ASCII only, as PostgreSQL does in UTF-8; Python would make two letters of one (ß, İ).
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def folded(name: str, dialect: str) -> str:
    """The name that an unquoted ``name`` stands for, by sqlglot's name of the dialect: `Store` is `store` in PostgreSQL
    and `STORE` in Snowflake. Other engines keep the spelling, or tell no cases apart.
    """
    if dialect in LOWER:
        return name.translate(_LOWER)
    return name.translate(_UPPER) if dialect in UPPER else name


def tells_cases_apart(dialect: str) -> bool:
    """Whether `"Store"` and `store` are two names there: quoted ones are kept as they are, others folded."""
    return dialect in (LOWER | UPPER) - BLIND


def spelling(name: str, dialect: str) -> str:
    """How a query writes the name of the database, in words: `"fullName" in quotes`."""
    if PLAIN.fullmatch(name) and name == folded(name, dialect):
        return f"{name} without quotes"
    quoted = name.replace('"', '""')
    return f'"{quoted}" in quotes'


def respelt(schema: Schema, dialect: str) -> Schema:
    """The schema with the names that its unquoted ones have in ``dialect``, like queries that are rewritten: STORE of
    Snowflake is `store` in DuckDB. Types stay as they are.
    """
    if schema.dialect == dialect or not {schema.dialect, dialect} & (LOWER | UPPER):
        return schema

    def name(text: str) -> str:
        if not PLAIN.fullmatch(text) or text != folded(text, schema.dialect):
            return text  # it is quoted there, and so it is here
        return folded(text.lower() if schema.dialect in UPPER else text, dialect)

    def names(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(name, texts))

    def key(found: ForeignKey) -> ForeignKey:
        target = name(found.table), names(found.referenced_columns), name(found.namespace)
        return ForeignKey(names(found.columns), *target)

    def column(found: Column) -> Column:
        return replace(found, name=name(found.name))

    def table(found: Table) -> Table:
        columns, keys = tuple(map(column, found.columns)), tuple(map(key, found.foreign_keys))
        return Table(name(found.name), columns, names(found.primary_key), keys, found.comment, name(found.namespace))

    return replace(schema, tables=tuple(map(table, schema.tables)))
