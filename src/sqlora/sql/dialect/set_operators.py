"""The house's words for UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from sqlora.sql.dialect.spec import DialectSpec


def set_operators(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[tuple[str, str]]:
    """House phrases and the base's. Where MINUS is EXCEPT, MINUS ALL is EXCEPT ALL, unless the spec says otherwise."""
    words = spec.set_operators
    # Where a bare UNION has no meaning, the base writes the word that says which.
    distinct = " DISTINCT" if base.SET_OP_DISTINCT_BY_DEFAULT[exp.Union] is None else ""
    for operator, one, all_ in (
        ("UNION", words.union, words.union_all),
        ("INTERSECT", words.intersect, words.intersect_all),
        ("EXCEPT", words.except_, words.except_all),
    ):
        if one is None and all_ is None:
            continue
        one = one or f"{operator}{distinct}"
        bare = one.rpartition(" ")[0] if one.upper().endswith(" DISTINCT") else one
        yield all_ or f"{bare} ALL", f"{operator} ALL"
        yield one, f"{operator}{distinct}"
