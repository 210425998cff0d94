"""What a query is made of, in small: its constructs by name, and the tables and columns that it uses.

A dataset's card counts them, so that its reader sees what the data can teach and what is missing from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sqlglot import exp

if TYPE_CHECKING:
    from sqlora.sql.schema import Schema, Table

# Group → constructs, in the order in which they are shown.
CONSTRUCTS: dict[str, tuple[str, ...]] = {
    "joins": ("no join", "1 join", "2 joins", "3 or more joins", "left join", "right join", "full join",
              "cross or comma join", "self join"),
    "conditions": ("comparison", "and", "or", "not", "between", "in a list", "in a query", "exists", "like",
                   "is null"),
    "aggregates": ("count", "count distinct", "sum", "average", "minimum", "maximum", "other aggregate",
                   "aggregate with a filter"),
    "groups": ("group by", "having", "rollup or cube"),
    "nested queries": ("query in from", "query as a value", "with", "with recursive"),
    "windows": ("rank or row number", "other row", "aggregate over a window", "frame", "qualify"),
    "set operations": ("union", "union all", "intersect", "except"),
    "result": ("distinct", "order by", "nulls first or last", "first rows", "skipped rows"),
    "expressions": ("case", "cast", "coalesce", "arithmetic", "text function", "number function", "date function",
                    "interval", "json or array"),
}  # fmt: skip

_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.Ntile, exp.CumeDist)
_OTHER_ROWS = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)
_NAMED_AGGREGATES = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max)
_MODULES = {"string": "text function", "math": "number function", "temporal": "date function",
            "json": "json or array", "array": "json or array"}  # fmt: skip

Name = Callable[[Any], str]
_NAMERS_OF: dict[type[Any], tuple[Name, ...]] = {}


def constructs(tree: exp.Expr) -> tuple[str, ...]:
    """The names of `CONSTRUCTS` that a query in the base dialect's terms has, in their order."""
    found: set[str] = set()
    joins = 0
    for node in tree.walk():
        joins += type(node) is exp.Join
        for name in _namers_of(type(node)):
            found.add(name(node))
    found.add(("no join", "1 join", "2 joins", "3 or more joins")[min(joins, 3)])
    return tuple(name for names in CONSTRUCTS.values() for name in names if name in found)


def uses(tree: exp.Expr, schema: Schema) -> tuple[str, ...]:
    """The tables and columns of ``schema`` that a query names, as ``table`` and ``table.column``, spelt as there.

    A column without a table is that of every table of the query which has one of its name: enough to count what is
    never asked about, and far quicker than resolving each name.
    """
    names: dict[str, str] = {}  # of the query, and the table that each stands for
    tables: dict[str, Table] = {}
    for node in tree.find_all(exp.Table):
        table = schema.get(node.name, node.db)
        if table is not None:
            tables[table.qualified_name] = table
            names[node.alias_or_name.lower()] = names[node.name.lower()] = table.qualified_name
    found = set(tables)
    for column, owner in _columns(tree):
        inside = [names[owner]] if owner in names else [] if owner else list(tables)
        found |= {f"{name}.{here.name}" for name in inside if (here := tables[name].get(column))}
    return tuple(sorted(found))


def _columns(tree: exp.Expr) -> Iterator[tuple[str, str]]:
    """(column, the name before its point) of all that the query names."""
    for node in tree.find_all(exp.Column, exp.Join):
        if isinstance(node, exp.Column):
            yield node.name, node.table.lower()
        else:
            yield from ((key.name, "") for key in node.args.get("using") or ())


def _namers_of(kind: type[exp.Expr]) -> tuple[Name, ...]:
    """What names a node of this kind; by far most kinds have none."""
    if kind not in _NAMERS_OF:
        _NAMERS_OF[kind] = tuple(name for base, name in _NAMERS if issubclass(kind, base))
    return _NAMERS_OF[kind]


def _join(node: exp.Join) -> str:
    side, kind = str(node.side).lower(), str(node.kind).lower()
    if side in ("left", "right", "full"):
        return f"{side} join"
    bare = not any(node.args.get(key) for key in ("on", "using", "method"))
    all_pairs = kind == "cross" or (bare and not isinstance(node.this, exp.Lateral | exp.Unnest))
    return "cross or comma join" if all_pairs else ""


