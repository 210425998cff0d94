"""A query of a log made fit to be shown: no secrets, nobody's data, no parameters without a value.

A value stays where it is short, is not in a form of its own (`sqlora.sql.personal`), and is not compared with a column
that identifies people. Any other is replaced: by one of the column's own that may be shown, or a made-up one. Where
there is neither, the query is not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import exp

from sqlora.prepare.questions.scope import NoQuestionError, Scope
from sqlora.prepare.sources.query_log.safe_values import KEY, SafeValues, made_up
from sqlora.sql.personal import first, is_personal_name
from sqlora.sql.schema import Column, Schema, Table

LONGEST = 64  # characters of a text; a longer one is content, not a value to look for
LONG_NUMBER = 9  # digits from which a number may be a telephone's or an account's

_PARAMETERS = (exp.Placeholder, exp.Parameter)
_ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_THROUGH = (exp.Paren, exp.Cast, exp.TryCast, exp.Neg, exp.Tuple, exp.Lower, exp.Upper, exp.Array, exp.Any, exp.DPipe)
_SIZES = (exp.Limit, exp.Offset, exp.Fetch, exp.Interval, exp.WindowSpec)
_CLAUSES = (exp.Connector, exp.Not, exp.Where, exp.Having, exp.Join, exp.Query, exp.Group, exp.Order)
_UNITS = (exp.DateTrunc, exp.TimestampTrunc)


class UnsafeError(Exception):
    """A query with something that may not be shown and that nothing can stand for; ``reason`` is to be counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def make_safe(tree: exp.Query, schema: Schema, values: SafeValues) -> exp.Query:
    """The query with every value looked at; ``tree`` itself is changed. UnsafeError where it can't be used."""
    places = _Places(schema)
    used: dict[tuple[str, str], int] = {}
    for node in [*tree.find_all(exp.Literal, *_PARAMETERS)]:
        if isinstance(node.parent, exp.Parameter) or node.find_ancestor(exp.DataType, exp.JSONPath):
            continue  # the 1 of $1, the 10 of DECIMAL(10, 2)
        place = places.of(node)
        new = _replacement(node, place, values, used)
        if new is not None:
            # x = ANY($1) takes a list; of one value it is x = value.
            alone = isinstance(node.find_ancestor(exp.Array, exp.Any, exp.Query), exp.Any)
            (place.around if alone and isinstance(place.around, exp.Any) else node).replace(new)
    _list_values(tree)
    _drop_repeated(tree)
    _drop_comments(tree)
    _rename_telling(tree)
    return tree


@dataclass(frozen=True)
class _Place:
    """What a value is compared with, and how: ``around`` is the outermost of what is about the value alone."""

    comparison: exp.Expr | None
    around: exp.Expr
    column: exp.Column | None = None
    known: tuple[Table, Column] | None = None  # the column in the schema
    table: str = ""

    @property
    def name(self) -> str:
        """The column's name, '' where there is none."""
        return self.column.name if self.column is not None else ""

    @property
    def identifies(self) -> bool:
        """Whether the column's name says that it holds what identifies people."""
        return self.column is not None and is_personal_name(self.column.name, self.table)

    @property
    def counts(self) -> bool:
        """Whether it is compared with a number of rows or values."""
        return self.comparison is not None and any(
            isinstance(side.unnest(), exp.Count) for side in self.comparison.iter_expressions()
        )

    @property
    def is_key_of_people(self) -> bool:
        """Whether it is the number of a person."""
        if self.column is None:
            return False
        head, _, last = self.column.name.lower().rpartition("_")
        if last not in ("id", "key", "no", "number", "code"):
            return False
        return is_personal_name("name", head or self.table)


