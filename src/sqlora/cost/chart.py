"""Dollars a month over questions a month, both in powers of ten: what a chart of the options shows, and as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlora.cost.break_even import BreakEven, Curve
from sqlora.cost.model import MonthlyCost, dollars

MARKS = "●▲■◆○△□◇"
WIDTH, HEIGHT = 64, 14  # of the text chart, characters
WORKLOAD = "┊"
MOST = 12  # powers of ten that are drawn; who asks a million million questions a month reads no chart
MARGIN = 0.3  # of a power of ten, to the right of the last break-even


@dataclass(frozen=True)
class Series:
    """One option as a line; ``mark`` stands for it where there is no color."""

    name: str
    curve: Curve
    mark: str


@dataclass(frozen=True)
class Axis:
    """From 10^``low`` to 10^``high``."""

    low: int
    high: int

    def place(self, value: Decimal | float) -> float:
        """Where the value lies, from 0 to 1; what is beyond an end lies beyond it here too."""
        return (math.log10(value) - self.low) / (self.high - self.low) if value > 0 else -1.0

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(place, label) of each power of ten."""
        powers = range(self.low, self.high + 1)
        return [((power - self.low) / (self.high - self.low), short(power)) for power in powers]


@dataclass(frozen=True)
class Chart:
    """The series with both axes; ``x``: questions a month, ``y``: dollars a month."""

    series: tuple[Series, ...]
    break_even: tuple[BreakEven, ...]
    queries: int
    x: Axis
    y: Axis

    def points(self, series: Series, steps: int) -> list[tuple[float, float]]:
        """(x, y) from 0 to 1 at ``steps`` places and at the line's end; only what lies within the chart."""
        most = series.curve.most or 10**self.x.high
        counts = [round(10 ** (self.x.low + (self.x.high - self.x.low) * n / (steps - 1))) for n in range(steps)]
        counts = [count for count in counts if count < most] + [min(most, 10**self.x.high)]
        places = [(self.x.place(count), self.y.place(series.curve.at(count))) for count in counts]
        return [(x, y) for x, y in places if 0 <= x <= 1 and 0 <= y <= 1]

    def crossings(self) -> list[tuple[int, Decimal]]:
        """(questions, dollars) of the break-evens that lie within the chart."""
        [on_demand, *_] = self.series
        found = [each.queries for each in self.break_even if each.cheaper in ("from", "up to") and each.queries]
        return [(queries, on_demand.curve.at(queries)) for queries in found if self.x.place(queries) <= 1]


def chart(month: MonthlyCost) -> Chart | None:
    """What to draw of a month; None where a price of on demand is missing, so that there is nothing to compare."""
    options = [option for option in month.options if option.curve is not None]
    if not options or options[0] is not month.on_demand:
        return None
    series = tuple(
        Series(option.name, option.curve, mark)
        for option, mark in zip(options, MARKS, strict=False)
        if option.curve is not None
    )
    queries = min(max(month.workload.queries, 1), 10**MOST)
    ends = [each.queries for each in month.break_even if each.queries]
    right = math.ceil(math.log10(max([queries, *ends])) + MARGIN)
    x = Axis(max(0, min(3, _power(queries) - 1)), min(max(right, 6), MOST + 1))
    amounts = [each.curve.at(count) for each in series for count in (10**x.low, 10**x.high)]
    low = min((amount for amount in amounts if amount > 0), default=Decimal(1))
    y = Axis(max(_power(low), -1), min(max(_power(max(amounts)) + 1, 1), MOST + 1))
    return Chart(series, month.break_even, queries, x, y)


def draw(found: Chart) -> list[str]:
    """The chart as lines of text, with its legend."""
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    here = round(found.x.place(found.queries) * (WIDTH - 1))
    for row in grid:
        row[here] = WORKLOAD
    for series in reversed(found.series):  # on demand last, over the others
        for x, y in found.points(series, WIDTH):
            grid[HEIGHT - 1 - round(y * (HEIGHT - 1))][round(x * (WIDTH - 1))] = series.mark
    lines = [f"{label} ┤{''.join(row).rstrip()}" for label, row in zip(_labels(found.y), grid, strict=True)]
    lines += [" " * 11 + "└" + "─" * WIDTH, " " * 12 + _below(found.x), " " * 12 + "questions a month"]
    on_demand = found.series[0].curve.at(found.queries)
    legend = [f"{series.mark} {series.name}" for series in found.series]
    return [*lines, *legend, f"{WORKLOAD} {found.queries:,} questions, {dollars(on_demand)} on demand"]


def short(power: int) -> str:
    """10 to that power: ``0.10``, ``100``, ``10k``, ``1M``, ``1B`` (a thousand million)."""
    if power < 0:
        return f"{10.0**power:.2f}"
    return f"{10 ** (power % 3)}{('', 'k', 'M', 'B', 'T')[power // 3]}"


def _labels(axis: Axis) -> Sequence[str]:
    rows = [" " * 10] * HEIGHT
    for place, label in axis.ticks:
        rows[HEIGHT - 1 - round(place * (HEIGHT - 1))] = f"${label}".rjust(10)
    return rows


def _below(axis: Axis) -> str:
    line = [" "] * (WIDTH + 6)
    for place, label in axis.ticks:
        start = round(place * (WIDTH - 1))
        line[start : start + len(label)] = label
    return "".join(line).rstrip()


def _power(value: int | Decimal) -> int:
    return math.floor(math.log10(value)) if value > 0 else 0
