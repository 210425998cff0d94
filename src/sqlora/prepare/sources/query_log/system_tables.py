"""Tables in which an engine keeps its own books: programs ask them all day, and no person does."""

from __future__ import annotations

import re

from sqlglot import exp

from sqlora.sql.schema import Schema

# Schemas, or databases where an engine has no schemas.
_PLACES = frozenset(
    """
    information_schema pg_catalog pg_toast pg_internal performance_schema mysql sys account_usage organization_usage
    reader_account_usage
    """.split()  # noqa: SIM905
)
_NAMES = re.compile(r"(?:pg|sqlite|stl|stv|svv|svl|duckdb)_\w+")


def system_table(tree: exp.Expr, schema: Schema) -> str | None:
    """The first table of a query that is an engine's own, as it is written; one that ``schema`` has is not."""
    for table in tree.find_all(exp.Table):
        place, name = table.db.lower(), table.name.lower()
        if (place in _PLACES or (not place and _NAMES.fullmatch(name))) and schema.get(table.name, table.db) is None:
            return ".".join(part for part in (table.db, table.name) if part)
    return None
