from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.evaluate.statistics import (
    Paired,
    difference_interval,
    mcnemar,
    pair,
    quantile,
    share_interval,
)

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tables = st.builds(Paired, *[st.integers(0, 60)] * 4).filter(lambda paired: paired.n > 0)


@given(counts, st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_an_interval_holds_its_share(count: tuple[int, int], seed: int) -> None:
    successes, n = count
    interval = share_interval(successes, n, seed, resamples=2_000)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    assert interval.high > interval.low or n == 0


@given(counts)
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_interval(count: tuple[int, int]) -> None:
    assert share_interval(*count, seed=7, resamples=500) == share_interval(*count, seed=7, resamples=500)


@given(counts)
@settings(max_examples=25, deadline=None)
def test_successes_and_failures_mirror_each_other(count: tuple[int, int]) -> None:
    successes, n = count
    one, other = share_interval(successes, n), share_interval(n - successes, n)
    assert one.low == pytest.approx(1 - other.high, abs=2.5 / n)
    assert one.high == pytest.approx(1 - other.low, abs=2.5 / n)


def test_more_questions_narrow_it() -> None:
    widths = [share_interval(n * 3 // 4, n) for n in (20, 80, 320, 1280)]
    spans = [interval.high - interval.low for interval in widths]
    assert spans == sorted(spans, reverse=True)
    # Half the width at n = 320 by the normal approximation: 1.96 · sqrt(0.75 · 0.25 / 320) = 0.0474
    assert spans[2] / 2 == pytest.approx(0.0474, abs=0.005)


def test_it_is_what_resampling_gives() -> None:
    outcomes = [True] * 38 + [False] * 22
    rng = random.Random(1)
    shares = sorted(sum(rng.choices(outcomes, k=60)) / 60 for _ in range(10_000))
    interval = share_interval(38, 60)
    assert interval.low == pytest.approx(quantile(shares, 0.025), abs=0.018)
    assert interval.high == pytest.approx(quantile(shares, 0.975), abs=0.018)


def test_never_seen_is_not_never() -> None:
    # Clopper-Pearson: 0 of 10 → up to 30.85 %
    assert share_interval(0, 10).high == pytest.approx(0.3085, abs=1e-4)
    assert share_interval(10, 10).low == pytest.approx(0.6915, abs=1e-4)
    assert (share_interval(0, 0).low, share_interval(0, 0).high) == (0, 1)


def test_more_successes_than_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        share_interval(5, 4)


@given(tables, st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_a_difference_lies_in_its_interval(paired: Paired, seed: int) -> None:
    interval = difference_interval(paired, seed, resamples=1_000)
    assert -1 <= interval.low <= paired.difference <= interval.high <= 1


def test_the_difference_is_what_resampling_pairs_gives() -> None:
    paired = Paired(both=20, only_first=6, only_second=30, neither=44)
    changes = [0] * 64 + [-1] * 6 + [1] * 30
    rng = random.Random(3)
    found = sorted(sum(rng.choices(changes, k=100)) / 100 for _ in range(10_000))
    interval = difference_interval(paired)
    assert interval.low == pytest.approx(quantile(found, 0.025), abs=0.011)
    assert interval.high == pytest.approx(quantile(found, 0.975), abs=0.011)
    assert paired.difference == pytest.approx(0.24)


def test_models_that_never_differ() -> None:
    interval = difference_interval(Paired(10, 0, 0, 10))
    assert interval.low < 0 < interval.high


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 5, 0.0625),  # 2 · (1/2)^5
        (2, 10, 0.03857421875),  # 2 · (1 + 12 + 66) / 4096
        (10, 2, 0.03857421875),
        (0, 10, 0.001953125),
        (12, 30, 0.0079159),
    ],
)
def test_mcnemar(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(Paired(7, only_first, only_second, 9)) == pytest.approx(p, rel=1e-3)


def test_mcnemar_of_thousands_does_not_overflow() -> None:
    assert 0 <= mcnemar(Paired(0, 900, 2_000, 0)) < 1e-80


def test_pairs_are_counted() -> None:
    assert pair([True, True, False, False, False], [True, False, True, True, False]) == Paired(1, 1, 2, 1)
    with pytest.raises(ValueError):
        pair([True], [])


def test_quantile() -> None:
    assert quantile([1.0], 0.975) == 1.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert quantile([0.0, 10.0], 0.25) == 2.5
