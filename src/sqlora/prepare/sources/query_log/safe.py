"""A query of a log made fit to be shown: no secrets, nobody's data, no parameters without a value.

A value stays where it is short, is not in a form of its own (`sqlora.sql.personal`), and is not compared with a column
that identifies people. Any other is replaced: by one of the column's own that may be shown, or a made-up one. Where
there is neither, the query is not used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import count

from sqlglot import exp

from sqlora.prepare.sources.query_log.literals import drop_remarks, plain_texts
from sqlora.prepare.sources.query_log.origins import SOMEBODY, Origin, Origins, key_of_document
from sqlora.prepare.sources.query_log.safe_values import KEY, SafeValues, made_up
from sqlora.sql.personal import first, is_personal_name, looks_personal
from sqlora.sql.personal_values import SECRETS
from sqlora.sql.schema import Schema

LONGEST = 64  # characters of a text; a longer one is content, not a value to look for
LONG_NUMBER = 9  # digits from which a number may be a telephone's or an account's
NAME = re.compile(r"\w{1,40}")  # what is no name may be somebody's, or a sentence for a model to obey
PATH = re.compile(r"[$\w.{},*\[\]]{1,80}")  # of keys of a document

_PARAMETERS = (exp.Placeholder, exp.Parameter)
_ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_THROUGH = (
    exp.Paren, exp.Cast, exp.TryCast, exp.Neg, exp.Tuple, exp.Lower, exp.Upper, exp.Array, exp.Any, exp.DPipe,
    exp.Collate,
)  # fmt: skip
_COMPUTED = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_COMPARISONS = (exp.Binary, exp.In, exp.Between, exp.JSONKeyValue)
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
    if plain_texts(tree) is not None:
        raise UnsafeError("personal", "a value that is written as bytes or codes")
    drop_remarks(tree)
    places = _Places(tree, schema)
    _refuse_names(tree, places.origins)
    used: dict[tuple[str, str], int] = {}
    for node in [*tree.find_all(exp.Literal, *_PARAMETERS)]:
        if isinstance(node.parent, exp.Parameter) or _is_part_of_a_name(node):
            continue  # the 1 of $1, the 10 of DECIMAL(10, 2)
        place = places.of(node)
        new = _replacement(node, place, values, used)
        if new is not None:
            # x = ANY($1) takes a list; of one value it is x = value.
            alone = isinstance(node.find_ancestor(exp.Array, exp.Any, exp.Query), exp.Any)
            (place.around if alone and isinstance(place.around, exp.Any) else node).replace(new)
    _list_values(tree)
    _drop_repeated(tree)
    _rename_telling(tree, schema)
    return tree


@dataclass(frozen=True)
class _Place:
    """What a value is compared with, and how: ``around`` is the outermost of what is about the value alone."""

    comparison: exp.Expr | None
    around: exp.Expr
    origin: Origin | None = None

    @property
    def name(self) -> str:
        """The column's name, '' where there is none."""
        return self.origin.name if self.origin is not None else ""

    @property
    def identifies(self) -> bool:
        """Whether the column's name says that it holds what identifies people."""
        return self.origin is not None and self.origin.identifies

    @property
    def can_be_told(self) -> bool:
        """Whether it is known what the value is compared with."""
        return self.origin is None or self.origin.certain

    @property
    def counts(self) -> bool:
        """Whether it is compared with a number of rows or values."""
        if isinstance(self.comparison, exp.In):  # a list may be long, and each of its values asks
            return isinstance(self.comparison.this.unnest(), exp.Count)
        return self.comparison is not None and any(
            isinstance(side.unnest(), exp.Count) for side in self.comparison.iter_expressions()
        )

    @property
    def is_key_of_people(self) -> bool:
        """Whether it is the number of a person."""
        return self.origin is not None and self.origin.is_key_of_people


