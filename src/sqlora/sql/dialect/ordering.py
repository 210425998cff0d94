"""ORDER BY in a dialect without NULLS FIRST and NULLS LAST: what is not its own order takes one more key."""

from __future__ import annotations

from sqlglot import exp

from sqlora.sql.dialect.node_error import NodeError


class Ordering:
    """``nulls``: ``low`` first when ascending · ``high`` first when descending · ``last`` always."""

    def __init__(self, nulls: str) -> None:
        self._nulls = nulls

    def first(self, ordered: exp.Ordered) -> bool:
        """Whether NULLs come first where nothing is said."""
        return self._nulls != "last" and bool(ordered.args.get("desc")) == (self._nulls == "high")

    def write(self, tree: exp.Expr) -> exp.Expr:
        """ORDER BY x NULLS LAST → ORDER BY CASE WHEN x IS NULL THEN 1 ELSE 0 END, x in ``tree`` (changed in place)."""
        for ordered in reversed(list(tree.find_all(exp.Ordered))):  # inner ones first: the key is a copy
            own = self.first(ordered)
            if bool(ordered.args.get("nulls_first")) == own:
                continue
            if not _tells_nulls(ordered.this):
                ordered.set("this", _by_name(ordered))
                _insert_before(ordered, self._key(ordered))
            ordered.set("nulls_first", own)
        return tree

    def read(self, tree: exp.Expr) -> exp.Expr:
        """The other way."""
        for key in list(tree.find_all(exp.Ordered)):
            following = _next(key)
            if following is None or key.args.get("desc"):
                continue
            for first in (True, False):
                if key.this == _null_key(following.this, first):
                    following.set("nulls_first", first)
                    key.pop()
                    break
        return tree

    def _key(self, ordered: exp.Ordered) -> exp.Ordered:
        key = exp.Ordered(this=_null_key(ordered.this, bool(ordered.args.get("nulls_first"))))
        key.set("nulls_first", self.first(key))
        return key


def _null_key(value: exp.Expr, first: bool) -> exp.Case:
    null = exp.If(this=exp.Is(this=value.copy(), expression=exp.Null()), true=exp.Literal.number(0 if first else 1))
    return exp.Case(ifs=[null], default=exp.Literal.number(1 if first else 0))


def _tells_nulls(node: exp.Expr) -> bool:
    """Whether ``node`` is such a key, which is never NULL."""
    inner = node.args["ifs"][0].this if isinstance(node, exp.Case) and len(node.args["ifs"]) == 1 else None
    return isinstance(inner, exp.Is) and node in (_null_key(inner.this, True), _null_key(inner.this, False))


def _by_name(ordered: exp.Ordered) -> exp.Expr:
    """What is sorted by, where a position stands for it."""
    node: exp.Expr = ordered.this
    if not isinstance(node, exp.Literal) or not node.is_int:
        return node.copy()
    query = ordered.find_ancestor(exp.Query)
    items = query.selects if query else []
    item = items[int(node.name) - 1] if 0 < int(node.name) <= len(items) else None
    if item is None or item.is_star:
        raise NodeError(ordered, f"NULLS FIRST and LAST of position {node.name} have no name to be written with")
    if isinstance(query, exp.Select) and not isinstance(item, exp.Alias):
        return item.copy()
    return exp.column(exp.to_identifier(item.alias_or_name, quoted=_quoted(item)))


def _quoted(item: exp.Expr) -> bool:
    name = item.args.get("alias") if isinstance(item, exp.Alias) else item.this
    return isinstance(name, exp.Identifier) and bool(name.args.get("quoted"))


def _siblings(ordered: exp.Ordered) -> list[exp.Expr]:
    return list(ordered.parent.expressions) if isinstance(ordered.parent, exp.Order) else []


def _insert_before(ordered: exp.Ordered, key: exp.Ordered) -> None:
    if isinstance(ordered.parent, exp.Order):
        siblings = _siblings(ordered)
        siblings.insert(next(at for at, each in enumerate(siblings) if each is ordered), key)
        ordered.parent.set("expressions", siblings)


def _next(ordered: exp.Ordered) -> exp.Ordered | None:
    siblings = _siblings(ordered)
    at = next((at for at, each in enumerate(siblings) if each is ordered), len(siblings))
    following = siblings[at + 1] if at + 1 < len(siblings) else None
    return following if isinstance(following, exp.Ordered) else None
