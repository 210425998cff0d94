"""What a house does not allow: constructs by name, functions, words.

A key of ``[forbidden]`` is a construct named below (``star``, ``subquery``), a function (``RANDOM()``), or a word or
phrase of the house (``NATURAL JOIN``); its value tells people what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import sqlglot
from sqlglot import exp

from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.template import MARK


def _star(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Star):
        return False
    column = node.parent if isinstance(node.parent, exp.Column) else node
    return isinstance(column.parent, exp.Select)


def _position(node: exp.Expr) -> bool:
    return isinstance(node.parent, exp.Ordered | exp.Group) and isinstance(node, exp.Literal) and node.is_int


def _join(node: exp.Expr, side: str = "", kind: str = "", method: str = "") -> bool:
    if not isinstance(node, exp.Join):
        return False
    wanted = [text for text, given in ((node.side, side), (node.kind, kind), (node.method, method)) if given]
    return wanted == [given for given in (side, kind, method) if given]


def _comma_join(node: exp.Expr) -> bool:
    keys = ("side", "kind", "method", "on", "using")
    return isinstance(node, exp.Join) and not any(node.args.get(key) for key in keys)


def _subquery(node: exp.Expr) -> bool:
    nested = isinstance(node, exp.Subquery | exp.Exists) or (isinstance(node, exp.In) and bool(node.args.get("query")))
    return nested and not (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.In | exp.SetOperation))


CONSTRUCTS: dict[str, tuple[str, Callable[[exp.Expr], bool]]] = {
    "star": ("SELECT *", _star),
    "distinct": ("SELECT DISTINCT", lambda n: isinstance(n, exp.Distinct) and isinstance(n.parent, exp.Select)),
    "subquery": ("a query inside another", _subquery),
    "derived_table": (
        "a query in FROM",
        lambda n: isinstance(n, exp.Subquery) and isinstance(n.parent, exp.From | exp.Join),
    ),
    "cte": ("WITH", lambda n: isinstance(n, exp.With)),
    "recursive_cte": ("WITH RECURSIVE", lambda n: isinstance(n, exp.With) and bool(n.recursive)),
    "window": ("OVER", lambda n: isinstance(n, exp.Window)),
    "set_operator": ("UNION, INTERSECT and EXCEPT", lambda n: isinstance(n, exp.SetOperation)),
    "comma_join": ("tables with a comma between them", _comma_join),
    "cross_join": ("CROSS JOIN", lambda n: _join(n, kind="CROSS")),
    "natural_join": ("NATURAL JOIN", lambda n: _join(n, method="NATURAL")),
    "right_join": ("RIGHT JOIN", lambda n: _join(n, side="RIGHT")),
    "full_join": ("FULL JOIN", lambda n: _join(n, side="FULL")),
    "using": ("USING", lambda n: isinstance(n, exp.Join) and bool(n.args.get("using"))),
    "having": ("HAVING", lambda n: isinstance(n, exp.Having)),
    "qualify": ("QUALIFY", lambda n: isinstance(n, exp.Qualify)),
    "filter": ("FILTER", lambda n: isinstance(n, exp.Filter)),
    "order_by_position": ("a number in ORDER BY or GROUP BY", _position),
    "limit": ("LIMIT", lambda n: isinstance(n, exp.Limit | exp.Fetch)),
    "offset": ("OFFSET", lambda n: isinstance(n, exp.Offset)),
}


class Forbidden:
    """The constructs and functions that a house refuses in both directions; its words are in `Words`."""

    def __init__(self, forbidden: Mapping[str, str], base: sqlglot.Dialect) -> None:
        self._constructs = [(*CONSTRUCTS[key], hint) for key, hint in forbidden.items() if key in CONSTRUCTS]
        self._functions = {function(key, base): (key, hint) for key, hint in forbidden.items() if is_function(key)}

    def __bool__(self) -> bool:
        return bool(self._constructs or self._functions)

    def check(self, tree: exp.Expr) -> None:
        """NodeError at what is not allowed."""
        for node in tree.walk():
            for shown, matches, hint in self._constructs:
                if matches(node):
                    raise NodeError(_around(node), f"{shown} is not allowed", hint or None)
            if isinstance(node, exp.Func) and (found := self._functions.get(_identity(node))):
                raise NodeError(node, f"{found[0]} is not allowed", found[1] or None)


def words(forbidden: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """The words and phrases among the keys, and what to write instead."""
    return [(key, hint) for key, hint in forbidden.items() if key not in CONSTRUCTS and not is_function(key)]


def is_function(key: str) -> bool:
    """Whether a key of ``[forbidden]`` names a function."""
    return bool(re.fullmatch(r"\s*\w+\s*\(\s*\)\s*", key))


def function(key: str, base: sqlglot.Dialect) -> object:
    """What tells calls of the base's function ``NAME()`` from others; under whatever name it is written."""
    name = key.partition("(")[0].strip().upper()
    build = base.parser_class.FUNCTIONS.get(name)
    for arguments in ([], [exp.column("a")], [exp.column("a"), exp.column("b")]):
        try:
            node = build(arguments) if build else None
        except Exception:  # a builder that wants other arguments: any error is its own
            continue
        if isinstance(node, exp.Func):
            return _identity(node)
    return name


def _identity(node: exp.Func) -> object:
    return str(node.this).removeprefix(MARK).upper() if isinstance(node, exp.Anonymous) else type(node)


def _around(node: exp.Expr) -> exp.Expr:
    """The nearest part that has a place in the text."""
    while node.parent and not any("start" in each.meta for each in node.walk()):
        node = node.parent
    return node
