"""A value in a query → English: columns, aggregates, arithmetic, dates. What has no words raises NoQuestionError."""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from typing import Any, Self

from sqlglot import exp

from sqlora.prepare.questions.scope import NoQuestionError, Scope, Source, refers, rows
from sqlora.prepare.sources.synthesize.words import MONTHS, enumerate_words, plural, readable
from sqlora.sql.finding import kind_of

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_PLAIN = re.compile(r"\w[\w .&+/-]*", re.UNICODE)
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "plus", exp.Sub: "minus", exp.Mul: "times", exp.Div: "divided by", exp.IntDiv: "divided by",
    exp.Mod: "modulo", exp.DPipe: "followed by",
}  # fmt: skip
_OF: dict[type[exp.Expr], str] = {
    exp.Avg: "average", exp.Median: "median", exp.Stddev: "standard deviation of the",
    exp.StddevSamp: "standard deviation of the", exp.StddevPop: "standard deviation of the",
    exp.Variance: "variance of the", exp.Year: "year of the", exp.Month: "month of the", exp.Day: "day of the",
    exp.Quarter: "quarter of the", exp.Week: "week of the", exp.Abs: "absolute", exp.Length: "length of the",
    exp.DayOfWeek: "day of the week of the", exp.Floor: "rounded down", exp.Ceil: "rounded up",
}  # fmt: skip
_SAME = (exp.Cast, exp.TryCast, exp.Paren, exp.TsOrDsToDate, exp.Date, exp.Alias)
_NOW = (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentDatetime)
_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)


