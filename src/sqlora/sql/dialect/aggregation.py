"""Which expressions are sums, counts and the like over many rows, and which look at a window of rows.

A house call says neither by its type, so it carries the kind of what it expands to as a note.
"""

from __future__ import annotations

from sqlglot import exp

_KIND = "sqlora_kind"


def note_kind(call: exp.Expr, kind: str) -> None:
    """Note on a house call what `kind_of` says of its body."""
    if kind:
        call.meta[_KIND] = kind


def kind_of(body: exp.Expr) -> str:
    """``aggregate``, ``window`` or nothing."""
    return "aggregate" if aggregates(body) else "window" if has_window(body) else ""


def aggregates(node: exp.Expr) -> bool:
    """Whether ``node`` is a sum, count or the like over the rows, not over a window or in a query of its own."""
    if isinstance(node, exp.Query | exp.Window):
        return False
    return is_aggregate(node) or any(aggregates(child) for child in node.iter_expressions())


def is_aggregate(node: exp.Expr) -> bool:
    """Whether ``node`` itself is the call of an aggregate."""
    return isinstance(node, exp.AggFunc) or node.meta.get(_KIND) == "aggregate"


def has_window(node: exp.Expr) -> bool:
    """Whether there is an OVER in ``node``."""
    return any(is_window(each) for each in node.walk())


def is_window(node: exp.Expr) -> bool:
    """Whether ``node`` itself looks at a window of rows."""
    return isinstance(node, exp.Window) or node.meta.get(_KIND) == "window"
