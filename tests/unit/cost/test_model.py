from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.cost.model import (
    Workload,
    bedrock_training_cost,
    dollars,
    monthly_cost,
    sagemaker_training_cost,
)
from sqlora.cost.prices import PriceTable, load_prices
from sqlora.errors import ConfigError


def without(name: str) -> PriceTable:
    table = load_prices()
    return dataclasses.replace(
        table, prices={**table.prices, name: dataclasses.replace(table[name], value=None, certainty="not found")}
    )


def test_the_reference_workload() -> None:
    month = monthly_cost(22_000, 800, 60)
    assert month.tokens.amount == Decimal("0.8008")
    assert dollars(month.tokens.amount) == "$0.80"
    assert month.on_demand.lines[1].amount == Decimal("1.95")
    assert month.on_demand.total == Decimal("2.7508")
    assert dollars(month.on_demand.total) == "$2.75"


def test_hosting() -> None:
    always, office = monthly_cost().options[1:3]
    assert always.total == Decimal("5175.70")
    assert dollars(always.total) == "$5,175.70"
    assert office.total == Decimal("1871.76")


def test_break_even_is_the_first_month_that_hosting_wins() -> None:
    for found, hosting in zip(monthly_cost().break_even, monthly_cost().options[1:3], strict=True):
        assert found.queries is not None
        assert hosting.total is not None
        at, below = monthly_cost(found.queries).on_demand.total, monthly_cost(found.queries - 1).on_demand.total
        assert at is not None
        assert below is not None
        assert below < hosting.total <= at


def test_training() -> None:
    # AWS's example: 2,000 records of 800 tokens, 5 epochs
    assert bedrock_training_cost(2_000 * 800, 5).amount == Decimal(8)
    billed, machine = sagemaker_training_cost(Decimal(4))
    assert billed.amount == Decimal("81.44")
    assert dollars(machine.amount) == "$65.15"
    assert "not billed at this rate" in machine.note


def test_a_price_that_was_not_found_makes_no_number() -> None:
    provisioned = monthly_cost().options[-1]
    assert provisioned.total is None
    assert dollars(provisioned.total) == "not found"
    month = monthly_cost(prices=without("nova-micro-custom-output"))
    assert month.tokens.amount is None
    assert month.on_demand.total is None
    assert [found.queries for found in month.break_even] == [None, None]
    assert bedrock_training_cost(1, 1, without("nova-micro-training")).amount is None


def test_questions_without_tokens_never_break_even() -> None:
    assert monthly_cost(100, 0, 0).break_even[0].queries is None


@pytest.mark.parametrize("wrong", [{"queries": -1}, {"input_tokens": -5}, {"output_tokens": -1}, {"models": -1}])
def test_negative_counts_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="below 0"):
        Workload(**wrong)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_cost_is_exact(queries: int, tokens_in: int, tokens_out: int) -> None:
    # In units of 10^-9 dollars all prices are whole numbers.
    expected = queries * (tokens_in * 35 + tokens_out * 140)
    assert monthly_cost(queries, tokens_in, tokens_out).tokens.amount == Decimal(expected).scaleb(-9)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "$0.00"), ("0.8008", "$0.80"), ("0.005", "$0.005"), ("0.0000364", "$0.000036"), ("1.005", "$1.01"),
     ("5175.7", "$5,175.70"), ("0.009999", "$0.01")],
)  # fmt: skip
def test_dollars(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


def test_as_json() -> None:
    found = json.loads(json.dumps(monthly_cost().as_dict()))
    assert found["options"][0]["lines"][0]["amount"] == "0.8008"
    assert found["options"][0]["lines"][0]["shown"] == "$0.80"
    assert found["options"][-1]["total"] is None