class _Places:
    """Finds what each value of a query is compared with."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._scopes: dict[int, Scope] = {}

    def of(self, node: exp.Expr) -> _Place:
        """The place of a literal or a parameter."""
        inner: exp.Expr = node
        while isinstance(inner.parent, _THROUGH):
            inner = inner.parent
        comparison = inner.parent
        if not isinstance(comparison, exp.Binary | exp.In | exp.Between) or isinstance(comparison, exp.Connector):
            # An argument of a function, a branch of CASE: of people if anything in the same condition is.
            a_number = isinstance(node, exp.Literal) and not node.is_string
            others = [] if a_number or isinstance(comparison, _SIZES) else [_condition(inner)]
            place = self._by_columns(comparison, inner, others)
            return place if place.identifies else _Place(comparison, inner)
        others = [child for child in comparison.iter_expressions() if child is not inner]
        return self._by_columns(comparison, inner, others)

    def _by_columns(self, comparison: exp.Expr | None, inner: exp.Expr, others: list[exp.Expr]) -> _Place:
        """The place beside ``others``: by the first of their columns, or the first that identifies people."""
        found = [self._beside(comparison, inner, column) for other in others for column in other.find_all(exp.Column)]
        first_of = next((place for place in found if place.identifies or place.is_key_of_people), None)
        return first_of or (found[0] if found else _Place(comparison, inner))

    def _beside(self, comparison: exp.Expr | None, inner: exp.Expr, column: exp.Column) -> _Place:
        scope = self._scope(column.find_ancestor(exp.Select))
        found = scope.find(column) if scope else None
        table = found[1].table.name if found and found[1].table else found[1].noun if found else column.table
        return _Place(comparison, inner, column, scope.column(column) if scope else None, table)

    def _scope(self, select: exp.Expr | None) -> Scope | None:
        if not isinstance(select, exp.Select):
            return None
        if id(select) not in self._scopes:
            try:
                scope = Scope.of(select, self._schema, self._scope(select.find_ancestor(exp.Select)))
            except NoQuestionError:
                scope = Scope(self._schema, {})
            self._scopes[id(select)] = scope
        return self._scopes[id(select)]


def _condition(node: exp.Expr) -> exp.Expr:
    """The whole condition, or item of a list, that a value is part of."""
    while node.parent is not None and not isinstance(node.parent, _CLAUSES):
        node = node.parent
    return node


def _replacement(
    node: exp.Expr, place: _Place, values: SafeValues, used: dict[tuple[str, str], int]
) -> exp.Expr | None:
    """What to put in the place of a value; None: it may stay."""
    if isinstance(node, _PARAMETERS):
        return _for_parameter(node, place, values, used)
    is_text = isinstance(node, exp.Literal) and node.is_string
    kind = _private(node.name, place) if is_text else _private_number(node.name, place)
    if kind is None:
        return None
    new = _shown(place, values, used)
    if new is not None and _may_stand(new, place):
        return new
    if place.is_key_of_people and not is_text:
        return _key(used)
    invented = made_up(place.name) if place.identifies else None
    if invented is None and kind == "e-mail address":
        invented = made_up("email")
    if invented is None:
        raise UnsafeError("personal", kind)
    is_pattern = isinstance(place.comparison, exp.Like | exp.ILike)
    return exp.Literal.string(_as_pattern(node.name, invented) if is_pattern else invented)


def _private(text: str, place: _Place) -> str | None:
    """Why a text may not stay, in words."""
    if (found := first(text)) is not None:
        if found.sort == "secret":
            raise UnsafeError("secret", found.kind)
        return found.kind
    if not re.search(r"\w", text) or (isinstance(place.comparison, _ORDERED) and re.match(r"\d{4}-\d\d", text)):
        return None  # the % around a value; a period
    if place.identifies:
        return f"a value of {place.name}"
    if len(text) > LONGEST:
        return "a long text"
    if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{24,}|\d{9,}", text.lower()):
        return "a number that may be somebody's"
    return None


def _private_number(text: str, place: _Place) -> str | None:
    if isinstance(place.comparison, _ORDERED) or place.counts:
        return None  # an amount, a size, a time in seconds
    if place.is_key_of_people:
        return "the number of a person"
    if place.identifies:
        return f"a value of {place.name}"
    return "a number that may be somebody's" if len(re.sub(r"\D", "", text.split(".")[0])) >= LONG_NUMBER else None


def _for_parameter(
    node: exp.Expr, place: _Place, values: SafeValues, used: dict[tuple[str, str], int]
) -> exp.Expr | None:
    """A value for a parameter that the log gives none for."""
    above = place.comparison
    if isinstance(above, exp.Limit | exp.Fetch):
        return exp.Literal.number(10)
    if isinstance(above, exp.Offset):
        return exp.Literal.number(20)
    if isinstance(node.parent, exp.Cast) and node.parent.is_type("interval"):
        return exp.Literal.string("30 days")
    if isinstance(above, exp.Interval):
        if above.args.get("unit") is None:
            above.set("unit", exp.var("DAY"))
        return exp.Literal.string("30")
    if isinstance(above, exp.Extract) or (place.around is node and isinstance(node.parent, exp.Extract)):
        return exp.var("YEAR")
    if isinstance(above, _UNITS) or (isinstance(above, exp.Anonymous) and above.name.lower() == "date_trunc"):
        return exp.var("MONTH") if isinstance(above, _UNITS) else exp.Literal.string("month")
    if place.counts:
        return exp.Literal.number(5)
    new = _shown(place, values, used)
    if new is None and place.column is not None:
        if place.is_key_of_people:
            return _key(used)
        invented = made_up(place.name) if place.identifies else None
        new = exp.Literal.string(invented) if invented else None
    if new is None:
        raise UnsafeError("no question", "a parameter whose value is not in the log, and that nothing can stand for")
    if isinstance(above, exp.Like | exp.ILike) and isinstance(new, exp.Literal):
        return exp.Literal.string(f"%{new.name}%")
    return new


def _key(used: dict[tuple[str, str], int]) -> exp.Expr:
    """The number of a person that nobody has."""
    number = used.get(("", "people"), 0)
    used["", "people"] = number + 1
    return exp.Literal.number(KEY + number)


def _shown(place: _Place, values: SafeValues, used: dict[tuple[str, str], int]) -> exp.Expr | None:
    """The next of the column's own values that may be shown, so that a list has different ones."""
    if place.known is None or place.is_key_of_people:
        return None
    found = values.of(*place.known)
    if not found:
        return None
    key = place.known[0].qualified_name, place.known[1].name
    number = used.get(key, 0)
    used[key] = number + 1
    following = [*found[number % len(found) :], *found[: number % len(found)]]
    taken = place.comparison.expressions if isinstance(place.comparison, exp.In) else ()
    return next((value for value in following if value not in taken), following[0]).copy()


