"""Usage rows and their sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.platform.state import State
from sqlora.platform.usage import Group, UsageRow

ROWS = [
    UsageRow("retail", "ann", 800, 60, 700, 1.5, 0.4, at="2026-01-30T23:59:59.999Z"),
    UsageRow("retail", "bob", 810, 50, 700, 1.0, 0.3, at="2026-01-31T00:00:00.000Z"),
    UsageRow("base", "ann", 790, 20, 0, 0.5, None, at="2026-01-31T08:00:00.000Z"),
]


def test_rows_are_numbered_dated_and_listed_newest_first(state: State) -> None:
    state.usage.record([UsageRow("retail", "ann", 3, 2, 1, 0.5, 0.1)])
    state.usage.record(ROWS)
    listed = state.usage.list()
    assert [row.id for row in listed] == [4, 3, 2, 1]
    assert listed[3].at.startswith("20")
    assert [row.id for row in state.usage.list(deployment="retail", limit=2)] == [3, 2]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("deployment",), [("base", None, None, 1, 790), ("retail", None, None, 2, 1610)]),
        (("caller",), [(None, "ann", None, 2, 1590), (None, "bob", None, 1, 810)]),
        (("day",), [(None, None, "2026-01-30", 1, 800), (None, None, "2026-01-31", 2, 1600)]),
        ((), [(None, None, None, 3, 2400)]),
        (
            ("day", "deployment"),
            [
                ("retail", None, "2026-01-30", 1, 800),
                ("base", None, "2026-01-31", 1, 790),
                ("retail", None, "2026-01-31", 1, 810),
            ],
        ),
    ],
)
def test_sums(state: State, by: tuple[Group, ...], expected: list[tuple[object, ...]]) -> None:
    state.usage.record(ROWS)
    sums = state.usage.summary(by)
    assert [(s.deployment, s.caller, s.day, s.requests, s.input_tokens) for s in sums] == expected


def test_sums_of_a_span_and_of_one_caller(state: State) -> None:
    state.usage.record(ROWS)
    assert state.usage.summary((), since="2026-01-31", until="2026-02-01")[0].requests == 2
    assert state.usage.summary((), until="2026-01-31")[0].output_tokens == 60
    assert state.usage.summary((), caller="ann", deployment="base")[0].seconds == 0.5
    assert state.usage.summary((), caller="nobody") == []


def test_a_row_that_cannot_be_takes_the_others_with_it(state: State) -> None:
    with pytest.raises(Exception, match="CHECK constraint"):
        state.usage.record([*ROWS, UsageRow("retail", "ann", 3, 2, 4, 0.5, 0.1)])
    assert state.usage.list() == []


def test_a_request_is_not_billed_twice(state: State) -> None:
    row = UsageRow("retail", "ann", 3, 2, 1, 0.5, 0.1, "5f0c")
    state.usage.record([row, replace(row, request_id=None), replace(row, request_id=None)])
    with pytest.raises(Exception, match="UNIQUE constraint"):
        state.usage.record([replace(row, caller="bob")])
    assert [row.request_id for row in state.usage.list()] == [None, None, "5f0c"]


def test_what_a_cloud_answered_is_told_apart(state: State) -> None:
    state.usage.record([*ROWS, replace(ROWS[1], backend="bedrock", at="2026-01-02T00:00:00.000Z")])
    sums = state.usage.summary(("backend",))
    assert [(s.backend, s.requests, s.first_at) for s in sums] == [
        ("bedrock", 1, "2026-01-02T00:00:00.000Z"),
        ("local", 3, ROWS[0].at),
    ]


_rows = st.lists(
    st.builds(
        UsageRow,
        deployment=st.sampled_from(["a", "b"]),
        caller=st.sampled_from(["x", "y"]),
        input_tokens=st.integers(5, 99),
        output_tokens=st.integers(0, 99),
        cached_tokens=st.integers(0, 5),
        seconds=st.just(0.5),
        first_token_seconds=st.none(),
        backend=st.sampled_from(["local", "bedrock"]),
        at=st.sampled_from(["2026-01-01T10:00:00.000Z", "2026-01-02T10:00:00.000Z"]),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(_rows, st.lists(st.sampled_from(["deployment", "caller", "day", "backend"]), unique=True))
def test_sums_add_up_however_they_are_grouped(state: State, rows: list[UsageRow], by: list[Group]) -> None:
    state.execute("DELETE FROM usage")
    state.usage.record(rows)
    sums = state.usage.summary(by)
    assert sum(s.requests for s in sums) == len(rows)
    for column in ("input_tokens", "output_tokens", "cached_tokens", "seconds"):
        assert sum(getattr(s, column) for s in sums) == sum(getattr(row, column) for row in rows)
    counted = Counter(tuple(row.at[:10] if g == "day" else getattr(row, g) for g in by) for row in rows)
    assert {tuple(getattr(s, g) for g in by): s.requests for s in sums} == counted
