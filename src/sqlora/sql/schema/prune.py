"""What of a wide schema a question needs, within a budget of tokens.

Tables are ranked by the words that they share with the question, rare words first; each comes with the tables that
join it to those chosen before, and a table that alone would take much of the room comes with its keys and its best
columns. What is left of the room goes to more of their columns, then to the tables next to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sqlora.errors import SchemaError
from sqlora.sql.schema.joins import joins, path
from sqlora.sql.schema.needed import NOTHING, Needed, Recall, needed_by, recall
from sqlora.sql.schema.relevance import Index
from sqlora.sql.schema.schema import Schema, Style, Table
from sqlora.sql.schema.text import Rendering
from sqlora.sql.tokens import estimate_tokens

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

__all__ = ["NOTHING", "Needed", "Pruner", "Recall", "needed_by", "recall"]

LEAST = 50  # tokens; less has no room for one table
WHOLE = 0.25  # of the budget: what one table may take before it is cut to its best columns
NEIGHBOUR = 0.3  # of the best neighbour's score that a table gets: whole queries shown at 250 tokens 74.7 % → 78.4 %
FARTHEST = 3  # tables between two that are joined; what is farther apart was not meant together


@dataclass
class _Choice:
    """Columns by table, by their places in the schema, and what is left of the budget."""

    columns: dict[int, set[int]]
    left: int


class Pruner:
    """Prunes one schema to ``tokens`` for each question. What does not depend on the question is computed once.

    SchemaError for fewer than `LEAST` tokens or an unknown style.
    """

    def __init__(self, schema: Schema, tokens: int, style: Style = "compact", dialect: Dialect | None = None) -> None:
        if tokens < LEAST:
            raise SchemaError(f"a schema can't be pruned to {tokens} tokens", f"take {LEAST} or more")
        self.schema, self.tokens = schema, tokens
        rendering = Rendering(schema, style, dialect)
        self._heads = [estimate_tokens(rendering.head(table)) + 1 for table in schema.tables]
        self._sizes = [
            [estimate_tokens(rendering.column(table, column)) + 1 for column in table.columns]
            for table in schema.tables
        ]
        self._keys = [sum(estimate_tokens(rendering.key(key)) for key in table.foreign_keys) for table in schema.tables]
        self._smallest = min(self._heads, default=0)
        self.size = sum(self._heads) + sum(map(sum, self._sizes)) + sum(self._keys)

    @property
    def fits(self) -> bool:
        """Whether the whole schema is within the budget: nothing is pruned then."""
        return self.size <= self.tokens

    def prune(self, question: str, keep: Needed = NOTHING) -> Schema:
        """The part of the schema that the question needs, in the schema's order.

        What ``keep`` names is always in it, even where that alone is over the budget.
        """
        if self.fits:
            return self.schema
        scores, columns = self._index.scores(question)
        choice = self._kept(keep)
        for place in self._ranked(scores):
            if choice.left < self._smallest:
                break
            self._add(place, choice, columns)
        self._fill(choice, scores, columns)
        self._surround(choice, columns)
        return self._part(choice.columns)

    # inside ------------------------------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> Index:
        return Index(self.schema)

    @cached_property
    def _neighbours(self) -> list[list[int]]:
        return joins(self.schema)

    @cached_property
    def _key_columns(self) -> list[set[int]]:
        """Of each table: its primary key and its foreign keys, without which it can't be joined."""
        return [_keys(table) for table in self.schema.tables]

    def _ranked(self, scores: dict[int, float]) -> list[int]:
        """The tables with words of the question, best first; without any, those with the most joins.

        Of two that have as much of it, the one beside another that has some.
        """
        found = scores or dict.fromkeys(range(len(self.schema.tables)), 0.0)
        beside = {
            place: max((found.get(near, 0.0) for near in self._neighbours[place]), default=0.0) for place in found
        }
        total = {place: score + NEIGHBOUR * beside[place] for place, score in found.items()}
        return sorted(found, key=lambda place: (-total[place], -len(self._neighbours[place]), place))

    def _kept(self, keep: Needed) -> _Choice:
        choice = _Choice({}, self.tokens)
        for place, table in enumerate(self.schema.tables):
            name = table.qualified_name.lower()
            if name in keep.tables:
                wanted = {
                    number for number, column in enumerate(table.columns) if (name, column.name.lower()) in keep.columns
                }
                self._take(place, wanted or self._key_columns[place] or {0}, choice)
        return choice

    def _add(self, place: int, choice: _Choice, columns: dict[tuple[int, int], float]) -> None:
        """Add a table and what joins it, if there is room for them."""
        way = path(set(choice.columns), place, self._neighbours, FARTHEST) if choice.columns else [place]
        bridges = [each for each in way or () if each != place and each not in choice.columns]
        wanted = {each: self._key_columns[each] or {0} for each in bridges}
        room = min(self.tokens * WHOLE, choice.left - self._cost(wanted, choice))
        wanted[place] = self._best(place, columns, room) | choice.columns.get(place, set())
        if self._cost(wanted, choice) <= choice.left:
            for each, numbers in wanted.items():
                self._take(each, numbers, choice)

    def _best(self, place: int, columns: dict[tuple[int, int], float], room: float) -> set[int]:
        """A table's keys, and of its other columns the best that fit into ``room``."""
        best = set(self._key_columns[place] or self._by_score(place, columns)[:1])
        left = room - self._heads[place] - self._keys[place] - sum(self._sizes[place][number] for number in best)
        for number in self._by_score(place, columns):
            if number not in best and self._sizes[place][number] <= left:
                best.add(number)
                left -= self._sizes[place][number]
        return best

    def _by_score(self, place: int, columns: dict[tuple[int, int], float]) -> list[int]:
        """A table's columns: those that share words with the question, then the others in their order."""
        numbers = range(len(self._sizes[place]))
        return sorted(numbers, key=lambda number: (-columns.get((place, number), 0.0), number))

    def _fill(self, choice: _Choice, scores: dict[int, float], columns: dict[tuple[int, int], float]) -> None:
        """More columns of the tables chosen, the best table's first."""
        for place in sorted(choice.columns, key=lambda place: (-scores.get(place, 0.0), place)):
            for number in self._by_score(place, columns):
                if number not in choice.columns[place] and self._sizes[place][number] <= choice.left:
                    self._take(place, {number}, choice)

    def _surround(self, choice: _Choice, columns: dict[tuple[int, int], float]) -> None:
        """The tables next to those chosen: a name is often looked up one join away from what is asked about."""
        near = dict.fromkeys(other for place in sorted(choice.columns) for other in self._neighbours[place])
        for place in near:
            if place not in choice.columns:
                self._add(place, choice, columns)

    def _cost(self, wanted: dict[int, set[int]], choice: _Choice) -> int:
        total = 0
        for place, numbers in wanted.items():
            there = choice.columns.get(place)
            total += 0 if there is not None else self._heads[place] + self._keys[place]
            total += sum(self._sizes[place][number] for number in numbers - (there or set()))
        return total

    def _take(self, place: int, numbers: set[int], choice: _Choice) -> None:
        choice.left -= self._cost({place: numbers}, choice)
        choice.columns.setdefault(place, set()).update(numbers)

    def _part(self, columns: dict[int, set[int]]) -> Schema:
        names = {self.schema.tables[place].qualified_name.lower() for place in columns}
        tables = [_part_of(self.schema.tables[place], columns[place], names, self.schema) for place in sorted(columns)]
        return replace(self.schema, tables=tuple(tables))


def _keys(table: Table) -> set[int]:
    names = {name.lower() for name in table.primary_key} | {
        name.lower() for key in table.foreign_keys for name in key.columns
    }
    return {number for number, column in enumerate(table.columns) if column.name.lower() in names}


def _part_of(table: Table, numbers: set[int], tables: set[str], schema: Schema) -> Table:
    """The table with some of its columns, and the keys that make sense with them."""
    columns = tuple(column for number, column in enumerate(table.columns) if number in numbers)
    names = {column.name.lower() for column in columns}
    foreign = tuple(
        key
        for key in table.foreign_keys
        if all(name.lower() in names for name in key.columns)
        and (found := schema.get(key.table, key.namespace)) is not None
        and found.qualified_name.lower() in tables
    )
    primary = table.primary_key if all(name.lower() in names for name in table.primary_key) else ()
    return replace(table, columns=columns, primary_key=primary, foreign_keys=foreign)
