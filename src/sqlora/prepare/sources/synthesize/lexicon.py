"""Words for a schema: what names, comments, data and glossary say together. Everything the grammar draws from."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlglot import exp

from sqlora.errors import ConfigError, DialectError
from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.functions import Functions
from sqlora.prepare.sources.synthesize.glossary import (
    ColumnSection,
    Glossary,
    MeasureKind,
    Phrasing,
    RelationSection,
    TableSection,
)
from sqlora.prepare.sources.synthesize.graph import Edge, Graph
from sqlora.prepare.sources.synthesize.profile import Kind, Profile, profile_rows, profile_tables
from sqlora.prepare.sources.synthesize.query import column, folded_names
from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database
from sqlora.sql.schema import Schema

# A relative window ("last month") is asked only of dates that reach this near to today. Days.
RECENT = 150


@dataclass(frozen=True, eq=False)
class Measure:
    """A figure: an aggregate over the rows of ``root`` (and what they belong to), and what people call it."""

    root: str
    value: exp.Expr
    names: tuple[str, ...]
    kind: MeasureKind
    weight: float
    only_with: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    counts_rows: bool = False
    of_rows: bool = False  # "average rating" needs "of suppliers" to be clear
    date: ColumnWords | None = None  # what a period is about
    where: exp.Expr | None = None
    event: bool = False

    @property
    def ranks(self) -> bool:
        """Whether things are compared by it: nobody asks for the highest lowest price."""
        return not isinstance(self.value, (exp.Min, exp.Max))

    @property
    def plural(self) -> bool:
        """Whether it "are" rather than "is"; by its first name."""
        return is_plural(self.names[0])


def is_plural(name: str) -> bool:
    """``orders`` and ``units sold`` are, ``average hourly wage of cashiers`` is not."""
    if name.split()[0] in ("average", "mean", "highest", "lowest", "number", "total", "count", "share", "sum"):
        return name.split()[0] == "total" and is_plural(name.split(" ", 1)[1]) if " " in name else False
    head = _AFTER_NOUN.split(name)[0]
    return any(word.endswith("s") and not word.endswith(("ss", "us", "is", "'s")) for word in head.split()[-2:])


_AFTER_NOUN = re.compile(r" (?:of|per|from|in|at|by|for|on|with|without|under|who|that|to|broken|split|grouped|paid|via|through|outside) ")


@dataclass(frozen=True)
class ColumnWords:
    """One column that can be asked about; ``expression`` is the column, or what a glossary computes from columns."""

    table: str
    name: str
    kind: Kind
    expression: exp.Expr
    nouns: tuple[str, ...]
    afar: tuple[str, ...]
    said: ColumnSection
    profile: Profile
    weight: float

    @property
    def weight_afar(self) -> float:
        """The weight in questions about another table's rows."""
        return self.weight if self.said.weight_afar is None else self.said.weight_afar

    @property
    def is_dimension(self) -> bool:
        """Whether a number is more of a class: ratings, quarters."""
        few = self.profile.whole and 2 < self.profile.distinct <= 12
        return few if self.said.dimension is None else self.said.dimension

    def words_of(self, value: object) -> tuple[str, ...]:
        """How a stored value is said."""
        return self.said.values.get(str(value)) or (str(value),)


@dataclass(frozen=True)
class NamedFilter:
    """A condition with its own words."""

    table: str
    condition: exp.Expr
    said: Phrasing
    weight: float


@dataclass(frozen=True)
class TableWords:
    """A table whose rows can be asked for."""

    name: str
    nouns: tuple[str, ...]
    display: str | None
    said: TableSection
    standing: exp.Expr | None
    weight: float
    size: int

    @property
    def plurals(self) -> tuple[str, ...]:
        """The nouns for more than one."""
        return tuple(words.plural(noun) for noun in self.nouns)

    @property
    def links(self) -> tuple[str, ...]:
        """Prepositions for what belongs to it."""
        return self.said.link or ("for",)


