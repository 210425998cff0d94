"""LISTAGG(x, ', ') WITHIN GROUP (ORDER BY y), where the base has STRING_AGG(x, ', ' ORDER BY y)."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator

from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.parens import replaced

ORDERED = (exp.GroupConcat, exp.ArrayAgg)  # their value depends on the order of their rows
QUANTILES = {exp.PercentileCont: "PERCENTILE_CONT", exp.PercentileDisc: "PERCENTILE_DISC"}


def refuse_inside(tree: exp.Expr) -> None:
    """NodeError for an ORDER BY among the arguments of a house function, in a tree of house text."""
    for order in tree.find_all(exp.Order):
        if isinstance(order.parent, exp.Anonymous):
            raise NodeError(order, "The order of an aggregate's rows stands behind it: WITHIN GROUP (ORDER BY …)")


def read_within_group(tree: exp.Expr) -> exp.Expr:
    """The order behind an aggregate → among its arguments (``tree`` is changed in place)."""
    for group in list(tree.find_all(exp.WithinGroup)):
        call, order = group.this, group.expression
        if isinstance(call, ORDERED) and isinstance(order, exp.Order) and not isinstance(call.this, exp.Order):
            call.set("this", exp.Order(this=call.this, expressions=order.expressions))
            tree = replaced(tree, group, call)
    return tree


def write_within_group(tree: exp.Expr) -> exp.Expr:
    """The other way."""
    for call in list(tree.find_all(*ORDERED)):
        if isinstance(order := call.this, exp.Order):
            group = exp.WithinGroup(expression=exp.Order(expressions=order.expressions))
            tree = replaced(tree, call, group)
            call.set("this", order.this)
            group.set("this", call)
    return tree


def within_group_members() -> dict[str, Any]:
    """What a generator needs that writes the order behind every aggregate."""
    return {"withingroup_sql": _withingroup_sql}


def _withingroup_sql(self: Generator, expression: exp.WithinGroup) -> str:
    call = expression.this
    name = QUANTILES.get(type(call))  # some bases call them otherwise, where the order is an argument
    written = f"{name}({self.sql(call, 'this')})" if name else self.sql(call)
    return f"{written} WITHIN GROUP ({self.sql(expression, 'expression').strip()})"
