"""A query → an English question, by rules alone.

Every part of the query is in the question, or there is none: what the rules have no words for raises
`NoQuestionError`, because a question that leaves a condition out teaches to leave it out. The wording is plain; a
model may word it better (`sqlora.prepare.questions.writer`), and sees the rules' question as what is meant.
"""

from __future__ import annotations

import re
import zlib

from sqlglot import exp

from sqlora.prepare.questions.complete import require_complete
from sqlora.prepare.questions.conditions import Conditions
from sqlora.prepare.questions.expressions import grouping, meant
from sqlora.prepare.questions.scope import NoQuestionError, Scope, Source, rows
from sqlora.prepare.sources.synthesize.words import capitalize, enumerate_words, plural
from sqlora.sql.finding import kind_of
from sqlora.sql.schema import Schema

__all__ = ["NoQuestionError", "describe"]

_OPENINGS = ("Show the", "List the", "Give me the", "What are the", "Find the", "I need the")
_FIGURES = ("average", "total", "highest", "lowest", "latest", "earliest", "median", "number")
_SETS: dict[type[exp.Expr], str] = {
    exp.Union: "together with the", exp.Intersect: "but only those that are also among the", exp.Except: "but not the",
}  # fmt: skip


def describe(tree: exp.Query, schema: Schema) -> str:
    """The question that ``tree`` (in a base dialect's terms) answers, as one sentence.

    The same query always gives the same question. NoQuestionError where the rules cannot say all of it.
    """
    try:
        require_complete(tree)
        said = phrase(tree, Scope(schema, {}), outermost=True)
    except RecursionError as error:
        raise NoQuestionError("such deep nesting") from error
    return _sentence(said)


def phrase(query: exp.Expr, around: Scope, outermost: bool = False) -> str:
    """A query as a noun phrase without an article: ``average price of the products where …``."""
    if isinstance(query, exp.Subquery | exp.Paren):
        return phrase(query.this, around, outermost)
    if isinstance(query, exp.SetOperation):
        return _set_operation(query, around)
    if not isinstance(query, exp.Select):
        raise NoQuestionError(kind_of(query))
    return _Select(query, around).phrase(outermost)


class _Words(Conditions):
    """Words whose subqueries are phrases."""

    def subquery(self, query: exp.Query) -> str:
        """See `Values.subquery`."""
        return phrase(query, self.scope)


