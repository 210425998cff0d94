from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sqlora.cost.usage import project_usage

NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Row:
    at: dt.datetime | str | float
    input_tokens: int = 800
    output_tokens: int = 60


def test_the_pace_of_half_a_month_is_doubled() -> None:
    start = NOW - dt.timedelta(hours=365)
    found = project_usage([Row(start), *[Row(NOW)] * 10_999], NOW)
    assert found.queries == 11_000
    assert found.so_far == Decimal("0.4004")
    assert found.month is not None
    assert found.month.workload.queries == 22_000
    assert found.month.tokens.amount == Decimal("0.8008")
    assert found.note == ""


def test_less_than_a_day_counts_as_one_and_says_so() -> None:
    found = project_usage([Row(NOW - dt.timedelta(minutes=1))], NOW)
    assert found.month is not None
    assert found.month.workload.queries == 30
    assert "rough" in found.note


def test_nothing_asked() -> None:
    found = project_usage([], NOW)
    assert found.month is None
    assert found.so_far == 0
    assert found.as_dict()["note"] == "nothing was asked yet"


def test_moments_in_any_form() -> None:
    hour = dt.datetime(2026, 1, 30, 12, tzinfo=dt.UTC)
    forms: list[dt.datetime | str | float] = [
        hour, hour.isoformat(), "2026-01-30T13:00:00+01:00", hour.timestamp(), hour.replace(tzinfo=None),
    ]  # fmt: skip
    assert {project_usage([Row(form)], NOW).since for form in forms} == {hour}
