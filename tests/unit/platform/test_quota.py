"""Requests and tokens a minute: never more in any minute, refused only with reason, and forgotten when idle."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import BusyError
from sqlora.platform.quota import REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, Quota, QuotaExceeded


class Clock:
    """Seconds, set by hand."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_the_services_defaults() -> None:
    quota = Quota()
    assert (quota.requests_per_minute, quota.tokens_per_minute) == (2_000, 4_000_000)
    assert (REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE) == (2_000, 4_000_000)


def test_a_request_too_many_is_refused_until_the_first_is_a_minute_ago() -> None:
    clock = Clock()
    quota = Quota(2, 100, clock)
    quota.admit("shop", 1)
    clock.at += 30
    quota.admit("shop", 1)
    for seconds in (0, 29.5, 0.5):
        clock.at += seconds
        with pytest.raises(QuotaExceeded, match="too many requests: deployment 'shop' may use 2 requests") as caught:
            quota.admit("shop", 1)
        assert caught.value.limit == "requests"
        assert isinstance(caught.value, BusyError)
    quota.admit("office", 1)
    clock.at += 1.0
    quota.admit("shop", 1)
    with pytest.raises(QuotaExceeded):
        quota.admit("shop", 1)


def test_tokens_of_prompts_and_answers_count_together() -> None:
    clock = Clock()
    quota = Quota(100, 50, clock)
    quota.admit("shop", 20)
    quota.charge("shop", 10)
    with pytest.raises(QuotaExceeded, match="may use 50 tokens a minute") as caught:
        quota.admit("shop", 21)
    assert caught.value.limit == "tokens"
    quota.admit("shop", 20)
    quota.charge("shop", 1000)  # an answer is never cut off for it
    with pytest.raises(QuotaExceeded):
        quota.admit("shop", 1)
    clock.at += 61
    quota.admit("shop", 50)


def test_what_was_refused_is_not_counted() -> None:
    quota = Quota(2, 50, Clock())
    for _ in range(5):
        with pytest.raises(QuotaExceeded):
            quota.admit("shop", 51)
    quota.admit("shop", 25)
    quota.admit("shop", 25)


def test_memory_is_of_what_was_used_lately() -> None:
    clock = Clock()
    quota = Quota(10_000, 10_000_000, clock)
    for n in range(3000):
        quota.admit("shop", 1)
        quota.admit(f"once-{n}", 1)
        clock.at += 0.25
    assert len(quota._windows["shop"].seconds) <= 61
    # What was used once is swept within two minutes: 480 quarters of a second, and some.
    assert len(quota._windows) <= 500


def test_threads_share_one_limit() -> None:
    quota = Quota(500, 10**9, Clock())
    admitted: list[int] = []

    def ask(count: int = 200) -> None:
        for _ in range(count):
            try:
                quota.admit("shop", 1)
            except QuotaExceeded:
                continue
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 500


@settings(max_examples=300)
@given(
    start=st.floats(0, 10**6).map(lambda seconds: round(seconds * 8) / 8),
    requests=st.integers(1, 5),
    tokens=st.integers(1, 60),
    calls=st.lists(
        st.tuples(st.integers(0, 160).map(lambda eighths: eighths / 8), st.integers(0, 40), st.booleans()), max_size=60
    ),
)
def test_no_minute_sees_more_than_the_limit_and_none_is_refused_without_reason(
    start: float, requests: int, tokens: int, calls: list[tuple[float, int, bool]]
) -> None:
    """``calls``: seconds since the one before, tokens, and whether they are of an answer."""
    clock = Clock(start)
    quota = Quota(requests, tokens, clock)
    used: list[tuple[float, int, int]] = []  # when, requests, tokens

    def since(seconds: float) -> tuple[int, int]:
        recent = [use for use in used if use[0] > clock.at - seconds]
        return sum(use[1] for use in recent), sum(use[2] for use in recent)

    for passed, count, is_answer in calls:
        clock.at += passed
        if is_answer:
            quota.charge("shop", count)
            used.append((clock.at, 0, count))
            continue
        refused = None
        try:
            quota.admit("shop", count)
        except QuotaExceeded as error:
            refused = error.limit
        (few, little), (many, much) = since(60), since(61)
        if refused is None:
            assert few + 1 <= requests
            assert little + count <= tokens
            used.append((clock.at, 1, count))
        elif refused == "requests":
            assert many + 1 > requests
        else:
            assert much + count > tokens
