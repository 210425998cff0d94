from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from sqlora.cost.usage import moment, project_usage
from sqlora.platform.usage import UsageSummary

NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def used(first_at: str, requests: int) -> UsageSummary:
    return UsageSummary(None, None, None, None, first_at, requests, 800 * requests, 60 * requests, 0, 1.0)


def test_the_pace_of_half_a_month_is_doubled() -> None:
    found = project_usage(used((NOW - dt.timedelta(hours=365)).isoformat(), 11_000), NOW)
    assert found.queries == 11_000
    assert found.month.workload.queries == 22_000
    assert found.month.tokens.amount == Decimal("0.8008")
    assert found.note == ""


def test_less_than_a_day_counts_as_one_and_says_so() -> None:
    found = project_usage(used("2026-01-30T23:59:00.000Z", 1), NOW)
    assert found.month.workload.queries == 30
    assert "rough" in found.note


@pytest.mark.parametrize("text", ["2026-01-30T12:00:00Z", "2026-01-30T13:00:00+01:00", "2026-01-30T12:00:00"])
def test_moments_in_any_form(text: str) -> None:
    assert moment(text) == dt.datetime(2026, 1, 30, 12, tzinfo=dt.UTC)