def _self_join(node: exp.Select) -> str:
    joined = [join.this for join in node.args.get("joins") or ()]
    if joined and (clause := node.args.get("from_")):
        joined.append(clause.this)
    sources = [source.name.lower() for source in joined if isinstance(source, exp.Table)]
    return "self join" if len(set(sources)) < len(sources) else ""


def _function(node: exp.Func) -> str:
    return _MODULES.get(type(node).__module__.rpartition(".")[2], "")


def _aggregate(node: exp.AggFunc) -> str:
    windowed = isinstance(node.parent, exp.Window | exp.IgnoreNulls | exp.RespectNulls)
    return "" if windowed or isinstance(node, (*_NAMED_AGGREGATES, *_RANKS, *_OTHER_ROWS)) else "other aggregate"


def _window(node: exp.Window) -> str:
    if isinstance(node.this, _RANKS):
        return "rank or row number"
    called = node.this.this if isinstance(node.this, exp.IgnoreNulls | exp.RespectNulls) else node.this
    return "other row" if isinstance(called, _OTHER_ROWS) else "aggregate over a window"


def _query(node: exp.Select) -> str:
    """Where a query inside another stands; a side of a set operation stands where the operation does."""
    place: exp.Expr = node
    while isinstance(place.parent, exp.SetOperation):
        place = place.parent
    if not isinstance(place.parent, exp.Subquery) or isinstance(place.parent.parent, exp.In | exp.Exists):
        return ""
    return "query in from" if isinstance(place.parent.parent, exp.From | exp.Join) else "query as a value"


_NAMERS: tuple[tuple[type[Any] | tuple[type[Any], ...], Name], ...] = (
    (exp.Join, _join),
    (exp.Select, _self_join),
    ((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), lambda node: "comparison"),
    (exp.And, lambda node: "and"),
    (exp.Or, lambda node: "or"),
    (exp.Not, lambda node: "not"),
    (exp.Between, lambda node: "between"),
    (exp.In, lambda node: "in a query" if node.args.get("query") else "in a list"),
    (exp.Exists, lambda node: "exists"),
    ((exp.Like, exp.ILike, exp.RegexpLike, exp.SimilarTo, exp.Glob), lambda node: "like"),
    (exp.Is, lambda node: "is null" if isinstance(node.expression, exp.Null) else ""),
    (exp.Count, lambda node: "count distinct" if isinstance(node.this, exp.Distinct) else "count"),
    (exp.Sum, lambda node: "sum"),
    (exp.Avg, lambda node: "average"),
    (exp.Min, lambda node: "minimum"),
    (exp.Max, lambda node: "maximum"),
    (exp.AggFunc, _aggregate),
    (exp.Filter, lambda node: "aggregate with a filter"),
    (exp.Group, lambda node: "group by"),
    ((exp.Rollup, exp.Cube, exp.GroupingSets), lambda node: "rollup or cube"),
    (exp.Having, lambda node: "having"),
    (exp.Select, _query),
    (exp.With, lambda node: "with recursive" if node.args.get("recursive") else "with"),
    (exp.Window, _window),
    (exp.WindowSpec, lambda node: "frame"),
    (exp.Qualify, lambda node: "qualify"),
    (exp.Union, lambda node: "union" if node.args.get("distinct") else "union all"),
    (exp.Intersect, lambda node: "intersect"),
    (exp.Except, lambda node: "except"),
    (exp.Distinct, lambda node: "distinct" if isinstance(node.parent, exp.Select) else ""),
    (exp.Order, lambda node: "order by" if isinstance(node.parent, exp.Query) else ""),
    (exp.Ordered, lambda node: "nulls first or last" if node.args.get("nulls_first") else ""),
    ((exp.Limit, exp.Fetch), lambda node: "first rows"),
    (exp.Offset, lambda node: "skipped rows"),
    ((exp.Case, exp.If), lambda node: "case"),
    (exp.Cast, lambda node: "cast"),
    (exp.Coalesce, lambda node: "coalesce"),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod), lambda node: "arithmetic"),
    (exp.DPipe, lambda node: "text function"),
    (exp.Func, _function),
    (exp.Interval, lambda node: "interval"),
    (exp.Bracket, lambda node: "json or array"),
)
