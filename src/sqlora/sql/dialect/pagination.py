"""The first n rows, as a house asks for them: LIMIT, TOP, FETCH FIRST or ROWNUM. The tree always has a LIMIT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.parser import Parser

from sqlora.sql.dialect.aggregation import aggregates, has_window
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.spec import DialectSpec, Pagination

_INSTEAD = {
    "top": "SELECT {word} n",
    "fetch": "FETCH FIRST n ROWS ONLY",
    "top-fetch": "SELECT {word} n",
    "rownum": "WHERE ROWNUM <= n",
}
_UNLESS_PLAIN = ("group", "having", "order", "distinct", "qualify", "offset", "limit", "windows", "connect")


def words(spec: DialectSpec) -> Iterator[tuple[str, str]]:
    """The house's words of pagination and the base's."""
    page = spec.pagination
    if page.style in ("top", "top-fetch"):
        yield top_word(page), "TOP"
    elif page.limit:
        yield page.limit, "LIMIT"
    if page.offset:
        yield page.offset, "OFFSET"


def top_word(page: Pagination) -> str:
    """The word before n in ``SELECT TOP n``."""
    return page.limit or "TOP"


def instead_of_limit(page: Pagination) -> str | None:
    """What the house writes where others write LIMIT; None where it has LIMIT or a word for it."""
    shown = _INSTEAD.get(page.style)
    return shown.format(word=top_word(page)) if shown else None


class FetchParser(Parser):
    """Reads FETCH FIRST n ROWS ONLY as the LIMIT that it is."""

    def _parse_limit(
        self, this: exp.Expr | None = None, top: bool = False, skip_limit_token: bool = False
    ) -> exp.Expr | None:
        found = super()._parse_limit(this, top, skip_limit_token)
        if not isinstance(found, exp.Fetch):
            return found
        options = found.args.get("limit_options")
        if options and (options.args.get("with_ties") or options.args.get("percent")):
            self.raise_error("only FETCH … ROWS ONLY is read: neither PERCENT nor WITH TIES", self._prev)
        return exp.Limit(expression=found.args.get("count") or exp.Literal.number(1))


def fetch_members() -> dict[str, Any]:
    """The generator's members that write OFFSET n ROWS FETCH NEXT m ROWS ONLY."""

    def modifiers(self: Generator, query: exp.Expr, fetch: bool, limit: exp.Expr | None) -> list[str]:
        offset = query.args.get("offset")
        parts = [f"{self.seg('OFFSET')} {self.sql(offset, 'expression')} ROWS"] if offset else []
        if limit:
            count = limit.args.get("count" if fetch else "expression")
            parts.append(f"{self.seg('FETCH')} {'NEXT' if offset else 'FIRST'} {self.sql(count)} ROWS ONLY")
        return parts

    return {"offset_limit_modifiers": modifiers, "LIMIT_FETCH": "ALL"}


def write_top(tree: exp.Expr, fetch: bool) -> exp.Expr:
    """Make every LIMIT in ``tree`` (changed in place) one that TOP can say; ``fetch``: those with an offset FETCH."""
    for query in reversed(list(tree.find_all(exp.Query))):
        limit, offset = query.args.get("limit"), query.args.get("offset")
        if not isinstance(limit, exp.Limit):
            continue
        if offset and fetch:
            query.set("limit", exp.Fetch(direction="NEXT", count=limit.expression))
        elif not isinstance(query, exp.Select):
            tree = _wrapped(tree, query)
    return tree


def _wrapped(tree: exp.Expr, query: exp.Query) -> exp.Expr:
    """``query`` as SELECT * FROM (query), which takes over its order and its limit."""
    inner = query.copy()
    outer = exp.select("*").from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("limited"))))
    for key in ("order", "limit", "offset", "with_"):
        if value := inner.args.get(key):
            outer.set(key, value.copy())
            inner.set(key, None)
    if query is tree:
        return outer
    query.replace(outer)
    return tree


# ── ROWNUM ───────────────────────────────────────────────────────────────────────────────────────────────────