def _may_stand(new: exp.Expr, place: _Place) -> bool:
    return not (isinstance(new, exp.Literal) and new.is_string and first(new.name)) and not place.identifies


def _as_pattern(pattern: str, text: str) -> str:
    start = "%" if pattern.startswith("%") else ""
    return f"{start}{text}{'%' if pattern.endswith('%') else ''}"


def _list_values(tree: exp.Expr) -> None:
    """``x = ANY (ARRAY[1, 2])`` is how a driver sends ``x IN (1, 2)``."""
    for node in list(tree.find_all(exp.Any)):
        values, comparison = node.this.unnest(), node.parent
        if isinstance(values, exp.Array) and isinstance(comparison, exp.EQ) and comparison.expression is node:
            comparison.replace(exp.In(this=comparison.this, expressions=values.expressions))


def _drop_repeated(tree: exp.Expr) -> None:
    """A list may have more parameters than its column has values that may be shown."""
    for node in tree.find_all(exp.In):
        node.set("expressions", list(dict.fromkeys(node.expressions)))


def _drop_comments(tree: exp.Expr) -> None:
    """Comments say who asked, or speak to whoever reads the query."""
    for node in tree.walk():
        node.comments = None


def _rename_telling(tree: exp.Expr) -> None:
    """Aliases that are whole sentences: they are no names, and may be written for a model to obey."""
    names: dict[str, str] = {}
    for node in tree.find_all(exp.Alias, exp.TableAlias, exp.CTE):
        name = node.alias
        if len(name) > 40 or name.count(" ") > 3 or first(name) is not None:
            names.setdefault(name, f"a{len(names) + 1}")
    if names:
        for identifier in tree.find_all(exp.Identifier):
            if identifier.name in names:
                identifier.set("this", names[identifier.name])
                identifier.set("quoted", False)