class Values(ABC):
    """Words for the values of one SELECT."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @abstractmethod
    def clause(self, node: exp.Expr, denied: bool = False) -> str:
        """A condition in words; with ``denied`` its contrary."""

    @abstractmethod
    def subquery(self, query: exp.Query) -> str:
        """A query inside of this one as a noun phrase, without an article."""

    def within(self, scope: Scope) -> Self:
        """Words for another SELECT."""
        return type(self)(scope)

    def say(self, node: exp.Expr) -> str:
        """A value in words, without an article."""
        if isinstance(node, _SAME):
            return self.say(node.this)
        if isinstance(node, exp.Column):
            return self.column(node)
        if isinstance(node, exp.Literal | exp.Boolean | exp.Neg | exp.Null):
            return spoken(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            return self.subquery(node.this)
        if isinstance(node, exp.Window):
            return self._window(node)
        if isinstance(node, exp.Filter):
            return f"{self.say(node.this)} where {self.clause(node.expression.this)}"
        if isinstance(node, exp.AggFunc):
            return self._aggregate(node)
        if isinstance(node, exp.Case | exp.If):
            return self._case(_as_case(node))
        if (day := self._day(node)) is not None:
            return day
        if (word := _ARITHMETIC.get(type(node))) is not None:
            return f"{self._part(node.this)} {word} {self._part(node.expression)}"
        return self._function(node)

    def column(self, node: exp.Column) -> str:
        """A column's name in words, with its table's where there are several."""
        found = self.scope.find(node)
        if found is None:
            raise NoQuestionError(f"the column {node.name}")
        scope, source = found
        if isinstance(node.this, exp.Star):
            return f"details of the {rows(source)}" if source.noun else "details"
        if source.query is not None:
            return self._derived(node.name, source, scope)
        word = _words(node.name)
        if not word:
            raise NoQuestionError(f"the column {node.name}")
        alone = len(self.scope.sources) == 1 and scope is self.scope
        return word if alone and not _vague(word) else _with_noun(word, source)

    def is_date(self, node: exp.Expr) -> bool:
        """Whether a value is a day or a time, as far as its type or form tells."""
        if isinstance(node, _SAME) and not isinstance(node, exp.Cast | exp.TryCast):
            return self.is_date(node.this)
        if isinstance(node, exp.Cast | exp.TryCast):
            return bool(node.is_type("date", "timestamp", "timestamptz", "datetime"))
        if isinstance(node, exp.Column):
            known = self.scope.column(node)
            if known is not None:
                return known[1].type.upper().startswith(("DATE", "TIME"))
            return bool(re.search(r"(^|_)(date|day|at|on|time)$", node.name.lower()))
        if isinstance(node, exp.Min | exp.Max | exp.TimestampTrunc | exp.DateTrunc):
            return self.is_date(node.this)
        return isinstance(node, _NOW) or self._day(node) is not None or (
            isinstance(node, exp.Literal) and node.is_string and _DAY.fullmatch(node.name) is not None
        )  # fmt: skip

    def is_text(self, node: exp.Expr) -> bool:
        """Whether a value is known to be text."""
        known = self.scope.column(node) if isinstance(node, exp.Column) else None
        return known is not None and bool(re.match(r"TEXT|CHAR|VARCHAR|STRING|NVARCHAR|CLOB", known[1].type.upper()))

    def _part(self, node: exp.Expr) -> str:
        """An operand: what is said first needs no brackets."""
        said = self.say(node.this if isinstance(node, exp.Paren) else node)
        return f"({said})" if isinstance(node, exp.Paren) and isinstance(node.this, exp.Binary) else said

    def _derived(self, name: str, source: Source, scope: Scope) -> str:
        """A column of a subquery: what it is there."""
        query = source.query
        if not isinstance(query, exp.Select):
            raise NoQuestionError("a column of a set operation")
        inner = self.within(Scope.of(query, scope.schema, Scope(scope.schema, {}, None, scope.queries)))
        for item in query.selects:
            if item.alias_or_name.lower() == name.lower():
                said = inner.say(item)
                group = query.args.get("group")
                if group is None or not item.find(exp.AggFunc):
                    return said
                keys = [inner.say(key) for key in grouping(query)]
                return f"{said} for each {enumerate_words(keys)}" if keys else said
        raise NoQuestionError(f"the column {name} of a subquery")

    def _aggregate(self, node: exp.AggFunc) -> str:
        this: Any = _as_case(node.this) if isinstance(node.this, exp.If) else node.this
        if isinstance(node, exp.Count):
            return self._count(node)
        if isinstance(node, exp.GroupConcat):
            return self._list(node)
        if isinstance(node, exp.CountIf):
            return f"{self._number_of_rows()} where {self.clause(node.this)}"
        if isinstance(this, exp.Distinct):
            this = this.expressions[0] if this.expressions else None
            if not isinstance(node, exp.Min | exp.Max):
                raise NoQuestionError("DISTINCT in", node)
        if isinstance(node, exp.Sum):
            return self._total_if(this) if isinstance(this, exp.Case) else f"total {self.say(this)}"
        if isinstance(node, exp.Min | exp.Max):
            words = ("earliest", "latest") if self.is_date(this) else ("lowest", "highest")
            return f"{words[isinstance(node, exp.Max)]} {self.say(this)}"
        if (word := _OF.get(type(node))) and isinstance(this, exp.Expr):
            return f"{word} {self.say(this)}"
        raise NoQuestionError("the function", node)

    def _list(self, node: exp.GroupConcat) -> str:
        """``LISTAGG(name, ', ') WITHIN GROUP (ORDER BY name)``; a separator that the dialect adds is said too."""
        this, separator = node.this, node.args.get("separator")
        notes = [] if separator is None else [f"separated by '{separator.name}'" if separator.name else "run together"]
        if not isinstance(separator, exp.Literal | None) or not "".join(notes).isprintable():
            raise NoQuestionError("the separator of", node)
        if isinstance(this, exp.Order):
            notes.append(f"sorted by {enumerate_words([self.ranked(key) for key in this.expressions])}")
            this = this.this
        different = isinstance(this, exp.Distinct) and len(this.expressions) == 1
        this = this.expressions[0] if different else this
        said = plural(self.say(this)) if isinstance(this, exp.Column) else self.say(this)
        how = f" ({', '.join(notes)})" if notes else ""
        return f"list of {'different ' if different else ''}{said}{how}"

    def _count(self, node: exp.Count) -> str:
        this: Any = _as_case(node.this) if isinstance(node.this, exp.If) else node.this
        if isinstance(this, exp.Distinct) and len(this.expressions) == 1:
            [counted] = this.expressions
            said = self.say(counted)
            return f"number of different {plural(said) if isinstance(counted, exp.Column) else f'{said} values'}"
        if isinstance(this, exp.Star | exp.Literal) or this is None:
            return self._number_of_rows()
        if isinstance(this, exp.Case) and this.args.get("default") is None and len(this.args["ifs"]) == 1:
            return f"{self._number_of_rows()} where {self.clause(this.args['ifs'][0].this)}"
        if isinstance(this, exp.Column):
            known, found = self.scope.column(this), self.scope.find(this)
            if known and found and this.name.lower() in (key.lower() for key in known[0].primary_key):
                return f"number of {rows(found[1])}"
            return f"number of {self.say(this)} values"
        raise NoQuestionError("COUNT of an expression")

    def _number_of_rows(self) -> str:
        sources = list(self.scope.sources.values())
        if not all(source.noun for source in sources) or not sources:
            raise NoQuestionError("the number of rows of a subquery")
        # The rows of a join are those of the one table that refers to the others.
        finest = [source for source in sources if not any(refers(other, source) for other in sources)]
        if len(sources) > 1 and len(finest) != 1:
            raise NoQuestionError("the number of rows of such a join")
        return f"number of {rows(finest[0] if finest else sources[0])}"

    def _total_if(self, node: exp.Case) -> str:
        """``SUM(CASE WHEN … THEN amount ELSE 0 END)``."""
        default = spoken_or_none(node.args.get("default")) or "0"
        if node.this is not None or len(node.args["ifs"]) != 1 or default not in ("0", "0.0", "nothing"):
            raise NoQuestionError("SUM of such a CASE")
        only = node.args["ifs"][0]
        counted = spoken_or_none(only.args["true"]) == "1"
        what = self._number_of_rows() if counted else f"total {self.say(only.args['true'])}"
        return f"{what} where {self.clause(only.this)}"

    def _case(self, node: exp.Case) -> str:
        parts = []
        for branch in node.args["ifs"]:
            condition = branch.this if node.this is None else exp.EQ(this=node.this, expression=branch.this)
            parts.append(f"{self.say(branch.args['true'])} if {self.clause(condition)}")
        default = node.args.get("default")
        last = self.say(default) if default is not None else "nothing"
        return f"{', '.join(parts)}, otherwise {last}"

    def _window(self, node: exp.Window) -> str:
        """A rank, or an aggregate over a part of the rows. What a frame says has no words here."""
        spec, order = node.args.get("spec"), node.args.get("order")
        if spec is not None or not isinstance(node.this, (*_RANKS, exp.AggFunc)):
            raise NoQuestionError("such a window")
        keys = [self.say(key) for key in node.args.get("partition_by") or ()]
        each = f" within each {enumerate_words(keys)}" if keys else ""
        sorted_by = enumerate_words([self.ranked(key) for key in order.expressions]) if order is not None else ""
        if isinstance(node.this, _RANKS):
            if not sorted_by:
                raise NoQuestionError("a row number without an order")
            kind = "row number" if isinstance(node.this, exp.RowNumber) else "rank"
            return f"{kind} by {sorted_by}{each}"
        if sorted_by:
            return f"running {self.say(node.this)} by {sorted_by}{each}"
        return f"{self.say(node.this)}{each or ' over all'}"

    def ranked(self, node: exp.Expr) -> str:
        """``highest price``, ``latest order date``: what an item of ORDER BY puts first."""
        this, descending = (node.this, bool(node.args.get("desc"))) if isinstance(node, exp.Ordered) else (node, False)
        if self.is_date(this):
            return f"{'latest' if descending else 'earliest'} {self.say(this)}"
        if self.is_text(this):
            return f"{self.say(this)} in {'reverse ' if descending else ''}alphabetical order"
        return f"{'highest' if descending else 'lowest'} {self.say(this)}"

    def _day(self, node: exp.Expr) -> str | None:
        """``today``, ``30 days before today``; None for what is no such date."""
        if isinstance(node, _NOW):
            return "today" if isinstance(node, exp.CurrentDate) else "now"
        if isinstance(node, exp.Add | exp.Sub | exp.DateAdd | exp.DateSub | exp.TsOrDsAdd) and (
            span := self._span(node)
        ):
            length, back = span
            before = isinstance(node, exp.Sub | exp.DateSub) is not back
            return f"{length} {'before' if before else 'after'} {self.say(node.this)}"
        return None

    @staticmethod
    def _span(node: exp.Expr) -> tuple[str, bool] | None:
        """``3 months``, and whether they go back, as in ``DATEADD(month, -3, …)``; None for what is no such span."""
        amount, unit = node.expression, node.args.get("unit")
        if isinstance(amount, exp.Interval):
            amount, unit = amount.this, amount.args.get("unit")
        negative = isinstance(amount, exp.Neg)
        amount = amount.this if negative else amount
        if unit is None or not isinstance(amount, exp.Literal):
            return None
        word, count = unit.name.lower().rstrip("s"), amount.name.removeprefix("-")
        return f"{count} {word if count == '1' else word + 's'}", negative is not amount.name.startswith("-")

    def _function(self, node: exp.Expr) -> str:
        this = node.this if isinstance(node.this, exp.Expr) else None
        if isinstance(node, exp.Coalesce) and len(node.expressions) == 1 and this is not None:
            return f"{self.say(this)} ({self.say(node.expressions[0])} where missing)"
        if isinstance(node, exp.Nullif) and spoken_or_none(node.expression) == "0":
            return self.say(node.this)
        if isinstance(node, exp.Round) and this is not None:
            digits = node.args.get("decimals")
            return f"{self.say(this)} rounded to {digits.name if digits is not None else 0} decimals"
        if isinstance(node, exp.Upper | exp.Lower) and this is not None:
            return f"{self.say(this)} in {'upper' if isinstance(node, exp.Upper) else 'lower'} case"
        if isinstance(node, exp.Concat) and node.expressions:
            return " followed by ".join(map(self.say, node.expressions))
        if isinstance(node, exp.Trim) and this is not None:
            return self.say(this)
        if isinstance(node, exp.Extract):
            return f"{node.name.lower()} of the {self.say(node.expression)}"
        if isinstance(node, exp.TimestampTrunc | exp.DateTrunc) and this is not None:
            return f"{node.args['unit'].name.lower()} of the {self.say(this)}"
        if isinstance(node, exp.DateDiff):
            unit = node.args.get("unit")
            units = f"{unit.name.lower() if unit is not None else 'day'}s"
            return f"number of {units} from {self.say(node.expression)} to {self.say(node.this)}"
        if (word := _OF.get(type(node))) and this is not None:
            return f"{word} {self.say(this)}"
        if isinstance(node, exp.Func):
            raise NoQuestionError("the function", node)
        raise NoQuestionError(kind_of(node))


def grouping(select: exp.Select) -> list[exp.Expr]:
    """What a SELECT groups by, with numbers and aliases looked up. NoQuestionError for CUBE and so on."""
    group = select.args.get("group")
    if group is None:
        return []
    if any(group.args.get(part) for part in ("cube", "rollup", "grouping_sets", "totals")):
        raise NoQuestionError("GROUP BY with subtotals")
    if group.args.get("all"):
        return [item for item in select.selects if not item.find(exp.AggFunc)]
    return [meant(item, select) for item in group.expressions]


def meant(node: exp.Expr, select: exp.Select) -> exp.Expr:
    """What a number or an alias in GROUP BY, HAVING or ORDER BY stands for."""
    if isinstance(node, exp.Literal) and node.is_int and 0 < int(node.name) <= len(select.selects):
        return select.selects[int(node.name) - 1].unalias()
    if isinstance(node, exp.Column) and not node.table:
        for item in select.selects:
            if isinstance(item, exp.Alias) and item.alias.lower() == node.name.lower():
                return item.unalias()
    return node


def spoken(node: exp.Expr) -> str:
    """A literal as a person says it: ``5 March 2025``, ``Leeds``, ``'50 % off'`` in quotes where words would run on."""
    if isinstance(node, exp.Null):
        return "nothing"
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Neg):
        return f"-{spoken(node.this)}"
    if not isinstance(node, exp.Literal):
        raise NoQuestionError(kind_of(node))
    text = str(node.this)
    if node.is_string:
        if day := _DAY.fullmatch(text):
            try:
                date = datetime.date(*map(int, day.groups()))
            except ValueError:
                return f"'{text}'"
            return f"{date.day} {MONTHS[date.month - 1]} {date.year}"
        return text if _PLAIN.fullmatch(text) and text == text.strip() else f"'{text}'"
    return text


def spoken_or_none(node: exp.Expr | None) -> str | None:
    """As `spoken`; None for what is no literal."""
    try:
        return spoken(node) if node is not None else None
    except NoQuestionError:
        return None


def _words(name: str) -> str:
    """A column's name in words: ``joined_on`` is a ``joined date``, ``is_active`` an ``active``."""
    said = readable(name)
    said = re.sub(r"^(is|has) (?=.)", "", said)
    return re.sub(r"(?<=.) (on|at)$", " date", said)


def _vague(word: str) -> bool:
    return word in ("id", "name", "title", "code", "type", "status", "date", "description", "number")


def _with_noun(word: str, source: Source) -> str:
    if not source.noun or word == source.noun or word.startswith(f"{source.noun} "):
        return word if not source.noun.startswith("other ") else f"other {word}"
    return f"{source.noun} {word}"


def _as_case(node: exp.Case | exp.If) -> exp.Case:
    """``IFF(condition, one, other)`` as the CASE that it is short for."""
    if isinstance(node, exp.Case):
        return node
    branch = exp.If(this=node.this.copy(), true=node.args["true"].copy())
    other = node.args.get("false")
    return exp.Case(ifs=[branch], default=None if other is None or isinstance(other, exp.Null) else other.copy())