@dataclass
class Lexicon:
    """All words for one schema and database."""

    schema: Schema
    dialect: Dialect
    graph: Graph
    functions: Functions
    today: datetime.date
    glossary: Glossary
    tables: dict[str, TableWords] = field(default_factory=dict)
    columns: dict[str, dict[str, ColumnWords]] = field(default_factory=dict)
    attributes: dict[str, list[ColumnWords]] = field(default_factory=dict)
    filters: dict[str, list[NamedFilter]] = field(default_factory=dict)
    measures: list[Measure] = field(default_factory=list)

    def of_kind(self, table: str, *kinds: Kind) -> list[ColumnWords]:
        """A table's columns of these kinds; computed figures are numbers."""
        own = [each for each in self.columns.get(table, {}).values() if each.kind in kinds]
        return own + (self.attributes.get(table, []) if "number" in kinds else [])

    @cached_property
    def folded(self) -> frozenset[str]:
        """Names that need quotes in the dialect for their case alone."""
        return folded_names(self.schema, self.dialect.base)

    @cached_property
    def entities(self) -> list[TableWords]:
        """Tables with a column that names their rows."""
        return [table for table in self.tables.values() if table.display]

    def display(self, table: str) -> ColumnWords:
        """The column that names a table's rows."""
        name = self.tables[table].display
        assert name is not None  # `entities` have one
        return self.columns[table][name]

    def date_of(self, table: str) -> ColumnWords | None:
        """The column that dates a table's rows, maybe of a table they belong to."""
        said = self.tables[table].said.date
        if said == "none":
            return None
        if said:
            return self.named_column(said if "." in said else f"{table}.{said}")
        if not self.graph.edges[table] or self.tables[table].display:
            return None
        for near in self.graph.reach(table)[:4]:
            if (near == table or self.graph.edges[near]) and (dates := self.of_kind(near, "date")):
                return dates[0]
        return None

    def named_column(self, name: str) -> ColumnWords:
        """``table.column``, which the glossary's check has found."""
        table, _, column_name = name.rpartition(".")
        return self.columns[table][column_name]

    def is_recent(self, date: ColumnWords) -> bool:
        """Whether its values come near today, so that "last month" has an answer."""
        steps = date.profile.steps
        return bool(steps) and abs((self.today - steps[-1]).days) <= RECENT

    def relations(self) -> tuple[RelationSection, ...]:
        """The glossary's, else one for each foreign key from a dated table to an entity."""
        return self.glossary.relations or self._own_relations

    @cached_property
    def _own_relations(self) -> tuple[RelationSection, ...]:
        facts: dict[str, dict[str, None]] = {}  # of each entity, the tables that refer to it
        for fact, edges in self.graph.edges.items():
            for edge in edges if fact in self.tables else ():  # one that can't be read has no words
                facts.setdefault(edge.target, {})[fact] = None
        return tuple(self._relation(entity.name, fact) for entity in self.entities for fact in facts.get(entity.name, ()))

    def _relation(self, entity: str, fact: str) -> RelationSection:
        noun, many = self.tables[fact].nouns[0], self.tables[fact].plurals[0]
        return RelationSection(
            entity=entity,
            fact=fact,
            has=(f"have {words.with_article(noun)} {{t}}", f"have {many} {{t}}"),
            never=(f"have no {many} {{t}}",),
            more=(f"have more than {{n}} {many} {{t}}",),
        )


