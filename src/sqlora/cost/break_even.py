"""From how many questions a month on one way of answering costs less than another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Cheaper = Literal["from", "up to", "always", "never", "unknown"]


@dataclass(frozen=True)
class Curve:
    """Dollars a month of q questions: ``fixed`` + q × ``each``, for q up to ``most`` (None: without end)."""

    fixed: Decimal
    each: Decimal
    most: int | None = None

    def at(self, queries: int) -> Decimal:
        """The cost of so many questions a month."""
        return self.fixed + self.each * queries


@dataclass(frozen=True)
class BreakEven:
    """When ``hosting`` costs no more than on demand: from, or up to, ``queries`` a month; None where no number tells.

    ``most``: how many questions it can answer in a month, where that is known.
    """

    hosting: str
    queries: int | None
    cheaper: Cheaper = "unknown"
    most: int | None = None

    @property
    def text(self) -> str:
        """The sentence; empty where a price is missing."""
        if self.cheaper in ("from", "up to"):
            end = " on" if self.cheaper == "from" else ""
            return f"{self.hosting} costs less {self.cheaper} {self.queries:,} questions a month{end}"
        if self.cheaper == "never" and self.most is not None:
            return f"{self.hosting} never costs less: it answers {self.most:,} questions a month at the most"
        return "" if self.cheaper == "unknown" else f"{self.hosting} {self.cheaper} costs less"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"hosting": self.hosting, "queries": self.queries, "cheaper": self.cheaper, "most": self.most}


def break_even(name: str, other: Curve | None, on_demand: Curve | None) -> BreakEven:
    """Compare ``other``, called ``name``, with on demand; unknown when a price of either is.

    >>> break_even("a server", Curve(Decimal(100), Decimal(0)), Curve(Decimal(2), Decimal("0.01"))).queries
    9800
    """
    if other is None or on_demand is None:
        return BreakEven(name, None)
    more, saved = other.fixed - on_demand.fixed, on_demand.each - other.each
    if saved > 0:  # each question makes up for some of what is fixed
        start = max(0, math.ceil(more / saved))
        if other.most is not None and start > other.most:
            return BreakEven(name, None, "never", other.most)
        return BreakEven(name, start, "from" if start else "always", other.most)
    if more > 0 or (more == 0 and saved < 0):
        return BreakEven(name, None, "never")
    if saved == 0:
        return BreakEven(name, 0, "always", other.most)
    end = math.floor(more / saved)
    most = end if other.most is None else min(end, other.most)
    return BreakEven(name, most, "up to", other.most)
