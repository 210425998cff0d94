"""What is behind a column of a query: columns of tables, however many subqueries and aliases are between.

    WITH q(e) AS (SELECT email FROM customer) SELECT … FROM q WHERE e = 'x'      e is customer.email

sqlglot finds the sources of each SELECT; of each column that is asked for, all that its expression is made of counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from sqlora.sql.personal import is_personal_name
from sqlora.sql.personal_values import PEOPLE, name_words
from sqlora.sql.schema import Column, Schema, Table

# Whose name a key of a document is can't be told: it may be a person's.
SOMEBODY = "customer"

MOST = 5_000  # columns of a query that are followed; subqueries can double them at each level

_KEYS = ("id", "key", "no", "number", "code")
_PAIRS = (exp.PropertyEQ, exp.JSONKeyValue)
_GETTER = re.compile(r"JSON\w*(?:EXTRACT|VALUE|QUERY|PATH|GET|EXISTS|CONTAINS)", re.IGNORECASE)  # its texts are keys

Seen = frozenset[tuple[int, str]]


@dataclass(frozen=True)
class Origin:
    """A column by its own name and its table's, or a value that a subquery gives; not ``certain``: neither."""

    name: str
    table: str = ""
    known: tuple[Table, Column] | None = None  # the column in the schema
    certain: bool = True
    value: exp.Literal | None = None

    @property
    def identifies(self) -> bool:
        """Whether the name says that it holds what identifies people."""
        return is_personal_name(self.name, self.table)

    @property
    def is_key_of_people(self) -> bool:
        """Whether it is the number of a person."""
        *head, last = name_words(re.sub(r"(?<=[a-z])(id|no)$", r"_\1", self.name)) or [""]
        return last in _KEYS and is_personal_name("name", " ".join(head) or self.table)

    @property
    def is_code_of_people(self) -> bool:
        """Whether it is what one person is known by: ``customer_code``, but not ``customer_type_code``."""
        *head, _ = name_words(self.name) or [""]
        return self.is_key_of_people and (not head or head[-1] in PEOPLE)