def build_lexicon(
    schema: Schema,
    database: Database,
    dialect: Dialect,
    glossary: Glossary,
    rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Lexicon:
    """Read the database once and find the words; ConfigError where the glossary's SQL can't be used.

    ``rows`` are all that the database holds, where that is at hand: of thousands of tables it takes minutes to read.
    """
    sayable = [each for each in schema.tables if words.is_sayable(each.name) or glossary.table(each.name).names]
    schema = replace(schema, tables=tuple(sayable))
    profiles = profile_tables(schema, database) if rows is None else profile_rows(schema, rows)
    added = tuple(_added_edge(join.source, join.target) for join in glossary.joins)
    functions = Functions(dialect, glossary.functions, glossary.today)
    lexicon = Lexicon(schema, dialect, Graph(schema, added), functions, datetime.date.today(), glossary)
    lexicon.today = glossary.today or functions.now(database)
    for table in schema.tables:
        if profiles[table.name]:
            _add_columns(lexicon, table.name, profiles[table.name])
            name = table.qualified_name
            _add_table(lexicon, table.name, database.count(name) if rows is None else len(rows[name]))
    for section in glossary.filters:
        condition = parse_fragment(lexicon, section.table, section.sql)
        named = NamedFilter(section.table, condition, section, section.weight)
        lexicon.filters.setdefault(section.table, []).append(named)
    _add_measures(lexicon)
    return lexicon


def parse_fragment(lexicon: Lexicon, table: str, sql: str) -> exp.Expr:
    """An expression over ``table`` in the project's dialect, every column with its table."""
    try:
        tree = lexicon.dialect.parse(f"SELECT {sql}").selects[0].unalias()
    except DialectError as error:
        raise ConfigError(f"the glossary's {sql!r} for {table}: {error.message}", "write it in the dialect") from error

    def place(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        if node.table:
            return column(node.table, node.name)
        for near in lexicon.graph.reach(table):
            if (found := lexicon.schema.table(near).get(node.name)) is not None:
                return column(near, found.name)
        raise ConfigError(
            f"the glossary's {sql!r}: neither {table} nor what its rows belong to has a column {node.name!r}",
            f"columns of {table}: {', '.join(each.name for each in lexicon.schema.table(table).columns)}",
        )

    placed: exp.Expr = tree.transform(place)
    return placed


def _added_edge(source: str, target: str) -> Edge:
    (left_table, _, left), (right_table, _, right) = source.rpartition("."), target.rpartition(".")
    return Edge(left_table, right_table, ((left, right),), certain=False)


def _add_columns(lexicon: Lexicon, table: str, profiles: dict[str, Profile]) -> None:
    own = words.singular(table)
    columns: dict[str, ColumnWords] = {}
    for name, profile in profiles.items():
        said = lexicon.glossary.column(table, name)
        noun = words.readable(name).removesuffix(" id")
        if profile.kind == "name":
            noun = "name"
        elif noun.startswith(own + " "):
            noun = noun.removeprefix(own + " ")
        nouns = said.names or (noun,)
        afar = said.afar_names or tuple(noun if noun.startswith(own) else f"{own} {noun}" for noun in nouns)
        kind: Kind = said.kind or profile.kind
        if not said.names and not words.is_sayable(name) and kind != "key":
            kind = "hidden"
        columns[name] = ColumnWords(table, name, kind, column(table, name), nouns, afar, said, profile, said.weight)
    lexicon.columns[table] = columns
    for section in lexicon.glossary.attributes:
        if section.table == table:
            said = ColumnSection(**{key: getattr(section, key) for key in ("names", "above", "below", "high", "low", "unit")})
            expression = parse_fragment(lexicon, table, section.sql)
            words_for = ColumnWords(table, section.sql, "number", expression, section.names, section.names, said,
                                    Profile(table, section.sql, "number"), section.weight)  # fmt: skip
            lexicon.attributes.setdefault(table, []).append(words_for)


def _add_table(lexicon: Lexicon, table: str, size: int) -> None:
    said = lexicon.glossary.table(table)
    names = [each.name for each in lexicon.columns[table].values() if each.kind == "name"]
    standing = parse_fragment(lexicon, table, said.standing) if said.standing else None
    lexicon.tables[table] = TableWords(
        table,
        said.names or (words.singular(table),),
        said.display or (names[0] if names else None),
        said,
        standing,
        said.weight,
        size,
    )


def _add_measures(lexicon: Lexicon) -> None:
    taken = set()
    for section in lexicon.glossary.measures:
        value = parse_fragment(lexicon, section.table, section.sql)
        if not section.where and value != exp.Count(this=exp.Star(), big_int=True):
            taken.add((section.table, value.sql()))
        date = lexicon.named_column(section.date) if section.date else lexicon.date_of(section.table)
        where = parse_fragment(lexicon, section.table, section.where) if section.where else None
        lexicon.measures.append(
            Measure(section.table, value, section.names, section.kind, section.weight, section.only_with,
                    section.not_with, section.asks, date=date, where=where, event=section.event)
        )  # fmt: skip
    for table in lexicon.tables.values():
        for measure in _own_measures(lexicon, table):
            if (table.name, measure.value.sql()) not in taken:
                lexicon.measures.append(measure)


def _own_measures(lexicon: Lexicon, table: TableWords) -> Iterator[Measure]:
    """The number of rows, and averages, extremes and totals of numeric columns."""
    rows = exp.Count(this=exp.Star(), big_int=True)
    names = tuple(name for many in table.plurals for name in (f"number of {many}", many))
    date = lexicon.date_of(table.name)
    yield Measure(table.name, rows, names, "count", table.weight, counts_rows=True, date=date)
    for number in lexicon.of_kind(table.name, "number"):
        weight = 0.35 * table.weight * number.weight
        vague = " " not in number.nouns[0]
        for function, prefixes, share in () if not number.said.aggregate else (
            (exp.Avg, ("average", "mean"), 1.0),
            (exp.Max, ("highest", "maximum"), 0.35),
            (exp.Min, ("lowest", "minimum"), 0.35),
        ):
            names = tuple(f"{prefix} {noun}" for prefix in prefixes for noun in number.nouns)
            value = function(this=number.expression.copy())
            yield Measure(table.name, value, names, "average", weight * share, of_rows=vague, date=date)
        adds_up = number.said.total if number.said.total is not None else bool(lexicon.graph.edges[table.name])
        if adds_up:
            names = tuple(f"total {noun}" for noun in number.nouns)
            yield Measure(table.name, exp.Sum(this=number.expression.copy()), names, "amount", weight, of_rows=vague, date=date)
