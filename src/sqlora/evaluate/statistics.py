"""How sure can we be? Intervals of a share and of a difference of shares, and McNemar's test.

Bootstrap (Efron 1979), percentile intervals: draw n of the n outcomes with replacement, many times, and take the
middle 95 % of the shares found. The number of successes in such a draw is binomial, and the numbers of changes in
either direction are trinomial, so they are drawn as such: the same resamples, without going through n outcomes
for each.

Where all outcomes are equal the bootstrap finds an interval of no width, which claims too much ("0 of 5" is not
"never"). There the exact interval (Clopper and Pearson 1934) is taken instead.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Two models on the same questions: how many both had right, only one, neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        """Questions."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """The second's share less the first's."""
        return (self.only_second - self.only_first) / self.n if self.n else 0.0


def pair(first: list[bool], second: list[bool]) -> Paired:
    """Count the outcomes of two models on the same questions, in the same order."""
    together = list(zip(first, second, strict=True))
    counts = [together.count(case) for case in ((True, True), (True, False), (False, True), (False, False))]
    return Paired(*counts)


def share_interval(successes: int, n: int, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Interval of the share ``successes`` / ``n``. The same seed gives the same interval; n = 0 gives 0 to 1."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    if successes in (0, n):
        beyond = ((1 - level) / 2) ** (1 / n)
        return Interval(0.0, 1 - beyond) if successes == 0 else Interval(beyond, 1.0)
    draw = random.Random(seed).random
    table = _cumulative(n, successes / n)
    return _middle(sorted(bisect_left(table, draw()) for _ in range(resamples)), n, level)


def difference_interval(paired: Paired, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Interval of `Paired.difference`: questions are drawn, with both models' outcomes on them.

    Where no question tells the two apart, it is as wide as a change that was missed n times could be.
    """
    n, gained, lost = paired.n, paired.only_second, paired.only_first
    if n == 0:
        return Interval(-1.0, 1.0)
    if n in (paired.both + paired.neither, gained, lost):
        edge = share_interval(0, n, level=level).high
        middle = paired.difference
        return Interval(max(-1.0, middle - edge), min(1.0, middle + edge))
    draw = random.Random(seed).random
    gains = _cumulative(n, gained / n)
    differences: list[int] = []
    for _ in range(resamples):
        up = bisect_left(gains, draw())
        # Of the draws that were no gain, each is a loss with probability lost / (n - gained).
        down = bisect_left(_cumulative(n - up, lost / (n - gained)), draw()) if n > up else 0
        differences.append(up - down)
    return _middle(sorted(differences), n, level)


def mcnemar(paired: Paired) -> float:
    """Exact two-sided p of McNemar (1947): could the questions on which the models differ have fallen so by chance?

    Of b + c such questions the smaller number is compared with fair coin tosses; 1.0 when there are none.
    """
    fewer, more = sorted((paired.only_first, paired.only_second))
    tosses = fewer + more
    tail = sum(math.comb(tosses, heads) for heads in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**tosses)))


def quantile(ordered: list[float], q: float) -> float:
    """Linear between neighbours (numpy's default); ``ordered`` is sorted and not empty."""
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _middle(ordered: list[int], n: int, level: float) -> Interval:
    shares = [count / n for count in ordered]
    return Interval(quantile(shares, (1 - level) / 2), quantile(shares, (1 + level) / 2))


@lru_cache(maxsize=4096)
def _cumulative(n: int, p: float) -> tuple[float, ...]:
    """P(X <= k) for k = 0 … n - 1, X binomial: a uniform draw's place in it is a binomial draw."""
    if p <= 0.0:
        return (1.0,) * n
    if p >= 1.0:
        return (0.0,) * n
    log_p, log_q, whole = math.log(p), math.log1p(-p), math.lgamma(n + 1)
    total, table = 0.0, []
    for k in range(n):
        total += math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q)
        table.append(total)
    return tuple(table)
