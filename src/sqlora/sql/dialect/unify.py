"""Unification: whether a tree is an instance of a template's body, and with which arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from sqlora.sql.dialect.parens import unnest
from sqlora.sql.dialect.template import Template

Bindings = dict[str, exp.Expr | list[exp.Expr]]


# What `ways` knows another way to say.
SAID_OTHERWISE = (exp.Sub, exp.DateTrunc)


def ways(node: exp.Expr) -> Iterator[exp.Expr]:
    """``node``, and what it might as well be: d - INTERVAL '5' DAY is d + INTERVAL '-5' DAY."""
    yield node
    if type(node) is exp.Sub and isinstance(node.expression, exp.Interval):
        number = node.expression.this
        if isinstance(number, exp.Literal) and re.fullmatch(r"-?\d+", number.name):
            turned = number.name[1:] if number.name.startswith("-") else f"-{number.name}"
            unit = node.expression.args.get("unit")
            interval = exp.Interval(this=exp.Literal.string(turned), unit=unit.copy() if unit else None)
            yield exp.Add(this=node.this.copy(), expression=interval)
    # DuckDB's DATE_TRUNC is one of two nodes, by the type of what is truncated.
    if type(node) is exp.DateTrunc and node.args.get("unit"):
        yield exp.TimestampTrunc(this=node.this.copy(), unit=exp.Var(this=node.args["unit"].name.upper()))


def unify(each: Template, pattern: object, node: object, bindings: Bindings, relaxed: bool) -> bool:
    """Whether ``node`` is an instance of ``pattern``; fills ``bindings``.

    ``relaxed``: a pattern's CAST around a parameter may be missing: YEAR(d) is an instance of
    YEAR(CAST(d AS DATE)), which gives the same where both are defined.
    """
    if not isinstance(pattern, exp.Expr) or not isinstance(node, exp.Expr):
        return pattern == node
    pattern, node = unnest(pattern), unnest(node)
    if parameter := each.parameter(pattern):
        if not isinstance(pattern, exp.Column):
            named = _named(pattern, node)
            return named is not None and bindings.setdefault(parameter, named) == named
        if isinstance(pattern.parent, exp.Interval):
            node = _number(node)
        bound = bindings.setdefault(parameter, node)
        return bound is node or bound == node
    if type(pattern) is exp.Var and type(node) is exp.Var:  # INTERVAL '5' DAYS is INTERVAL '5' DAY
        return _singular(pattern.name) == _singular(node.name)
    if type(pattern) is not type(node):
        cast = relaxed and isinstance(pattern, exp.Cast) and each.parameter(pattern.this)
        return bool(cast) and unify(each, pattern.this, node, bindings, relaxed)
    return all(
        _unify_argument(each, pattern.args.get(key), node.args.get(key), bindings, relaxed)
        for key in pattern.args.keys() | node.args.keys()
    )


def _named(slot: exp.Expr, node: exp.Expr) -> exp.Expr | None:
    """The argument to write for what stands in the slot of a unit or of a table's alias."""
    if isinstance(slot, exp.Identifier):
        return exp.Column(this=node.copy()) if isinstance(node, exp.Identifier) else None
    if isinstance(node, exp.Var | exp.Literal) and node.name.isalpha():
        return exp.Var(this=_singular(node.name))
    return None


def _unify_argument(each: Template, pattern: object, node: object, bindings: Bindings, relaxed: bool) -> bool:
    if not isinstance(pattern, list):
        return (not pattern and not node) or unify(each, pattern, node, bindings, relaxed)
    nodes = node if isinstance(node, list) else []
    parameter = each.parameter(pattern[-1]) if pattern and each.variadic else None
    if parameter and parameter == each.parameters[-1]:
        head = pattern[:-1]
        if len(nodes) <= len(head):
            return False
        bindings[parameter] = list(nodes[len(head) :])
        nodes = nodes[: len(head)]
        pattern = head
    return len(pattern) == len(nodes) and all(
        unify(each, a, b, bindings, relaxed) for a, b in zip(pattern, nodes, strict=True)
    )


def _number(text: exp.Expr) -> exp.Expr:
    """The number that the string of an interval is; what is no number stays as it is."""
    if isinstance(text, exp.Literal) and text.is_string and re.fullmatch(r"-?\d+", text.name):
        number = exp.Literal.number(text.name.removeprefix("-"))
        return exp.Neg(this=number) if text.name.startswith("-") else number
    return text


def _singular(unit: str) -> str:
    return unit.upper().removesuffix("S")
