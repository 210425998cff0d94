"""How long things are: counted while they pass, and told as a histogram."""

from __future__ import annotations

from collections import Counter
from typing import Any

BARS = 30
_STEPS = (1, 2, 5)


class Lengths:
    """Counts lengths; memory is that of the different ones."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        """One more of this length."""
        self._counts[length] += 1

    def as_dict(self) -> dict[str, Any]:
        """Median, 95th percentile, longest, sum, and a histogram: bars of ``width``, the first from ``start``."""
        if not self._counts:
            return {"median": 0, "p95": 0, "longest": 0, "sum": 0, "start": 0, "width": 1, "bars": []}
        least, longest = min(self._counts), max(self._counts)
        width = _width(longest - least + 1)
        start = least // width * width
        bars = [0] * ((longest - start) // width + 1)
        for length, count in self._counts.items():
            bars[(length - start) // width] += count
        return {
            "median": self.share(0.5),
            "p95": self.share(0.95),
            "longest": longest,
            "sum": sum(length * count for length, count in self._counts.items()),
            "start": start,
            "width": width,
            "bars": bars,
        }

    def share(self, share: float) -> int:
        """The least length that this share of all is no longer than."""
        wanted, seen = share * self._counts.total(), 0
        for length in sorted(self._counts):
            seen += self._counts[length]
            if seen >= wanted:
                return length
        return 0


def _width(span: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that needs no more than `BARS` bars."""
    power = 1
    while True:
        for step in _STEPS:
            if span <= step * power * BARS:
                return step * power
        power *= 10
