"""What a query is made of, for the breakdown: joins, grouping, subqueries, windows, top-n, dates."""

from __future__ import annotations

from sqlglot import exp

# In the order in which they are shown.
JOINS = ("no join", "1 join", "2 joins", "3 or more joins")
OTHERS = ("group by", "having", "subquery", "window", "order", "order + take", "distinct", "set operation", "case",
          "date functions")  # fmt: skip
FEATURES = (*JOINS, *OTHERS)


def features(tree: exp.Expr) -> tuple[str, ...]:
    """The features of a query in the base dialect's terms, in the order of `FEATURES`."""
    joins = sum(1 for _ in tree.find_all(exp.Join))
    found = {JOINS[min(joins, len(JOINS) - 1)]}
    ordered = any(node.args.get("order") for node in tree.find_all(exp.Query))
    has = {
        "group by": _any(tree, exp.Group),
        "having": _any(tree, exp.Having),
        "subquery": _nested(tree),
        "window": _any(tree, exp.Window),
        "order": ordered,
        "order + take": ordered and _any(tree, exp.Limit, exp.Fetch),
        "distinct": _any(tree, exp.Distinct),
        "set operation": _any(tree, exp.SetOperation),
        "case": _any(tree, exp.Case, exp.If),
        "date functions": any(_is_temporal(node) for node in tree.find_all(exp.Func, exp.Interval)),
    }
    found |= {name for name, there in has.items() if there}
    return tuple(name for name in FEATURES if name in found)


def _any(tree: exp.Expr, *kinds: type[exp.Expr]) -> bool:
    return tree.find(*kinds) is not None


def _nested(tree: exp.Expr) -> bool:
    """A query inside a query; the sides of a set operation are not inside of it."""
    return any(
        node is not tree and not isinstance(node.parent, exp.SetOperation) for node in tree.find_all(exp.Select)
    ) or any(node.find_ancestor(exp.Query) for node in tree.find_all(exp.SetOperation))


def _is_temporal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Interval) or type(node).__module__.endswith(".temporal")
