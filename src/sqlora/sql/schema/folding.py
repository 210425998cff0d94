"""What an engine makes of a name that is written without quotes."""

from __future__ import annotations

LOWER = frozenset({"postgres", "redshift", "materialize", "risingwave"})
UPPER = frozenset({"oracle", "snowflake", "exasol"})


def folded(name: str, dialect: str) -> str:
    """The name that an unquoted ``name`` stands for, by sqlglot's name of the dialect: `Store` is `store` in PostgreSQL
    and `STORE` in Snowflake. Other engines keep the spelling, or tell no cases apart.
    """
    if dialect in LOWER:
        return name.lower()
    return name.upper() if dialect in UPPER else name
