"""Reading pipes: ``FROM t |> WHERE a > 1 |> AGGREGATE SUM(b) AS total GROUP BY c |> ORDER BY total DESC |> LIMIT 5``.

Operators are those of GoogleSQL (Shute et al., "SQL has problems. We can fix them: pipe syntax in SQL", VLDB 2024).
Each becomes a clause of one SELECT as long as that means the same, so that a pipe and the SELECT that it says are one
tree; where it would not, what came before becomes a query in FROM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.sql.dialect.aggregation import aggregates, has_window, is_window, note_kind

_SET_OPERATORS = {TokenType.UNION: exp.Union, TokenType.EXCEPT: exp.Except, TokenType.INTERSECT: exp.Intersect}
_NOT_FIRST = ("where", "group", "having", "order", "limit", "offset", "qualify", "laterals")
_KNOWN = "WHERE, SELECT, EXTEND, AGGREGATE, DISTINCT, JOIN, ORDER BY, LIMIT, AS, UNION, INTERSECT and EXCEPT"


class _Pipe:
    """The query so far: which clauses it has, and the outputs that later operators may name."""

    def __init__(self, query: exp.Query) -> None:
        if isinstance(query, exp.Subquery) and not query.alias and isinstance(query.this, exp.Query):
            query = query.this
        whole = isinstance(query, exp.Select) and bool(query.args.get("from_")) and query.is_star
        self.query = query
        self.closed = not whole or any(query.args.get(key) for key in _NOT_FIRST)  # by SELECT or a set operator
        self.grouped = self.extended = False
        self.outputs: dict[str, exp.Expr] = {}  # names given by AGGREGATE and EXTEND

    @property
    def cut(self) -> bool:
        """Whether rows have been cut off, so that nothing may change before that."""
        return bool(self.query.args.get("limit") or self.query.args.get("offset"))

    @property
    def select(self) -> exp.Select:
        assert isinstance(self.query, exp.Select)
        return self.query

    def nest(self, alias: exp.Expr | None = None) -> None:
        """What there is becomes a query in FROM."""
        inner = self.query
        source = inner.args["from_"].this if isinstance(inner, exp.Select) and inner.args.get("from_") else None
        single = source is not None and not inner.args.get("joins") and not self.grouped
        name = alias or exp.to_identifier((source.alias_or_name if single and source else "") or "piped")
        with_ = inner.args.get("with_")
        if with_:
            with_.pop()
        query = exp.select("*").from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=name)), copy=False)
        if with_:
            query.set("with_", with_)
        self.query = query
        self.closed = self.grouped = self.extended = False
        self.outputs = {}

    def inline(self, node: exp.Expr, keep: frozenset[str] = frozenset()) -> exp.Expr:
        """``node`` with the names of outputs, except those to ``keep``, replaced by what they stand for."""

        def value(each: exp.Expr) -> exp.Expr:
            if not isinstance(each, exp.Column) or each.args.get("table") or each.name in keep:
                return each
            found = self.outputs.get(each.name)
            if found is None:
                return each
            operand = isinstance(each.parent, exp.Binary | exp.Unary | exp.Between | exp.In) and isinstance(
                found, exp.Binary
            )
            return exp.Paren(this=found.copy()) if operand else found.copy()

        return node.transform(value)


class PipeParser(Parser):
    """Reads queries as pipes, and refuses those with a FROM after SELECT."""

    house_kinds: Mapping[str, str]  # the marked names of house functions that are aggregates or windows

    def _parse_function_call(self, *arguments: Any, **options: Any) -> exp.Expr | None:
        call = super()._parse_function_call(*arguments, **options)
        if isinstance(call, exp.Anonymous):
            note_kind(call, self.house_kinds.get(call.name.upper(), ""))
        return call

    def _parse_select_query(
        self,
        nested: bool = False,
        table: bool = False,
        parse_subquery_alias: bool = True,
        parse_set_operation: bool = True,
    ) -> exp.Expr | None:
        first = self._curr
        query = super()._parse_select_query(nested, table, parse_subquery_alias, parse_set_operation)
        if isinstance(query, exp.Select) and first and query.args.get("from_"):
            later = next((key for key in _NOT_FIRST if query.args.get(key)), None)
            if first.token_type is TokenType.SELECT:
                self.raise_error("a query is written FROM … |> SELECT …", first)
            elif first.token_type is TokenType.FROM and later:
                self.raise_error(f"after FROM, {later.upper()} and the like are written |> {later.upper()} …", first)
        elif isinstance(query, exp.SetOperation) and first and first.token_type in (TokenType.SELECT, TokenType.FROM):
            self.raise_error("a set operator is written |> UNION ALL (FROM …)", first)
        return query

    def _parse_pipe_syntax_query(self, query: exp.Query) -> exp.Query | None:
        pipe = _Pipe(query)
        while self._match(TokenType.PIPE_GT):
            token = self._curr
            operator = _OPERATORS.get(token.text.upper() if token else "")
            if token and token.token_type in _SET_OPERATORS:
                self._advance()
                _set_operator(self, pipe, token)
            elif operator and token:
                self._advance()
                operator(self, pipe)
            elif not _join(self, pipe):
                self.raise_error(f"|> takes {_KNOWN} here", token)
        return pipe.query


# ── the operators ────────────────────────────────────────────────────────────────────────────────────────────
# Each has read its own word.


def _where(parser: Any, pipe: _Pipe) -> None:
    condition = parser._parse_disjunction() or parser.raise_error("WHERE takes a condition")
    windows = any(has_window(value) for value in pipe.outputs.values())
    if pipe.closed or pipe.cut or pipe.query.args.get("distinct") or (windows and not pipe.grouped):
        pipe.nest()
    key, kind = ("having", exp.Having) if pipe.grouped else ("where", exp.Where)
    condition = pipe.inline(condition)
    known = pipe.query.args.get(key)
    pipe.query.set(key, kind(this=exp.and_(known.this, condition, copy=False) if known else condition))


def _select(parser: Any, pipe: _Pipe) -> None:
    word = parser._prev
    distinct = bool(parser._match(TokenType.DISTINCT))
    items = parser._parse_expressions()
    if not items:
        parser.raise_error("SELECT takes what is to be seen")
    if any(_window_in_window(pipe.inline(item)) for item in items):
        pipe.nest()
    computed = distinct or any(has_window(item) or aggregates(item) for item in items)
    if pipe.closed or pipe.query.args.get("distinct") or (pipe.cut and computed):
        pipe.nest()
    if not pipe.grouped and any(aggregates(item) for item in items):
        parser.raise_error("sums and counts are written |> AGGREGATE …", word)
    if pipe.grouped or pipe.extended:
        items = [_named(pipe.inline(item), item) for item in items]
    names = frozenset(item.alias_or_name for item in items)
    order = pipe.query.args.get("order")
    if order:
        _check_order(parser, pipe, order, items)
        pipe.query.set("order", pipe.inline(order, keep=names if pipe.grouped or pipe.extended else frozenset()))
    pipe.select.set("expressions", items)
    pipe.select.set("distinct", exp.Distinct() if distinct else None)
    pipe.closed = True


def _check_order(parser: Any, pipe: _Pipe, order: exp.Expr, items: list[exp.Expr]) -> None:
    """A name in ORDER BY before SELECT is a column; after, it would be what SELECT calls so."""
    renamed = {item.alias for item in items if isinstance(item, exp.Alias) and item.this.name != item.alias}
    for column in order.find_all(exp.Column):
        if column.name in renamed and not column.args.get("table") and column.name not in pipe.outputs:
            parser.raise_error(f"{column.name} is a column in ORDER BY and another one in SELECT", parser._prev)


def _extend(parser: Any, pipe: _Pipe) -> None:
    word = parser._prev
    items = parser._parse_expressions()
    if not items or not all(isinstance(item, exp.Alias) for item in items):
        parser.raise_error("EXTEND takes expressions with names: EXTEND price * count AS total", word)
    if pipe.closed or pipe.cut or pipe.grouped or pipe.query.args.get("distinct"):
        pipe.nest()
    for item in items:
        if _window_in_window(pipe.inline(item.this)):
            pipe.nest()
        item.set("this", pipe.inline(item.this))
        pipe.select.append("expressions", item)
        pipe.outputs[item.alias] = item.this
    pipe.extended = True


def _aggregate(parser: Any, pipe: _Pipe) -> None:
    grouped = parser._match(TokenType.GROUP_BY, advance=False)
    items = [] if grouped else parser._parse_expressions()
    keys = parser._parse_expressions() if parser._match(TokenType.GROUP_BY) else []
    if not items and not keys:
        parser.raise_error("AGGREGATE takes sums, counts and the like, or GROUP BY")
    if pipe.closed or pipe.cut or pipe.grouped or pipe.extended or pipe.query.args.get("order"):
        pipe.nest()
    pipe.select.set("expressions", [*keys, *items])
    if keys:
        pipe.select.set("group", exp.Group(expressions=[key.unalias().copy() for key in keys]))
    pipe.outputs = {each.alias_or_name: each.unalias() for each in [*keys, *items] if each.alias_or_name}
    pipe.grouped = True


def _distinct(parser: Any, pipe: _Pipe) -> None:
    if pipe.cut or isinstance(pipe.query, exp.SetOperation) or pipe.query.args.get("distinct"):
        pipe.nest()
    pipe.select.set("distinct", exp.Distinct())
    pipe.closed = True


def _order(parser: Any, pipe: _Pipe) -> None:
    parser._retreat(parser._index - 1)
    order = parser._parse_order()
    if pipe.cut:
        pipe.nest()
    selected = pipe.query.expressions if isinstance(pipe.query, exp.Select) and pipe.closed else []
    columns = {item.name: item for item in selected if isinstance(item, exp.Column) and item.table}
    for ordered in order.expressions if order else ():
        value = ordered.this
        if not isinstance(value, exp.Column) or value.table:
            ordered.set("this", value if pipe.closed else pipe.inline(value))
            continue
        # The name of an output stays; it becomes what it stands for if SELECT leaves it out, or if it is t.name,
        # which some engines know under no other name.
        found = columns.get(value.name) or pipe.outputs.get(value.name)
        if isinstance(found, exp.Column) and found.table and found.name == value.name:
            ordered.set("this", found.copy())
    pipe.query.set("order", order)


def _limit(parser: Any, pipe: _Pipe) -> None:
    parser._retreat(parser._index - 1)
    if pipe.cut:
        pipe.nest()
    limit = parser._parse_limit()
    offset = parser._parse_offset()
    if limit is None and offset is None:
        parser.raise_error("LIMIT takes a number")
    pipe.query.set("limit", limit)
    pipe.query.set("offset", offset or parser._parse_offset())


def _offset(parser: Any, pipe: _Pipe) -> None:
    parser._retreat(parser._index - 1)
    if pipe.cut:
        pipe.nest()
    offset = parser._parse_offset()
    pipe.query.set("offset", offset)
    pipe.query.set("limit", parser._parse_limit())


def _as(parser: Any, pipe: _Pipe) -> None:
    name = parser._parse_id_var() or parser.raise_error("AS takes a name")
    pipe.nest(name)


def _join(parser: Any, pipe: _Pipe) -> bool:
    if pipe.closed or pipe.cut or pipe.grouped or pipe.extended or pipe.query.args.get("order"):
        pipe.nest()
    before = parser._index
    join = parser._parse_join()
    if join is None or parser._index == before:
        return False
    if join.side in ("RIGHT", "FULL") and pipe.query.args.get("where"):
        pipe.nest()
    pipe.query.append("joins", join)
    return True


def _set_operator(parser: Any, pipe: _Pipe, token: Token) -> None:
    distinct = parser._match(TokenType.DISTINCT) or not parser._match(TokenType.ALL)
    operands = parser._parse_csv(lambda: parser._parse_wrapped(parser._parse_select))
    if not operands:
        parser.raise_error(f"{token.text.upper()} takes queries in parentheses", token)
    for operand in operands:
        left, with_ = pipe.query, pipe.query.args.get("with_")
        if with_:
            with_.pop()
        if any(left.args.get(key) for key in ("order", "limit", "offset")):
            left = left.subquery(copy=False)
        nested = isinstance(operand, exp.SetOperation) or any(
            operand.args.get(key) for key in ("order", "limit", "offset", "with_")
        )
        right = operand.subquery(copy=False) if nested else operand
        query = _SET_OPERATORS[token.token_type](this=left, expression=right, distinct=bool(distinct), by_name=False)
        if with_:
            query.set("with_", with_)
        pipe.query = query
    pipe.closed, pipe.grouped, pipe.extended, pipe.outputs = True, False, False, {}


_OPERATORS: dict[str, Callable[[Any, _Pipe], None]] = {
    "WHERE": _where,
    "SELECT": _select,
    "EXTEND": _extend,
    "AGGREGATE": _aggregate,
    "DISTINCT": _distinct,
    "ORDER BY": _order,
    "LIMIT": _limit,
    "OFFSET": _offset,
    "AS": _as,
}


def _window_in_window(node: exp.Expr) -> bool:
    windows = [each for each in node.walk() if is_window(each)]
    return any(inner is not window and is_window(inner) for window in windows for inner in window.walk())


def _named(value: exp.Expr, item: exp.Expr) -> exp.Expr:
    """``value``, which stands for ``item``, under the name that the item had."""
    if value is item or isinstance(value, exp.Alias) or not isinstance(item, exp.Column) or value == item:
        return value
    if isinstance(value, exp.Column) and value.name == item.name:
        return value
    return exp.alias_(value, item.this.copy())
