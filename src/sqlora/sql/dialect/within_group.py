"""LISTAGG(x, ', ') WITHIN GROUP (ORDER BY y), where the base has STRING_AGG(x, ', ' ORDER BY y)."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator

from sqlora.sql.dialect.calls import is_house
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.parens import replaced

QUANTILES = {exp.PercentileCont: "PERCENTILE_CONT", exp.PercentileDisc: "PERCENTILE_DISC"}
BEHIND = "The order of an aggregate's rows stands behind it: WITHIN GROUP (ORDER BY …)"


def refuse_inside(tree: exp.Expr) -> None:
    """NodeError for an ORDER BY among the arguments of a house function, in a tree of house text."""
    for order in tree.find_all(exp.Order):
        if isinstance(order.parent, exp.Anonymous) and is_house(order.parent):
            raise NodeError(order, BEHIND)


def read_within_group(tree: exp.Expr) -> exp.Expr:
    """The order behind an aggregate → among its arguments (``tree`` is changed in place).

    NodeError for what is no aggregate, or has an order already.
    """
    for group in list(tree.find_all(exp.WithinGroup)):
        whole, order = group.this, group.expression
        call = whole.this if isinstance(whole, exp.IgnoreNulls) else whole  # as DuckDB's ANY_VALUE is read
        if not isinstance(call, exp.AggFunc | exp.Anonymous):
            raise NodeError(group, "WITHIN GROUP stands behind an aggregate, which this is not")
        if isinstance(call.this, exp.Order):
            raise NodeError(group, "The rows of this aggregate have an order already")
        if isinstance(order, exp.Order) and _takes_order(call):
            call.set("this", exp.Order(this=call.this, expressions=order.expressions))
            tree = replaced(tree, group, whole)
    return tree


def write_within_group(tree: exp.Expr) -> exp.Expr:
    """The other way. NodeError for a limit of the rows, which has no place behind an aggregate."""
    for call in list(tree.find_all(exp.AggFunc)):
        if isinstance(call.this, exp.Limit):
            raise NodeError(call, "an aggregate's rows have no LIMIT")
        if isinstance(order := call.this, exp.Order):
            group = exp.WithinGroup(expression=exp.Order(expressions=order.expressions))
            tree = replaced(tree, call, group)
            call.set("this", order.this)
            group.set("this", call)
    return tree


def _takes_order(call: exp.Expr) -> bool:
    """Whether it is an aggregate of rows, as against MODE() and PERCENTILE_CONT(0.5), which are of their order."""
    if not isinstance(call, exp.AggFunc) or type(call) in QUANTILES or not isinstance(call.this, exp.Expr):
        return False
    return not isinstance(call.this, exp.Literal) or isinstance(call, exp.GroupConcat)


def within_group_members() -> dict[str, Any]:
    """What a generator needs that writes the order behind every aggregate."""
    return {"withingroup_sql": _withingroup_sql}


def _withingroup_sql(self: Generator, expression: exp.WithinGroup) -> str:
    call = expression.this
    name = QUANTILES.get(type(call))  # some bases call them otherwise, where the order is an argument
    written = f"{name}({self.sql(call, 'this')})" if name else self.sql(call)
    return f"{written} WITHIN GROUP ({self.sql(expression, 'expression').strip()})"