class _Select:
    """One SELECT on its way to a phrase."""

    def __init__(self, select: exp.Select, around: Scope) -> None:
        self.select = select
        self.scope = Scope.of(select, around.schema, around)
        if not self.scope.sources:
            raise NoQuestionError("a query without a table")
        if not select.selects:
            raise NoQuestionError("a query for nothing")
        self.words = _Words(self.scope)
        self.keys = grouping(select)

    def phrase(self, outermost: bool) -> str:
        """All of it."""
        parts = [self._subject(), *self._outer_joins()]
        conditions = [self.words.clause(node) for node in self._conditions()]
        conditions += [said for source in self.scope.sources.values() for said in self._inherited(source)]
        if conditions:
            parts.append(f" where {enumerate_words(conditions)}")
        if (having := self.select.args.get("having")) is not None:
            parts.append(f", only where {self.words.clause(self._without_aliases(having.this))}")
        parts.append(self._order(outermost))
        return self._with_unnamed("".join(parts))

    def _subject(self) -> str:
        """What is asked for, of what, for each of what."""
        items = [item.unalias() for item in self.select.selects]
        distinct = self.select.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise NoQuestionError("DISTINCT ON")
        shown = [item for item in items if item not in self.keys]
        if not self.keys:
            what = self._what(shown)
            return f"different {what}" if distinct is not None else what
        keys = enumerate_words([self.words.say(key) for key in self.keys])
        if not shown:
            return self._of(f"different {plural(keys)}")
        return self._of(f"{enumerate_words([self.words.say(item) for item in shown])} for each {keys}")

    def _what(self, items: list[exp.Expr]) -> str:
        if any(isinstance(item, exp.Star) for item in items):
            if len(items) > 1 or any(
                item.args for item in items if isinstance(item, exp.Star) and item.args.get("except_")
            ):
                raise NoQuestionError("* with other columns")
            nouns = [rows(source) for source in self.scope.sources.values() if source.noun]
            if len(nouns) < len(self.scope.sources):
                raise NoQuestionError("* of a subquery")
            return f"details of the {enumerate_words(nouns)}"
        return self._of(enumerate_words([_plural(self.words.say(item), item) for item in items]))

    def _of(self, said: str) -> str:
        """``prices of the products``, where there is one table and the columns don't say it."""
        sources = list(self.scope.sources.values())
        if len(sources) != 1 or not sources[0].noun or re.search(rf"\b{re.escape(rows(sources[0]))}\b", said):
            return said
        if said.startswith(f"{sources[0].noun} ") and " and " not in said:
            return said
        return f"{said} of the {rows(sources[0])}"

    def _conditions(self) -> list[exp.Expr]:
        """The conditions of WHERE and of joins but those that only join."""
        joins = self.select.args.get("joins") or ()
        found: list[exp.Expr] = []
        joined = 0
        for join in joins:
            on = join.args.get("on")
            parts = _all_of(on)
            said = [part for part in parts if not self.words.only_joins(part)]
            if said and join.side:
                raise NoQuestionError("a condition of an outer join")
            found += said
            joined += any(map(self._links, parts)) or bool(join.args.get("using")) or join.method == "NATURAL"
        if (where := self.select.args.get("where")) is not None:
            parts = _all_of(where.this)
            joined += sum(map(self._links, parts))
            found += [part for part in parts if not self.words.only_joins(part)]
        if joined < len(joins):
            raise NoQuestionError("every row of one table with every row of another")
        return found

    def _links(self, condition: exp.Expr) -> bool:
        """Whether a condition is about columns of two of the tables."""
        columns = [self.scope.find(column) for column in condition.find_all(exp.Column)]
        return len({id(found[1]) for found in columns if found is not None and found[0] is self.scope}) > 1

    def _outer_joins(self) -> list[str]:
        found = []
        for join in self.select.args.get("joins") or ():
            if join.kind in ("SEMI", "ANTI", "ASOF") or join.side in ("RIGHT", "FULL"):
                raise NoQuestionError(f"{join.side or join.kind} JOIN")
            source = self.scope.sources[join.this.alias_or_name.lower()]
            if join.side == "LEFT":
                if not source.noun:
                    raise NoQuestionError("an outer join of a subquery")
                found.append(f", including those without {rows(source)},")
        return found

    def _inherited(self, source: Source) -> list[str]:
        """The conditions inside of a subquery in FROM, which hold for what is asked of it."""
        query = source.query
        if query is None:
            return []
        unsaid = ("limit", "offset", "having", "distinct")
        if not isinstance(query, exp.Select) or any(query.args.get(part) for part in unsaid):
            raise NoQuestionError("such a subquery in FROM")
        inner = _Select(query, Scope(self.scope.schema, {}, None, self.scope.queries))
        said = [inner.words.clause(node) for node in inner._conditions()]
        return said + [part for below in inner.scope.sources.values() for part in inner._inherited(below)]

    def _without_aliases(self, condition: exp.Expr) -> exp.Expr:
        def looked_up(node: exp.Expr) -> exp.Expr:
            return meant(node, self.select) if isinstance(node, exp.Column) else node

        return condition.copy().transform(looked_up)

    def _order(self, outermost: bool) -> str:
        order, limit, offset = (self.select.args.get(part) for part in ("order", "limit", "offset"))
        items = order.expressions if order is not None else []
        ordered = [exp.Ordered(this=meant(item.this, self.select), desc=item.args.get("desc")) for item in items]
        said = [self.words.ranked(item) for item in ordered]
        skipped = f", leaving out the first {_count(offset)}" if offset is not None else ""
        if limit is None:
            return f", sorted by {enumerate_words(said)}{skipped}" if said and (outermost or skipped) else skipped
        count = _count(limit)
        if not said:
            return f", only {count} of them{skipped}"
        these = "the first one" if count == "1" else f"the first {count}"
        return f", only {these} by {', then '.join(said)}{skipped}"

    def _with_unnamed(self, said: str) -> str:
        """Tables that nothing in the phrase names still decide which rows there are."""
        for join in self.select.args.get("joins") or ():
            source = self.scope.sources[join.this.alias_or_name.lower()]
            if source.noun and not join.side and not re.search(rf"\b({source.noun}|{rows(source)})\b", said):
                said += f", only those with {rows(source)}"
        return said


def _set_operation(query: exp.SetOperation, around: Scope) -> str:
    if any(query.args.get(part) for part in ("order", "limit", "offset")) or query.ctes:
        raise NoQuestionError("a part of a set operation")
    word = next(word for kind, word in _SETS.items() if isinstance(query, kind))
    again = " (those in both twice)" if isinstance(query, exp.Union) and not query.args.get("distinct") else ""
    return f"{phrase(query.this, around)}, {word} {phrase(query.expression, around)}{again}"


def _all_of(condition: exp.Expr | None) -> list[exp.Expr]:
    """The conditions that all have to hold."""
    if condition is None:
        return []
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _plural(said: str, item: exp.Expr) -> str:
    """A column that is listed is many: ``names``."""
    return plural(said) if isinstance(item, exp.Column) and not said.endswith("s") else said


def _count(node: exp.Expr) -> str:
    number = node.expression if isinstance(node, exp.Limit | exp.Offset) else node.args.get("count")
    if not isinstance(number, exp.Literal) or (isinstance(node, exp.Limit) and node.args.get("offset")):
        raise NoQuestionError("such a limit")
    return number.name


def _sentence(said: str) -> str:
    """The phrase as a question, opened in one of a few ways: which one depends on the words alone."""
    said = re.sub(r",(?=[,.?]|$)", "", said)
    subject = re.split(r" where |, ", said, maxsplit=1)[0]
    if subject.startswith("number of ") and not re.search(r" (for each|and|plus|minus|times|divided by) ", subject):
        return f"How many {subject.removeprefix('number of ')} are there{said.removeprefix(subject)}?"
    if subject.split(" ")[0] in _FIGURES and " and " not in subject:
        return f"What is the {said}?"
    opening = _OPENINGS[zlib.crc32(said.encode()) % len(_OPENINGS)]
    return capitalize(f"{opening} {said}{'?' if opening.startswith('What') else ''}")