class _Places:
    """Finds what each value of a query is compared with."""

    def __init__(self, tree: exp.Query, schema: Schema) -> None:
        self.origins = Origins(tree, schema)
        self._sides: dict[int, list[tuple[exp.Expr, list[Origin]]]] = {}
        self._given = _given_values(tree, self.origins)

    def of(self, node: exp.Expr) -> _Place:
        """The place of a literal or a parameter."""
        inner: exp.Expr = node
        while isinstance(inner.parent, _THROUGH) or (
            isinstance(inner.parent, _COMPUTED) and inner.parent.find(exp.Column) is None
        ):
            inner = inner.parent
        comparison = inner.parent
        if (given := self._given.get(id(node))) is not None:
            return _Place(comparison, inner, given)
        if not isinstance(comparison, _COMPARISONS) or isinstance(comparison, exp.Connector):
            # An argument of a function, a branch of CASE: of people if anything in the same condition is.
            a_number = isinstance(node, exp.Literal) and not node.is_string
            if a_number or isinstance(comparison, _SIZES):
                return _Place(comparison, inner)
            place = _Place(comparison, inner, _telling(self.origins.of(_condition(inner))))
            return place if place.identifies or not place.can_be_told else _Place(comparison, inner)
        if id(comparison) not in self._sides:
            sides = [(side, self.origins.of(side)) for side in comparison.iter_expressions()]
            self._sides[id(comparison)] = [(side, origins) for side, origins in sides if origins]
        beside = [origin for side, origins in self._sides[id(comparison)] if side is not inner for origin in origins]
        return _Place(comparison, inner, _telling(beside))


def _telling(origins: list[Origin]) -> Origin | None:
    """Of all that a value is compared with, what says most against showing it; else what is known of the schema."""
    columns = [origin for origin in origins if origin.value is None]
    return (
        next((origin for origin in columns if origin.identifies or origin.is_key_of_people), None)
        or next((origin for origin in columns if not origin.certain), None)
        or next((origin for origin in columns if origin.known), None)
        or next((origin for origin in columns if origin.name), None)
    )


def _given_values(tree: exp.Query, origins: Origins) -> dict[int, Origin]:
    """Values that a subquery gives and that are compared elsewhere, with people's columns: by the values' ids."""
    found: dict[int, Origin] = {}

    def note(beside: list[Origin]) -> None:
        telling = _telling(beside)
        if telling is not None and (telling.identifies or telling.is_key_of_people):
            found.update((id(origin.value), telling) for origin in beside if origin.value is not None)

    if next(tree.find_all(exp.Subquery, exp.SetOperation, exp.CTE, exp.UDTF, exp.In), None) is None:
        return found
    for node in tree.find_all(exp.Binary, exp.In, exp.Between, exp.SetOperation, exp.Join):
        if isinstance(node, exp.SetOperation):
            for column in origins.columns(node):
                note(column)
        elif isinstance(node, exp.Join):
            for column in origins.common(node):
                note(column)
        elif not isinstance(node, exp.Connector):
            note([origin for side in node.iter_expressions() for origin in origins.of(side)])
    return found


def _refuse_names(tree: exp.Query, origins: Origins) -> None:
    """UnsafeError where a name may be a value: name = "Anna", which no table has; columns that PIVOT makes of people;
    keys of documents that are no names.
    """
    for pivot in tree.find_all(exp.Pivot):
        named = [origin for field in pivot.args.get("fields") or () for origin in origins.of(field.this)]
        if any(origin.identifies or origin.is_key_of_people or not origin.certain for origin in named):
            raise UnsafeError("personal", "columns that are called as people are")
    for part in tree.find_all(exp.JSONPathPart):
        if any(isinstance(value, str) and not NAME.fullmatch(value) for value in part.args.values()):
            raise UnsafeError("personal", "a key of a document that is no name")
    for column in tree.find_all(exp.Column):
        found = origins.of_column(column)
        quoted = bool(column.this.args.get("quoted")) or isinstance(column.this, exp.Literal)
        if any(origin.known or origin.identifies or (found and not quoted) for origin in found):
            continue
        sides = column.parent.iter_expressions() if isinstance(column.parent, exp.Binary) else ()
        beside = [origin for side in sides if id(side) != id(column) for origin in origins.of(side)]
        if (not found and quoted) or any(origin.identifies for origin in beside):
            raise UnsafeError("column", "a column that the schema does not have")


