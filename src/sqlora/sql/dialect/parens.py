"""Parentheses in trees: where they mean nothing, and where an operator beside another needs them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_INFIX = (exp.Binary, exp.Unary, exp.Between, exp.In)  # exp.Paren is a Unary too


def children(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes that ``node`` is directly made of."""
    for value in node.args.values():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                yield child


def replaced(tree: exp.Expr, old: exp.Expr, new: exp.Expr) -> exp.Expr:
    """The tree, changed in place, with ``new`` where ``old`` was, which may be all of it."""
    if old is tree:
        return new
    old.replace(new)
    return tree


def unnest(node: exp.Expr) -> exp.Expr:
    """``node`` without the parentheses around it."""
    while type(node) is exp.Paren:
        node = node.this
    return node


def outermost_paren(node: exp.Expr) -> exp.Expr:
    """``node``, or the outermost of the parentheses around it."""
    while type(node.parent) is exp.Paren:
        node = node.parent
    return node


def without_parens(body: exp.Expr) -> exp.Expr:
    """The body without its outer parentheses; inner ones stay, unification looks through them."""
    body = unnest(body)
    body.parent = None
    return body


def infix(node: exp.Expr) -> bool:
    """Whether ``node`` is written with an operator, so that a neighbouring operator could tear it apart."""
    return isinstance(node, _INFIX) and not isinstance(node, exp.Paren | exp.Dot)


def meets_operator(place: exp.Expr) -> bool:
    """Whether ``place`` is an operand, as against an item of a list or an argument of a call."""
    parent = place.parent
    if isinstance(parent, exp.In | exp.Bracket) and place.arg_key != "this":
        return False
    return isinstance(parent, (*_INFIX, exp.Bracket, exp.Interval)) and not isinstance(parent, exp.Paren)


def needs_paren(value: exp.Expr, place: exp.Expr) -> bool:
    """Whether ``value`` needs parentheses where ``place`` is."""
    if isinstance(value, exp.Neg) and isinstance(value.this, exp.Literal):
        return isinstance(place.parent, exp.Unary | exp.Bracket | exp.Interval)
    return infix(value) and meets_operator(place)
