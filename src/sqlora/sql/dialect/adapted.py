"""What sqlglot writes for every dialect though not every one has it, said otherwise; in the one place for it.

``x <> ALL (SELECT …)`` is how it reads Snowflake's NOT IN, and SQLite has only NOT IN. ``VARCHAR(MAX)`` has a length
that is a word to SQL Server only. ``INTERVAL (-7) DAY`` loses its number where an interval is one string.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from sqlora.sql.dialect.intervals import settle_number
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.parens import infix, meets_operator, replaced, unnest

_HAVE_MAX = ("tsql", "fabric", "redshift")
_HAVE_DATEADD = ("snowflake", "redshift")  # and no product of a number and an interval
# INTERVAL takes no expression there, but the interval of one unit can be multiplied.
_MULTIPLY = ("oracle", "presto", "trino", "athena", "spark", "databricks")


def adapted(tree: exp.Expr, dialect: str, computed: bool = True) -> exp.Expr:
    """The tree (changed in place) for sqlglot's generator of ``dialect``; NodeError for what that cannot say.

    ``computed``: also the intervals whose number is not known, such as INTERVAL (n) DAY.
    """
    for node in list(tree.find_all(exp.NEQ, exp.EQ, exp.DataType, exp.Interval)):
        if isinstance(node, exp.DataType):
            if dialect not in _HAVE_MAX and any(length.name.upper() == "MAX" for length in node.expressions):
                node.set("expressions", [])
        elif isinstance(node, exp.Interval):
            settle_number(node)
            if computed and _is_computed(node):
                tree = _computed(node, dialect, tree)
        elif isinstance(node, exp.EQ | exp.NEQ) and isinstance(
            node.expression, exp.Any if isinstance(node, exp.EQ) else exp.All
        ):
            tree = _membership(node, tree)
    return tree


def _membership(node: exp.EQ | exp.NEQ, tree: exp.Expr) -> exp.Expr:
    """x = ANY (SELECT …) → x IN (SELECT …), x <> ALL (SELECT …) → x NOT IN (SELECT …); arrays stay."""
    query = unnest(node.expression.this.unnest())
    if not isinstance(query, exp.Query):
        return tree
    found: exp.Expr = exp.In(this=node.this, query=exp.Subquery(this=query))
    if isinstance(node, exp.NEQ):
        found = exp.Not(this=found)
    if meets_operator(node) and not isinstance(node.parent, exp.Connector | exp.Not):
        found = exp.Paren(this=found)
    return replaced(tree, node, found)


def _is_computed(interval: exp.Interval) -> bool:
    amount = interval.this
    return amount is not None and not isinstance(amount, exp.Literal) and isinstance(interval.unit, exp.Var)


def _computed(interval: exp.Interval, dialect: str, tree: exp.Expr) -> exp.Expr:
    """INTERVAL (n) DAY → n * INTERVAL '1' DAY, or, with what it is added to, DATEADD(DAY, n, …)."""
    amount, unit = unnest(interval.this), interval.args["unit"]
    amount = exp.Paren(this=amount) if infix(amount) else amount
    if dialect in _HAVE_DATEADD:
        total, other = interval.parent, None
        if isinstance(total, exp.Add | exp.Sub):
            other = total.this if interval.arg_key == "expression" else total.expression
        if total is None or other is None or isinstance(other, exp.Interval) or (
            isinstance(total, exp.Sub) and interval.arg_key == "this"
        ):
            raise NodeError(interval, "an interval of a computed length stands only beside a date", "add it to a date")
        if isinstance(total, exp.Sub):
            amount = exp.Neg(this=amount)
        return replaced(tree, total, exp.DateAdd(this=other, expression=unnest(amount), unit=unit))
    generator = sqlglot.Dialect.get_or_raise(dialect).generator_class
    if not generator.SINGLE_STRING_INTERVAL and dialect not in _MULTIPLY:
        return tree
    product: exp.Expr = exp.Mul(this=amount, expression=exp.Interval(this=exp.Literal.string("1"), unit=unit))
    sum_or_comparison = exp.Add | exp.Sub | exp.Predicate | exp.Connector
    if meets_operator(interval) and not isinstance(interval.parent, sum_or_comparison):
        product = exp.Paren(this=product)
    return replaced(tree, interval, product)