def _is_part_of_a_name(node: exp.Expr) -> bool:
    """Whether a literal is no value: a size of a type, a key of a document. UnsafeError for a text that is no name."""
    a_type, key = node.find_ancestor(exp.DataType), key_of_document(node)
    if a_type is None and key is None and not isinstance(node.parent, exp.JSONPathPart):
        return False
    if isinstance(node, exp.Literal) and node.is_string and (a_type is not None or not PATH.fullmatch(node.name)):
        raise UnsafeError("personal", "a value in a type" if a_type else "a key of a document that is no name")
    return True


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
    if invented is None and place.is_key_of_people:
        invented = _key(used).name
    if invented is None and kind in ("e-mail address", "email"):
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
    if not re.search(r"\w", text):
        return None  # the % around a value
    if isinstance(place.comparison, _ORDERED) and re.fullmatch(r"\d{4}-\d\d[\d :.TZ+-]*", text):
        return None  # a period
    if place.identifies:
        return f"a value of {place.name}"
    if place.origin is not None and (
        place.origin.is_code_of_people or (place.is_key_of_people and re.search(r"\d", text))
    ):
        return "the number of a person"
    if not place.can_be_told:
        return "a value of a column that can't be told"
    return _private_form(text)


def _private_form(text: str) -> str | None:
    """Why a text may not stay whatever it is compared with, in words."""
    if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{24,}|\d{9,}", text.lower()):
        return "a number that may be somebody's"
    kind = looks_personal(text)
    if kind in SECRETS:
        raise UnsafeError("secret", kind)
    if kind is None and len(text) > LONGEST:
        return "a long text"
    return kind or ("a document about somebody" if _is_about_somebody(text) else None)


def _is_about_somebody(text: str) -> bool:
    """Whether a text is a document of JSON with a key for what identifies people, or a path with a value in it."""
    if re.match(r"\s*(?:lax\s+|strict\s+)?\$", text):
        return '"' in text
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        keys: list[str] = []
        json.loads(text, object_pairs_hook=lambda pairs: keys.extend(key for key, _ in pairs))
    except (ValueError, RecursionError):
        return False
    return any(is_personal_name(key, SOMEBODY) for key in keys)


def _private_number(text: str, place: _Place) -> str | None:
    ordered = isinstance(place.comparison, _ORDERED)
    if place.counts or (ordered and text in ("0", "1")):
        return None
    if place.is_key_of_people:  # two bounds are a person as well
        return "the number of a person"
    if ordered:
        return None  # an amount, a size, a time in seconds
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
    if new is None and place.origin is not None:
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
    if place.origin is None or place.origin.known is None or place.is_key_of_people:
        return None
    table, column = place.origin.known
    found = values.of(table, column)
    if not found:
        return None
    key = table.qualified_name, column.name
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


def _rename_telling(tree: exp.Expr, schema: Schema) -> None:
    """Names that the query makes up and that are none: somebody's, or written for a model to obey."""
    known = {table.name.lower() for table in schema.tables}
    known |= {column.name.lower() for table in schema.tables for column in table.columns}
    identifiers = list(tree.find_all(exp.Identifier))
    taken = {identifier.name.lower() for identifier in identifiers}
    free = (each for each in (f"a{number}" for number in count(1)) if each not in taken)
    names: dict[str, str] = {}
    for identifier in identifiers:
        name = identifier.name
        made_up_here = known or not isinstance(identifier.parent, exp.Column | exp.Table)
        if made_up_here and name.lower() not in known | set(names) and (not NAME.fullmatch(name) or first(name)):
            names[name.lower()] = next(free)
    for identifier in identifiers:
        if (new := names.get(identifier.name.lower())) is not None:
            identifier.set("this", new)
            identifier.set("quoted", False)
