"""Phrases: populations ("gold customers from Leeds"), figures ("web sales of tea"), dimensions ("per month")."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter, draw_filter
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, Lexicon, Measure, TableWords
from sqlora.prepare.sources.synthesize.periods import Period, draw_period
from sqlora.prepare.sources.synthesize.query import Select

T = TypeVar("T")

_PREPOSITIONS = ("in ", "from ", "at ", "of ", "on ", "under ", "not ", "without ", "between ", "by ", "below ", "above ")


class NothingToAskError(Exception):
    """A draw leads nowhere: the schema has no table, column or measure for it. Another draw may."""


@dataclass(frozen=True)
class Draft:
    """A question and its query, not yet rendered. ``tags`` say which shape it has."""

    question: str
    query: Select | exp.Expr
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dimension:
    """What a figure is broken down by: the expressions shown, and the words for them.

    ``adjectives`` say it before the figure ("monthly"). ``table`` is the entity's, where it is one.
    """

    shown: tuple[exp.Expr, ...]
    nouns: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    table: str | None = None
    time: bool = False

    @property
    def columns(self) -> frozenset[str]:
        """The columns it shows; a filter on one of them to a single value would be pointless."""
        return frozenset(f"{node.table}.{node.name}" for each in self.shown for node in each.find_all(exp.Column))


@dataclass
class Grammar:
    """Draws phrases from a lexicon; one for each question, since it holds its randomness."""

    lexicon: Lexicon
    random: Random
    spread: Callable[[Select], list[float]]  # the figures that a query gives, smallest first: where to draw a line

    # ------------------------------------------------------------------------------------- chance

    def pick(self, *options: str) -> str:
        """One of the options, the first ones a little more often."""
        return self.random.choices(options, [1 / (1 + place * 0.4) for place in range(len(options))])[0]

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return self.random.random() < share

    def weighted(self, items: Sequence[T], weight: Callable[[T], float]) -> T:
        """One of the items by its weight; NothingToAskError when none has any."""
        if not sum(map(weight, items)):
            raise NothingToAskError
        return self.random.choices(items, [weight(item) for item in items])[0]

    # -------------------------------------------------------------------------------- populations

    def entity(self) -> TableWords:
        """A table whose rows have names."""
        return self.weighted(self.lexicon.entities, lambda table: table.weight)

    def filters(
        self, root: str, count: int, avoid: Sequence[str] = (), afar: bool = False, listed: bool = False
    ) -> list[Filter]:
        """Up to ``count`` filters on ``root`` and what its rows belong to, each about something else.

        Where rows are ``listed``, a part of their own name may be looked for.
        """
        drawn: list[Filter] = []
        about = set(avoid)
        if not listed and (display := self.lexicon.tables[root].display):
            about.add(f"{root}.{display}")
        tables = [name for name in self.lexicon.graph.reach(root) if name in self.lexicon.tables]
        for _ in range(count):
            owner = self.weighted(tables, lambda name: self._nearness(root, name))
            found = draw_filter(self.lexicon, owner, self.random, afar=afar or owner != root, avoid=about)
            if found is None or not self._sayable(found, root, afar):
                continue
            drawn.append(found)
            about |= found.about
        return drawn

    def filters_for(
        self, measure: Measure, count: int, period: Period | None = None, dimensions: Sequence[Dimension | None] = ()
    ) -> list[Filter]:
        """Filters for a measure that say nothing about its date, nor fix what it is broken down by."""
        avoid = {f"{node.table}.{node.name}" for each in dimensions if each for one in each.shown for node in one.find_all(exp.Column)}
        if period:
            avoid |= {f"{node.table}.{node.name}" for node in period.condition.find_all(exp.Column)}
        if measure.date:
            avoid.add(f"{measure.date.table}.{measure.date.name}")
        if measure.where is not None:
            avoid |= {f"{node.table}.{node.name}" for node in measure.where.find_all(exp.Column)}
        found = self.filters(measure.root, count, sorted(avoid))
        owners = {name.split(".")[0] for name in avoid}
        return [each for each in found if not self._fixes(each, owners) and not _empties(measure, each)]

    def _fixes(self, found: Filter, owners: set[str]) -> bool:
        """Whether it names one row: then what that row belongs to is no breakdown any more."""
        display = self.lexicon.tables[found.table].display
        named = isinstance(found.condition, exp.EQ) and found.about == {f"{found.table}.{display}"}
        return named and bool(owners & set(self.lexicon.graph.reach(found.table)))

    def _nearness(self, root: str, name: str) -> float:
        if name == root:
            return 2.5
        return 1.0 if self.lexicon.tables[name].display or self.lexicon.filters.get(name) else 0.5

    def _sayable(self, found: Filter, root: str, afar: bool) -> bool:
        if found.table == root and not afar:
            return found.says("adjective", "phrase", "verb", "noun")
        return found.says("afar", "afar_adjective", "phrase", "adjective", "noun")

    def noun_phrase(self, table: str, filters: Sequence[Filter] = (), plural: bool = True, bare: bool = True) -> str:
        """Rows of ``table`` in words: adjectives, noun, then what comes after it; filters of other tables last."""
        said = self.lexicon.tables[table]
        noun = self.pick(*said.nouns)
        before: list[str] = []
        after: list[str] = []
        replaced = False
        for found in filters:
            own = found.table == table
            if own and found.said.noun and not replaced:
                noun, replaced = self.random.choice(found.said.noun), True
            elif own and found.said.adjective and (not found.said.phrase or self.chance(0.55)) and len(before) < 2:
                before.append(self.random.choice(found.said.adjective))
            elif own and (phrases := found.said.phrase or self._relative(found, said)):
                after.append(self.random.choice(phrases))
            elif own:
                before.append(self.random.choice(found.said.adjective or found.said.noun))
            elif found.said.afar_adjective and not before and self.chance(0.4):
                before.append(self.random.choice(found.said.afar_adjective))
            else:
                after.append(self.afar(found, table))
        after.sort(key=lambda phrase: (phrase.startswith(("who ", "that ", "whose ", "with ")), len(phrase)))
        return " ".join([*before, words.plural(noun) if plural else noun, *_joined(after)])

    def _relative(self, found: Filter, said: TableWords) -> tuple[str, ...]:
        pronoun = "who" if said.said.person else "that"
        return tuple(f"{pronoun} {verb}" for verb in found.said.verb)

    def afar(self, found: Filter, seen_from: str) -> str:
        """A filter of a table that ``seen_from`` belongs to: "in Leeds", "from gold customers"."""
        if found.said.afar:
            return self.random.choice(found.said.afar)
        table = self.lexicon.tables[found.table]
        if not found.says("adjective", "phrase", "verb", "noun"):
            return f"{self.random.choice(table.links)} {self.random.choice(found.said.afar_adjective)} {table.plurals[0]}"
        return f"{self.random.choice(table.links)} {self.noun_phrase(found.table, [found])}"

    def predicate(self, found: Filter) -> str | None:
        """A filter as what follows "which stores": "are in Leeds", "opened in 2020"."""
        options = list(found.said.verb)
        options += [f"are {phrase}" for phrase in found.said.phrase if phrase.startswith(_PREPOSITIONS)
                    and not phrase.startswith("without ")]  # fmt: skip
        options += [f"have {phrase.removeprefix('with ')}" for phrase in found.said.phrase if phrase.startswith("with ")]
        if not options and found.said.adjective:
            options = [f"are {adjective}" for adjective in found.said.adjective if not adjective.endswith("-in")]
        return self.random.choice(options) if options else None

    def standing(self, table: str, filters: Sequence[Filter]) -> list[exp.Expr]:
        """The condition that holds for a table's rows unless a filter speaks of its columns."""
        said = self.lexicon.tables[table]
        if said.standing is None:
            return []
        about = {name for found in filters for name in found.about}
        own = {f"{node.table}.{node.name}" for node in said.standing.find_all(exp.Column)}
        own |= {f"{table}.{name}" for name in said.said.unless}
        return [] if about & own else [said.standing]

    # ------------------------------------------------------------------------------------ periods

    def period(self, date: ColumnWords | None, share: float) -> Period | None:
        """A window on a date, in this share of the draws."""
        if date is None or not self.chance(share):
            return None
        return draw_period(self.lexicon, date, self.random)

    # ------------------------------------------------------------------------------------ figures

    def measure(self, suits: Callable[[Measure], bool] = lambda _: True) -> Measure | None:
        """One of the measures that suit, by weight."""
        found = [measure for measure in self.lexicon.measures if suits(measure)]
        return self.weighted(found, lambda measure: measure.weight) if found else None

    def figure(self, measure: Measure, filters: Sequence[Filter] = (), adjective: str = "") -> str:
        """A measure of a filtered population as a noun phrase: "web sales of tea in Leeds"."""
        if measure.counts_rows:
            phrase = self.noun_phrase(measure.root, filters)
            if adjective:
                return f"{adjective} {self.pick('', 'number of ') or 'number of '}{phrase}"
            if self.chance(0.4):
                return f"number of {phrase}"
            return phrase
        name = self.random.choice(measure.names)
        before: list[str] = []
        after: list[str] = []
        own = [found for found in filters if found.table == measure.root and self._plain_population(measure)]
        others = [found for found in filters if found not in own]
        if measure.event or isinstance(measure.value, exp.Count):
            for found in own:
                if found.said.phrase:
                    after.append(self.random.choice(found.said.phrase))
                else:
                    before.append(self.random.choice(found.said.adjective or found.said.noun or found.said.afar_adjective or ("",)))
            own = []
        for found in others:
            simple = measure.kind in ("amount", "count") and found.said.afar_adjective
            if simple and not before and self.chance(0.5):
                before.append(self.random.choice(found.said.afar_adjective))
            else:
                after.append(self.afar(found, measure.root))
        if own or (measure.of_rows and not others) or (measure.of_rows and self.chance(0.6)):
            name = f"{name} of {self.noun_phrase(measure.root, own)}"
        if measure.kind == "amount" and not name.startswith("total") and self.chance(0.22):
            name = f"total {' '.join(before)} {name}"
        else:
            head, _, rest = name.partition("number of ")
            name = f"number of {' '.join(before)} {rest}" if rest and not head else f"{' '.join(before)} {name}"
        after.sort(key=len)
        return words.tidy(" ".join([adjective, name, *after]))

    def _plain_population(self, measure: Measure) -> bool:
        """Whether "… of gold customers" reads well: rows of it are things, not lines of something."""
        return measure.of_rows or bool(self.lexicon.tables[measure.root].display)

    def fits(self, measure: Measure, tables: set[str]) -> bool:
        """Whether the measure may be asked together with these tables."""
        if measure.only_with and not tables & set(measure.only_with):
            return False
        return not tables & set(measure.not_with)

    # --------------------------------------------------------------------------------- dimensions

    def dimensions(
        self, root: str, entities_only: bool = False, times: bool = True, date: ColumnWords | None = None
    ) -> list[tuple[Dimension, float]]:
        """What figures over ``root`` can be broken down by, with weights."""
        found: list[tuple[Dimension, float]] = []
        for name in self.lexicon.graph.reach(root):
            table = self.lexicon.tables.get(name)
            if table is None:
                continue
            near = name == root
            if table.display and table.said.named_afar and not near:
                shown = self.lexicon.display(name).expression
                found.append((Dimension((shown,), table.nouns, table=name), 2.0 * table.weight))
            if entities_only:
                continue
            for each in self.lexicon.of_kind(name, "category", "flag"):
                weight = 2.2 * each.weight if near else 1.2 * each.weight_afar
                found.append((Dimension((each.expression,), each.nouns if near else each.afar), weight * min(table.weight, 1.5)))
            for each in self.lexicon.of_kind(name, "number"):
                if each.is_dimension:
                    weight = 0.6 * (each.weight if near else each.weight_afar)
                    found.append((Dimension((each.expression,), each.nouns if near else each.afar), weight))
        if times and not entities_only:
            found += self._times(root, date)
        return found

    def _times(self, root: str, date: ColumnWords | None) -> list[tuple[Dimension, float]]:
        own = date is None
        if date is None:
            if self.lexicon.graph.edges[root] and not self.lexicon.tables[root].display:
                return []
            dates = [each for each in self.lexicon.of_kind(root, "date") if not each.profile.missing and each.weight > 0]
            date = self.random.choice(dates) if dates else None
            if date is None:
                return []
        call, timed = self.lexicon.functions.call, date.profile.timed
        day = call("day", date.expression) if timed and self.lexicon.functions.has("day") else date.expression
        # A dimension table's date is an attribute: "stores per year of opening".
        suffix = f" {date.nouns[0]}" if own else ""
        prefix = f"{re.sub(r' (date|on|at|day)$', '', date.nouns[0])} " if own else ""

        def nouns(*items: str) -> tuple[str, ...]:
            return tuple(f"{prefix}{item}" for item in items)

        def adjectives(*items: str) -> tuple[str, ...]:
            return () if suffix else items

        found = [
            (Dimension((call("month_start", date.expression),), nouns("month"), adjectives("monthly"), time=True), 2.0),
            (Dimension((call("month", date.expression),), nouns("calendar month number", "month of the year"), time=True), 0.15),
            (Dimension((day,), nouns("day"), adjectives("daily"), time=True), 0.0 if own or (timed and day is date.expression) else 0.25),
            (Dimension((call("year", date.expression),), nouns("year", "calendar year"), adjectives("yearly", "annual"), time=True), 1.6),
        ]
        if self.lexicon.functions.has("fiscal_year"):
            year = call("fiscal_year", date.expression)
            found.append((Dimension((year,), nouns("fiscal year", "FY"), time=True), 1.6))
            if self.lexicon.functions.has("fiscal_quarter"):
                both = (year, call("fiscal_quarter", date.expression))
                found.append((Dimension(both, nouns("fiscal year and quarter", "fiscal quarter and year", "fiscal quarter")[:1], time=True), 0.9))
        return [(dimension, weight * (0.5 if own else 1.0)) for dimension, weight in found]

    def dimension(
        self, measure: Measure, avoid: frozenset[str] = frozenset(), entities_only: bool = False, times: bool = True
    ) -> Dimension | None:
        """One dimension of a measure that shows none of the columns ``avoid``."""
        found = self.dimensions(measure.root, entities_only, times, measure.date)
        options = [(each, weight) for each, weight in found if not each.columns & avoid and weight > 0]
        return self.weighted(options, lambda option: option[1])[0] if options else None

    # -------------------------------------------------------------------------------------- shown

    def attribute_of(self, table: str, *kinds: str) -> ColumnWords | None:
        """A column of ``table`` worth showing beside its name."""
        found = [each for each in self.lexicon.columns[table].values() if each.kind in (kinds or ("category", "number", "date", "text"))]
        found = [each for each in found if each.weight > 0]
        return self.weighted(found, lambda each: each.weight) if found else None


def _empties(measure: Measure, found: Filter) -> bool:
    """Whether nothing is left to measure: there is no average amount of what has no amount."""
    return isinstance(found.condition, exp.Is) and found.condition.this in list(measure.value.find_all(exp.Column))


def _joined(after: list[str]) -> list[str]:
    """Phrases in a row; two of the same kind are joined by "and"."""
    out: list[str] = []
    for phrase in after:
        opening = phrase.split(" ", 1)[0]
        if out and opening in ("with", "who", "that", "whose", "without") and out[-1].split(" ", 1)[0] in ("with", "who", "that", "whose", "without"):
            phrase = f"and {phrase}"
        out.append(phrase)
    return out


def conditions(filters: Sequence[Filter], period: Period | None = None) -> tuple[exp.Expr, ...]:
    """What goes into WHERE, flat: a period of two conditions is two."""
    found: list[exp.Expr] = []
    for condition in [*(each.condition for each in filters), *([period.condition] if period else [])]:
        found += condition.flatten() if isinstance(condition, exp.And) else [condition]
    return tuple(found)
