"""Booleans in a dialect where a condition is no value: TRUE is 1, ``WHERE active`` is ``WHERE active = 1``.

Reading leaves ``active = 1`` as it is, for the base compares the two. Only ``1 = 1``, which nobody writes for another
reason, becomes TRUE again.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.parens import outermost_paren
from sqlora.sql.dialect.spec import Booleans

_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not, exp.Exists, exp.RegexpLike, exp.StartsWith, exp.Contains)
_VALUES = (exp.Column, exp.Cast, exp.Boolean, exp.Case, exp.Coalesce, exp.Subquery, exp.AggFunc, exp.Literal)


class Conditions:
    """The boolean form of one house dialect."""

    def __init__(self, booleans: Booleans, base: sqlglot.Dialect) -> None:
        self._true = base.parse(f"SELECT {booleans.true}")[0].selects[0]  # type: ignore[union-attr]
        self._false = base.parse(f"SELECT {booleans.false}")[0].selects[0]  # type: ignore[union-attr]
        self._always = exp.EQ(this=self._true.copy(), expression=self._true.copy())
        self._never = exp.EQ(this=self._true.copy(), expression=self._false.copy())

    def read(self, tree: exp.Expr) -> exp.Expr:
        """``1 = 1`` → TRUE in ``tree`` (changed in place); NodeError for a value where a condition stands."""
        for node in list(tree.walk()):
            if node == self._always or node == self._never:
                node.replace(exp.Boolean(this=node == self._always))
            elif _is_condition_place(node) and isinstance(node, exp.Column):
                raise NodeError(
                    node, f"{node.sql()} is a value, no condition", f"write {node.sql()} = {self._true.sql()}"
                )
        return tree

    def write(self, tree: exp.Expr) -> exp.Expr:
        """Values to conditions and conditions to values, where the other stands in ``tree`` (changed in place)."""
        for node in reversed(list(tree.walk())):  # breadth first reversed: what a node is made of before the node
            here = _is_condition_place(node)
            if isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
                raise NodeError(node, "there is no way to write IS TRUE and IS FALSE")
            if isinstance(node, exp.Boolean) and not isinstance(node.parent, exp.Is):
                constants = (self._always, self._never) if here else (self._true, self._false)
                node.replace(constants[0 if node.this else 1].copy())
            elif here and isinstance(node, _VALUES) and not isinstance(node, _CONDITIONS):
                node.replace(exp.EQ(this=node.copy(), expression=self._true.copy()))
            elif not here and isinstance(node, _CONDITIONS) and _is_value_place(node):
                outermost_paren(node).replace(self._as_value(node))
        return tree

    def _as_value(self, condition: exp.Expr) -> exp.Expr:
        opposite = exp.Not(this=exp.Paren(this=condition.copy()))
        whens = [(condition, self._true), (opposite, self._false)]  # neither where it is NULL
        ifs = [exp.If(this=when.copy(), true=value.copy()) for when, value in whens]
        return exp.Case(ifs=ifs)


def _is_condition_place(node: exp.Expr) -> bool:
    """Whether a condition has to stand where ``node`` does."""
    place = outermost_paren(node)
    parent, key = place.parent, place.arg_key
    if isinstance(parent, exp.Where | exp.Having | exp.Qualify | exp.Connector | exp.Not):
        return True
    if isinstance(parent, exp.If):
        return key == "this" and not (isinstance(parent.parent, exp.Case) and parent.parent.this)
    if isinstance(parent, exp.Filter):
        return key == "expression"
    return isinstance(parent, exp.Join) and key == "on"


def _is_value_place(node: exp.Expr) -> bool:
    place = outermost_paren(node)
    parent = place.parent
    if isinstance(parent, exp.Select | exp.Alias | exp.Ordered | exp.Group | exp.Tuple):
        return place.arg_key in ("expressions", "this")
    if isinstance(parent, exp.If):
        return place.arg_key in ("true", "false")
    return isinstance(parent, exp.Case | exp.AggFunc | exp.Coalesce | exp.EQ | exp.NEQ | exp.Cast)