class Origins:
    """Finds the origins of the columns of one query."""

    def __init__(self, tree: exp.Expr, schema: Schema) -> None:
        self._schema = schema
        self._followed = 0
        self._queries = {cte.alias.lower(): cte for cte in tree.find_all(exp.CTE)}
        self._found: dict[int, list[Origin]] = {}
        try:
            scopes = [scope for scope in traverse_scope(tree) if scope.references is not None]  # asking may raise
            self._scopes = {id(scope.expression): scope for scope in scopes}
        except (SqlglotError, LookupError, AttributeError, ValueError, AssertionError):
            self._scopes = {}  # then nothing is certain

    def of(self, node: exp.Expr, seen: Seen = frozenset()) -> list[Origin]:
        """The origins of all columns and keys of documents in an expression; of a query in it, what it asks for."""
        found: list[Origin] = []
        for part in node.walk(prune=lambda part: isinstance(part, exp.Query | exp.Count)):
            if isinstance(part, exp.Query):
                found += [origin for items in self.columns(part, seen) for origin in items]
            elif isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                found += self.of_column(part, seen)
            elif (key := key_of_document(part)) is not None:
                found.append(Origin(key, SOMEBODY))
        return found

    def of_column(self, column: exp.Column, seen: Seen = frozenset()) -> list[Origin]:
        """The origins of a column; none where no source has it."""
        if seen:
            return self._column(column, self._scope(column), seen)
        if id(column) not in self._found:
            self._found[id(column)] = self._column(column, self._scope(column), seen)
        return self._found[id(column)]

    def columns(self, query: exp.Expr, seen: Seen = frozenset()) -> list[list[Origin]]:
        """The origins of each column that a query gives."""
        selects = list(_selects(query))
        count = max((len(select.selects) for select in selects), default=0)
        return [self._at(place, selects, seen) for place in range(count)]

    def common(self, join: exp.Join) -> Iterator[list[Origin]]:
        """The origins of each column of ``USING (…)``, in both of the tables."""
        scope = self._scope(join)
        for name in join.args.get("using") or ():
            yield self._in_sources(exp.column(name.name), scope, frozenset()) if scope else []

    def _scope(self, node: exp.Expr) -> Scope | None:
        query = node.find_ancestor(exp.Select, exp.SetOperation)
        return self._scopes.get(id(query))

    def _column(self, column: exp.Column, scope: Scope | None, seen: Seen) -> list[Origin]:
        self._followed += 1
        if scope is None or self._followed > MOST:
            return [Origin(column.name, column.table, certain=False)]
        if isinstance(scope.expression, exp.SetOperation):  # in its ORDER BY
            return self._in_query(column.name, scope.expression, [], seen)[1]
        name = column.name.lower()
        found: list[Origin] = []
        aliased = scope.expression.selects if isinstance(scope.expression, exp.Select) and not column.table else ()
        for item in aliased:
            is_it = isinstance(item, exp.Alias) and item.alias.lower() == name and (id(item), name) not in seen
            if is_it and column.find_ancestor(exp.Alias, exp.Query) is not item:  # SUM(amount) AS amount
                found += self._item(item, seen | {(id(item), name)})
        is_field = bool(column.table)  # of a structure, unless a source is called so
        around: Scope | None = scope
        while around is not None:
            if sources := self._in_sources(column, around, seen):
                return found + sources
            is_field = is_field and column.table.lower() not in (name.lower() for name, _ in around.references)
            around = around.parent
        return [*found, Origin(column.name, SOMEBODY)] if is_field else found

    def _in_sources(self, column: exp.Column, scope: Scope, seen: Seen) -> list[Origin]:
        """By the sources that have the column, else by those that may have it."""
        sure: list[Origin] = []
        maybe: list[Origin] = []
        for name, node in scope.references:
            if column.table.lower() in ("", name.lower()) and (source := scope.sources.get(name)) is not None:
                has, origins = self._in_source(column.name, node, source, seen)
                (sure if has else maybe).extend(origins)
        return sure or maybe

    def _in_source(
        self, name: str, node: exp.Expr, source: exp.Table | Scope, seen: Seen
    ) -> tuple[bool, list[Origin]]:
        if not isinstance(source, Scope):
            return self._in_table(name, source, seen)
        expression, names = source.expression, node.alias_column_names or source.outer_columns
        if node.args.get("pivots"):
            return False, [Origin(name, certain=False)]
        if isinstance(expression, exp.Lateral) and isinstance(expression.this, exp.Subquery):
            expression = expression.this
        if isinstance(expression, exp.Query):
            return self._in_query(name, expression, names, seen)
        if isinstance(expression, exp.Values):
            return self._in_values(name, expression, names)
        values = [Origin("", value=value) for value in expression.find_all(exp.Literal)]
        return False, [Origin(name), *values, *self._within(expression, seen)]

    def _in_table(self, name: str, table: exp.Table, seen: Seen) -> tuple[bool, list[Origin]]:
        if not isinstance(table.this, exp.Identifier):
            return False, [Origin(name), *self._within(table.this, seen)]  # a function
        if not table.db and (cte := self._queries.get(table.name.lower())) is not None:
            return self._in_query(name, cte.this, cte.alias_column_names, seen)  # written in another case
        known, renamed = self._schema.get(table.name, table.db), [each.lower() for each in table.alias_column_names]
        if known is None:
            return False, [Origin(name, table.name, certain=not renamed)]
        if name.lower() in renamed and (place := renamed.index(name.lower())) < len(known.columns):
            name = known.columns[place].name
        if (column := known.get(name)) is not None:
            return True, [Origin(column.name, known.name, (known, column))]
        return False, [Origin(name, certain=False)] if table.args.get("pivots") else []

    def _in_query(self, name: str, query: exp.Expr, names: list[str], seen: Seen) -> tuple[bool, list[Origin]]:
        if (mark := (id(query), name.lower())) in seen:
            return True, []  # of a recursive query
        seen |= {mark}
        selects = list(_selects(query))
        own = [item.alias_or_name for item in selects[0].selects] if selects else []
        called = [each.lower() for each in [*names, *own[len(names) :]]]
        stars = [select for select in selects if select.is_star]
        if not stars:
            places = [place for place, each in enumerate(called) if each == name.lower()]
            return bool(places), [origin for place in places for origin in self._at(place, selects, seen)]
        if names:
            return False, [Origin(name, certain=False)]  # which one it is depends on how many * stands for
        found = [
            origin for select in selects for item in select.selects if item.alias_or_name.lower() == name.lower()
            for origin in self._item(item, seen)
        ]  # fmt: skip
        for select in stars:
            scope = self._scopes.get(id(select))
            found += self._in_sources(exp.column(name), scope, seen) if scope else [Origin(name, certain=False)]
        return bool(found), found

    def _in_values(self, name: str, values: exp.Values, names: list[str]) -> tuple[bool, list[Origin]]:
        lowered = [each.lower() for each in names]
        place = lowered.index(name.lower()) if name.lower() in lowered else None
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in values.expressions]
        items = [row[place : place + 1] if place is not None else row for row in rows]
        literals = [literal for row in items for item in row for literal in item.find_all(exp.Literal)]
        return place is not None, [Origin(name), *(Origin("", value=literal) for literal in literals)]

    def _at(self, place: int, selects: list[exp.Select], seen: Seen) -> list[Origin]:
        """The origins of the column at a place, in each of the queries that are put together."""
        items = [select.selects[place] for select in selects if place < len(select.selects)]
        return [origin for item in items for origin in self._item(item, seen)]

    def _item(self, item: exp.Expr, seen: Seen) -> list[Origin]:
        """What a column that is asked for is made of; its numbers only where it is one."""
        if item.is_star:
            return []
        values = [item.unalias(), *(each for each in item.find_all(exp.Literal) if each.is_string)]
        given = [Origin("", value=value) for value in values if isinstance(value, exp.Literal)]
        name = "" if item.find(exp.AggFunc) else item.alias_or_name  # COUNT(*) AS customer_number is no person's
        return [Origin(name), *given, *self._within(item, seen)]

    def _within(self, node: exp.Expr, seen: Seen) -> list[Origin]:
        return self.of(node.this if isinstance(node, exp.Alias) else node, seen)