def read_rownum(tree: exp.Expr) -> exp.Expr:
    """WHERE ROWNUM <= n → LIMIT n in ``tree`` (changed in place); NodeError where it would count other rows."""
    for select in reversed(list(tree.find_all(exp.Select))):
        where = select.args.get("where")
        conditions = list(_conjuncts(where.this)) if where else []
        counted = [condition for condition in conditions if _count(condition) is not None]
        if len(counted) == 1:
            tree = _limit(tree, select, counted[0], [each for each in conditions if each is not counted[0]])
    for node in tree.find_all(exp.Column, exp.Pseudocolumn):
        if _is_rownum(node):
            raise NodeError(node, "ROWNUM stands in WHERE ROWNUM <= n and nowhere else")
    return tree


def _limit(tree: exp.Expr, select: exp.Select, condition: exp.Expr, rest: list[exp.Expr]) -> exp.Expr:
    if not is_plain(select):
        raise NodeError(
            condition,
            "ROWNUM counts the rows before they are sorted or grouped",
            "write SELECT * FROM (the query) WHERE ROWNUM <= n",
        )
    count = _count(condition)
    select.set("where", exp.Where(this=exp.and_(*rest, copy=False)) if rest else None)
    inner = _only_subquery(select)
    if inner is None or rest or inner.args.get("limit") or inner.args.get("offset"):
        select.set("limit", exp.Limit(expression=count))
        return tree
    inner = inner.pop()
    if with_ := select.args.get("with_"):
        inner.set("with_", with_.pop())
    inner.set("limit", exp.Limit(expression=count))
    if select is tree:
        return inner
    select.replace(inner)
    return tree


def write_rownum(tree: exp.Expr) -> exp.Expr:
    """LIMIT n without an offset → WHERE ROWNUM <= n in ``tree`` (changed in place)."""
    for query in reversed(list(tree.find_all(exp.Query))):
        limit = query.args.get("limit")
        if not isinstance(limit, exp.Limit) or query.args.get("offset"):
            continue
        limit.pop()
        condition = exp.LTE(this=exp.column("ROWNUM"), expression=limit.expression)
        if isinstance(query, exp.Select) and is_plain(query) and query.args.get("from_"):
            query.where(condition, copy=False)
            continue
        with_ = query.args.get("with_")
        place = query.copy()
        place.set("with_", None)
        outer = exp.select("*").from_(exp.Subquery(this=place)).where(condition, copy=False)
        if with_:
            outer.set("with_", with_.copy())
        if query is tree:
            tree = outer
        else:
            query.replace(outer)
    return tree


def is_plain(select: exp.Select) -> bool:
    """Whether counting the rows of FROM … WHERE is counting those of the result."""
    if any(select.args.get(key) for key in _UNLESS_PLAIN):
        return False
    return not any(aggregates(item) or has_window(item) for item in select.expressions)


def _only_subquery(select: exp.Select) -> exp.Query | None:
    """The query of ``SELECT * FROM (query)``, where the select does nothing else."""
    source = select.args["from_"].this if select.args.get("from_") else None
    if not isinstance(source, exp.Subquery) or source.alias or not isinstance(source.this, exp.Query):
        return None
    others = any(value for key, value in select.args.items() if key not in ("expressions", "from_", "with_"))
    star = len(select.expressions) == 1 and type(select.expressions[0]) is exp.Star
    return source.this if star and not others and not select.expressions[0].args.get("except_") else None


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _count(condition: exp.Expr) -> exp.Expr | None:
    """The n of ``ROWNUM <= n``, ``ROWNUM < n`` or ``ROWNUM = 1``."""
    if not isinstance(condition, exp.LTE | exp.LT | exp.EQ) or not _is_rownum(condition.this):
        return None
    count: exp.Expr = condition.expression
    whole = isinstance(count, exp.Literal) and count.is_int
    if isinstance(condition, exp.LTE):
        return count.copy()
    if isinstance(condition, exp.LT) and whole:
        return exp.Literal.number(max(int(count.name) - 1, 0))
    return count.copy() if isinstance(condition, exp.EQ) and whole and count.name == "1" else None


def _is_rownum(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Column | exp.Pseudocolumn):
        return False
    quoted = isinstance(node.this, exp.Identifier) and node.this.args.get("quoted")
    return node.name.upper() == "ROWNUM" and not quoted and not node.args.get("table")
