"""Time windows: "in FY2025", "last month", "since March 2025", as people say them and as conditions on a date."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.functions import Functions, integer
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, Lexicon


@dataclass(frozen=True)
class Period:
    """A window on one date: how it is said (after a verb or noun) and its condition.

    ``adjective`` says it before the figure ("last month's", "FY2026"), where that can be done.
    """

    phrase: str
    condition: exp.Expr
    adjective: str = ""
    short: bool = False  # a month or less: no figures per month or year

    @property
    def bare(self) -> str:
        """Without its preposition: "orders by channel, FY2026"."""
        head, _, rest = self.phrase.partition(" ")
        return rest.removeprefix("the ") if head in ("in", "for", "during", "over") else self.phrase


def draw_period(lexicon: Lexicon, date: ColumnWords, random: Random) -> Period:
    """A window in which the column has values."""
    draws = _Draws(lexicon.functions, date, lexicon.today, random)
    choices: list[tuple[Callable[[], Period], float]] = [
        (draws.year, 5), (draws.month_of_year, 3), (draws.since, 2), (draws.before, 1), (draws.after, 0.7),
        (draws.between_days, 1), (draws.between_months, 1.2), (draws.day, 0.8), (draws.month_of_any_year, 0.8),
        (draws.half, 0.7),
    ]  # fmt: skip
    if lexicon.functions.has("fiscal_year"):
        choices += [(draws.fiscal_year, 5)]
        if lexicon.functions.has("fiscal_quarter"):
            choices += [(draws.fiscal_quarter, 2.2)]
    if lexicon.is_recent(date):
        choices += [(draws.last_days, 3), (draws.last_months, 2.5), (draws.last_month, 2), (draws.this_month, 1.2),
                    (draws.this_year, 1.2), (draws.last_year, 1.8), (draws.today_or_yesterday, 0.7)]  # fmt: skip
        if lexicon.functions.has("fiscal_year"):
            choices += [(draws.this_fiscal_year, 1.8), (draws.last_fiscal_year, 1.6)]
            if lexicon.functions.has("fiscal_quarter"):
                choices += [(draws.this_quarter, 1)]
    return random.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]()


def draw_years(lexicon: Lexicon, date: ColumnWords, random: Random) -> tuple[Period, Period]:
    """Two periods of the same length, the later first, as they are compared."""
    draws = _Draws(lexicon.functions, date, lexicon.today, random)
    kinds: list[Callable[[], tuple[Period, Period]]] = [draws.two_years, draws.two_years, draws.two_months]
    if lexicon.functions.has("fiscal_year"):
        kinds += [draws.two_fiscal_years] * 2
        if lexicon.functions.has("fiscal_quarter"):
            kinds += [draws.two_fiscal_quarters]
    return random.choice(kinds)()


def fiscal_year_period(lexicon: Lexicon, date: ColumnWords, random: Random) -> Period:
    """One fiscal year, named or this one or the last."""
    draws = _Draws(lexicon.functions, date, lexicon.today, random)
    kinds = [draws.fiscal_year] * 4
    if lexicon.is_recent(date):
        kinds += [draws.this_fiscal_year, draws.last_fiscal_year]
    return random.choice(kinds)()


class _Draws:
    def __init__(self, functions: Functions, date: ColumnWords, today: datetime.date, random: Random) -> None:
        self.functions = functions
        self.date = date.expression
        self.timed = date.profile.timed
        self.today = today
        self.random = random
        steps: tuple[datetime.date, ...] = date.profile.steps or (today - datetime.timedelta(days=700), today)
        # Nearly all questions are about the last few years, whatever the oldest rows are.
        self.first = max(steps[0], steps[-1] - datetime.timedelta(days=1800)) if random.random() < 0.9 else steps[0]
        self.last = min(steps[-1], today)

    def of(self, role: str) -> exp.Expr:
        return self.functions.call(role, self.date)

    def equals(self, role: str, value: int) -> exp.Expr:
        return exp.EQ(this=self.of(role), expression=integer(value))

    def some_day(self) -> datetime.date:
        span = max((self.last - self.first).days, 1)
        # Later dates are asked for more often.
        return self.first + datetime.timedelta(days=int(span * self.random.random() ** 0.6))

    def year_number(self) -> int:
        return self.some_day().year

    # -------------------------------------------------------------------------------------- calendar

    def year(self) -> Period:
        year = self.year_number()
        phrase = self.random.choices([f"in {year}", f"during {year}", f"for {year}", f"over {year}"], [8, 1.5, 1, 0.4])[0]
        return Period(phrase, self.equals("year", year), str(year))

    def month_of_year(self) -> Period:
        month = self.some_day().replace(day=1)
        said = words.spoken_month(month, self.random)
        phrase = self.random.choices([f"in {said}", f"during {said}"], [8, 1])[0]
        return Period(phrase, self._month_is(month), said, short=True)

    def _month_is(self, month: datetime.date) -> exp.Expr:
        return exp.EQ(this=self.of("month_start"), expression=day_literal(month))

    def month_of_any_year(self) -> Period:
        month = self.random.randrange(12)
        name = words.MONTHS[month]
        forms = [f"in {name}", f"in {name} of any year", f"in any {name}", f"in the month of {name}"]
        return Period(self.random.choices(forms, [3, 2, 1, 1])[0], self.equals("month", month + 1))

    def half(self) -> Period:
        year, second = self.year_number(), self.random.random() < 0.5
        first, last = (datetime.date(year, 7, 1), datetime.date(year, 12, 31)) if second else (
            datetime.date(year, 1, 1), datetime.date(year, 6, 30))  # fmt: skip
        name = "second" if second else "first"
        phrase = self.random.choice([f"in the {name} half of {year}", f"in the {name} six months of {year}"])
        return Period(phrase, self._between(first, last))

    def since(self) -> Period:
        day = self.some_day()
        if self.random.random() < 0.6:
            day = day.replace(day=1)
            said = words.spoken_month(day, self.random)
        elif self.random.random() < 0.4:
            day = day.replace(month=1, day=1)
            said = str(day.year)
        else:
            said = words.spoken_date(day, self.random)
        phrase = self.random.choices([f"since {said}", f"from {said} on", f"from {said} onwards"], [5, 1, 1])[0]
        return Period(phrase, exp.GTE(this=self.date.copy(), expression=day_literal(day)))

    def before(self) -> Period:
        day = self.some_day()
        if self.random.random() < 0.4:
            day, said = day.replace(month=1, day=1), str(day.year)
        elif self.random.random() < 0.6:
            day = day.replace(day=1)
            said = words.spoken_month(day, self.random)
        else:
            said = words.spoken_date(day, self.random)
        return Period(f"before {said}", exp.LT(this=self.date.copy(), expression=day_literal(day)))

    def after(self) -> Period:
        day = self.some_day()
        if self.random.random() < 0.35:
            year = day.year
            return Period(f"after {year}", exp.GTE(this=self.date.copy(), expression=day_literal(datetime.date(year + 1, 1, 1))))
        said = words.spoken_date(day, self.random)
        if self.timed:
            day += datetime.timedelta(days=1)
        kind = exp.GTE if self.timed else exp.GT
        return Period(f"after {said}", kind(this=self.date.copy(), expression=day_literal(day)))

    def day(self) -> Period:
        day = self.some_day()
        return Period(f"on {words.spoken_date(day, self.random)}", self._between(day, day), short=True)

    def between_days(self) -> Period:
        first = self.some_day()
        last = first + datetime.timedelta(days=self.random.choice([6, 9, 13, 20, 30, 45, 60, 91]))
        one, two = words.spoken_date(first, self.random), words.spoken_date(last, self.random)
        phrase = self.random.choices([f"between {one} and {two}", f"from {one} to {two}"], [3, 2])[0]
        return Period(phrase, self._between(first, last))

    def between_months(self) -> Period:
        first = self.some_day().replace(day=1)
        last = _end_of_month(first + datetime.timedelta(days=31 * self.random.randint(1, 5)))
        one, two = words.spoken_month(first, self.random), words.spoken_month(last, self.random)
        if first.year == last.year:
            one = words.MONTHS[first.month - 1]
            two = f"{words.MONTHS[last.month - 1]} {last.year}"
        phrase = self.random.choice([f"between {one} and {two}", f"from {one} to {two}", f"from {one} through {two}"])
        return Period(phrase, self._between(first, last))

    def _between(self, first: datetime.date, last: datetime.date) -> exp.Expr:
        """Both days and those between."""
        if self.timed:
            return from_until(self.date, day_literal(first), day_literal(last + datetime.timedelta(days=1)))
        if first == last:
            return exp.EQ(this=self.date.copy(), expression=day_literal(first))
        return exp.Between(this=self.date.copy(), low=day_literal(first), high=day_literal(last))

    # ---------------------------------------------------------------------------------- from today

    def last_days(self) -> Period:
        days = self.random.choices([7, 10, 14, 21, 28, 30, 45, 60, 90, 100, 120, 180],
                                   [3, 1, 2, 0.6, 0.6, 4, 1, 2, 3, 0.3, 0.6, 0.7])[0]  # fmt: skip
        forms = [f"in the last {days} days", f"over the last {days} days", f"in the past {days} days", f"last {days} days"]
        phrase = self.random.choices(forms, [4, 1.5, 2, 1])[0]
        return Period(phrase, self._after_shift("add_days", -days), short=days < 60)

    def last_months(self) -> Period:
        months = self.random.choices([2, 3, 4, 6, 9, 12, 18, 24], [1, 4, 0.5, 4, 0.6, 2.5, 0.5, 0.8])[0]
        said = self.random.choices([str(months), words.spoken_number(months, self.random)], [3, 1])[0]
        forms = [f"in the last {said} months", f"over the last {said} months", f"in the past {said} months",
                 f"during the last {said} months", f"last {said} months"]  # fmt: skip
        return Period(self.random.choices(forms, [4, 1.5, 2, 0.5, 1])[0], self._after_shift("add_months", -months))

    def _after_shift(self, role: str, count: int) -> exp.Expr:
        kind = exp.GTE if self.timed else exp.GT  # the day itself is in or out, not all of it but midnight
        return kind(this=self.date.copy(), expression=self.functions.shifted(role, count))

    def last_month(self) -> Period:
        start = self.functions.call("month_start", self.functions.today())
        before = self.functions.call("add_months", start, integer(-1))
        phrase = self.random.choices(["last month", "in the previous month", "in the last month"], [6, 1, 0])[0]
        return Period(phrase, exp.EQ(this=self.of("month_start"), expression=before), "last month's", short=True)

    def this_month(self) -> Period:
        start = self.functions.call("month_start", self.functions.today())
        phrase = self.random.choices(["this month", "in the current month", "so far this month"], [6, 1, 1])[0]
        return Period(phrase, exp.EQ(this=self.of("month_start"), expression=start), "this month's", short=True)

    def _relative(self, role: str, back: int) -> exp.Expr:
        now = self.functions.call(role, self.functions.today())
        value = exp.Sub(this=now, expression=integer(back)) if back else now
        return exp.EQ(this=self.of(role), expression=value)

    def this_year(self) -> Period:
        phrase = self.random.choices(["this year", "in the current year", "so far this year"], [6, 1, 1])[0]
        return Period(phrase, self._relative("year", 0), "this year's")

    def last_year(self) -> Period:
        return Period(self.random.choices(["last year", "in the previous year"], [6, 1])[0], self._relative("year", 1), "last year's")

    def today_or_yesterday(self) -> Period:
        if self.random.random() < 0.5:
            return Period("today", self._is_day(0), "today's", short=True)
        return Period("yesterday", self._is_day(-1), "yesterday's", short=True)

    def _is_day(self, shift: int) -> exp.Expr:
        day, following = (self.functions.shifted("add_days", count) if count else self.functions.today() for count in (shift, shift + 1))
        return from_until(self.date, day, following) if self.timed else exp.EQ(this=self.date.copy(), expression=day)

    # -------------------------------------------------------------------------------------- fiscal

    def _fiscal_years(self) -> list[int]:
        """Years that the data's years may touch: a fiscal year is named after either of its calendar years."""
        return list(range(max(self.first.year + 1, self.last.year - 2), self.last.year + 1)) or [self.last.year]

    def fiscal_year_number(self) -> int:
        return self.random.choice(self._fiscal_years())

    def _fiscal_name(self, year: int) -> str:
        forms = [f"FY{year}", f"fiscal year {year}", f"fiscal {year}", f"FY{year % 100:02d}", f"FY {year}"]
        return self.random.choices(forms, [5, 2.5, 2, 1.5, 0.8])[0]

    def fiscal_year(self) -> Period:
        year = self.fiscal_year_number()
        said = self._fiscal_name(year)
        phrase = self.random.choices([f"in {said}", f"for {said}", f"during {said}"], [8, 2, 0.8])[0]
        return Period(phrase, self.equals("fiscal_year", year), said)

    def fiscal_quarter(self) -> Period:
        year, quarter = self.fiscal_year_number(), self.random.randint(1, 4)
        name = self._quarter_name(quarter, year)
        return Period(f"in {name}", self._quarter_is(quarter, year), "" if name.startswith("the ") else name)

    def _quarter_name(self, quarter: int, year: int) -> str:
        said = self._fiscal_name(year)
        name = ("first", "second", "third", "fourth")[quarter - 1]
        forms = [f"Q{quarter} of {said}", f"Q{quarter} {said}", f"the {name} quarter of {said}",
                 f"fiscal quarter {quarter} of {said}", f"{said} Q{quarter}"]  # fmt: skip
        return self.random.choices(forms, [4, 2.5, 2, 0.6, 1.2])[0]

    def _quarter_is(self, quarter: int, year: int) -> exp.Expr:
        return exp.and_(self.equals("fiscal_year", year), self.equals("fiscal_quarter", quarter))

    def this_fiscal_year(self) -> Period:
        forms = ["this fiscal year", "in the current fiscal year", "this FY", "so far this fiscal year"]
        return Period(self.random.choices(forms, [6, 2, 0.8, 1])[0], self._relative("fiscal_year", 0), "this fiscal year's")

    def last_fiscal_year(self) -> Period:
        forms = ["last fiscal year", "in the previous fiscal year", "last FY"]
        return Period(self.random.choices(forms, [6, 1.5, 0.8])[0], self._relative("fiscal_year", 1), "last fiscal year's")

    def this_quarter(self) -> Period:
        condition = exp.and_(self._relative("fiscal_year", 0), self._relative("fiscal_quarter", 0))
        return Period(self.random.choice(["this quarter", "in the current fiscal quarter", "this fiscal quarter"]), condition)

    # --------------------------------------------------------------------------------------- pairs

    def two_years(self) -> tuple[Period, Period]:
        later = self.random.randint(min(self.first.year + 1, self.last.year), self.last.year)
        earlier = later - 1 if self.random.random() < 0.85 else max(later - 2, self.first.year)
        return (Period(str(later), self.equals("year", later)), Period(str(earlier), self.equals("year", earlier)))

    def two_months(self) -> tuple[Period, Period]:
        later = self.some_day().replace(day=1)
        one_year = self.random.random() < 0.5 and later.year > self.first.year
        earlier = later.replace(year=later.year - 1) if one_year else (later - datetime.timedelta(days=1)).replace(day=1)
        first, second = (Period(f"{words.MONTHS[month.month - 1]} {month.year}", self._month_is(month))
                         for month in (later, earlier))  # fmt: skip
        return first, second

    def two_fiscal_years(self) -> tuple[Period, Period]:
        later = self.random.choice(self._fiscal_years()[1:] or self._fiscal_years())
        form = self.random.choice(["FY{}", "FY{}", "fiscal {}", "fiscal year {}"])
        first, second = (Period(form.format(year), self.equals("fiscal_year", year)) for year in (later, later - 1))
        return first, second

    def two_fiscal_quarters(self) -> tuple[Period, Period]:
        year = self.random.choice(self._fiscal_years()[1:] or self._fiscal_years())
        if self.random.random() < 0.5:
            quarter = self.random.randint(2, 4)
            pairs = [(quarter, year), (quarter - 1, year)]
        else:
            quarter = self.random.randint(1, 4)
            pairs = [(quarter, year), (quarter, year - 1)]
        first, second = (Period(f"Q{quarter} FY{year}", self._quarter_is(quarter, year)) for quarter, year in pairs)
        return first, second


def from_until(date: exp.Expr, first: exp.Expr, following: exp.Expr) -> exp.Expr:
    """``first`` and later, but not ``following``: of times, = finds midnight alone, and BETWEEN loses the last day."""
    return exp.and_(exp.GTE(this=date.copy(), expression=first), exp.LT(this=date.copy(), expression=following))


def day_literal(day: datetime.date) -> exp.Expr:
    """Dates are compared with strings."""
    return exp.Literal.string(day.isoformat())


def _end_of_month(day: datetime.date) -> datetime.date:
    following = (day.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    return following - datetime.timedelta(days=1)