def key_of_document(node: exp.Expr) -> str | None:
    """The key where a node is one: in a path, in ``document['key']``, in ``{'key': value}``, a field."""
    if isinstance(node, exp.JSONPathKey | exp.JSONPathSubscript):
        return str(node.this)
    parent = node.parent
    if isinstance(node, exp.Literal) and node.is_string:
        in_pair = isinstance(parent, _PAIRS) and node.arg_key == "this"
        in_brackets = isinstance(parent, exp.Bracket) and node.arg_key == "expressions"
        if in_pair or in_brackets or (isinstance(parent, exp.Func) and _GETTER.search(_called(parent))):
            words: list[str] = re.findall(r"\w+", node.name)
            return words[-1] if words else ""
    is_field = isinstance(parent, exp.PropertyEQ | exp.Dot) and node.arg_key in ("this", "expression")
    return str(node.name) if is_field and isinstance(node, exp.Identifier) else None


def _called(call: exp.Func) -> str:
    called: str = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
    return called


def _selects(query: exp.Expr) -> Iterator[exp.Select]:
    """The queries that are put together by UNION and the like, the first first."""
    query = query.unnest()
    if isinstance(query, exp.Select):
        yield query
    elif isinstance(query, exp.SetOperation):
        yield from _selects(query.left)
        yield from _selects(query.right)
