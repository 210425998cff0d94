"""Exact match: is it the same query, once both are written the dialect's one way?"""

from __future__ import annotations

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect


def is_exact(expected: str, got: str, dialect: Dialect) -> bool:
    """Whether both are the same text in the dialect's normal form; spaces and case of keywords don't count.

    A strict measure: of two queries that mean the same, only the reference's wording counts.
    """
    return _normal(expected, dialect) == _normal(got, dialect)


def _normal(sql: str, dialect: Dialect) -> str:
    try:
        return dialect.normalize(sql)
    except (DialectError, RecursionError):
        return " ".join(sql.split())
