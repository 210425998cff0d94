"""docs/explanation/cost.md says what the code computes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from sqlora.cost.chart import chart
from sqlora.cost.machine import Machine, machine_options
from sqlora.cost.model import (
    HOURS_A_MONTH,
    OFFICE_HOURS,
    bedrock_training_cost,
    dollars,
    monthly_cost,
    sagemaker_training_cost,
)
from sqlora.cost.prices import own_prices
from sqlora.cost.svg import svg
from sqlora.cost.training import CHARACTERS_A_TOKEN, local_training

FOLDER = Path(__file__).parents[3] / "docs" / "explanation"
PAGE = " ".join((FOLDER / "cost.md").read_text(encoding="utf-8").split())
MONTH = monthly_cost(prices=own_prices())
assert MONTH.tokens.amount is not None
MACHINE = monthly_cost(prices=own_prices(), more=machine_options(Machine(Decimal("1.8"), 1, Decimal("0.10")), 22_000))
LIMIT = 2_000 * 60  # requests an hour of one deployment


@pytest.mark.parametrize(
    "figure",
    [
        f"= ${MONTH.tokens.amount.normalize()}",
        f"tokens | {dollars(MONTH.tokens.amount)}",
        f"on demand, all in** | **{dollars(MONTH.on_demand.total)}",
        f"always on | {dollars(MONTH.options[1].total)}",
        f"22 days | {dollars(MONTH.options[2].total)}",
        f"provisioned throughput | {dollars(MONTH.options[-1].total)}",
        f"5 epochs: {dollars(bedrock_training_cost(2_000 * 800, 5, own_prices()).amount)}",
        f"one ml.g5.48xlarge: {dollars(sagemaker_training_cost(Decimal(4), own_prices())[0].amount)}",
        f"EC2's rate of the machine ({dollars(sagemaker_training_cost(Decimal(4), own_prices())[1].amount)})",
        f"0.25 h at $0.40: {dollars(local_training(0.25, Decimal('0.40')).total)}",
        f"takes {CHARACTERS_A_TOKEN} for a token",
        f"from {MONTH.break_even[0].queries:,} questions a month on",
        f"office hours from {MONTH.break_even[1].queries:,}.",
        f"{LIMIT * HOURS_A_MONTH:,} a month around the clock and {LIMIT * OFFICE_HOURS:,} in those",
        f"up to {MACHINE.break_even[2].queries:,} questions a month",
        f"more than {MACHINE.break_even[3].most:,}",
        f"with 80 the month would be {dollars(monthly_cost(input_tokens=80, prices=own_prices()).tokens.amount)}",
        f"= {dollars(Decimal('5.672') * OFFICE_HOURS)}",
    ],
)
def test_its_figures_are_what_is_computed(figure: str) -> None:
    assert figure in PAGE


def test_its_chart_is_what_is_drawn() -> None:
    found = chart(MONTH)
    assert found is not None
    written = (FOLDER / "cost.svg").read_text(encoding="utf-8")
    [subtitle] = re.findall(r">([^<]*prices of[^<]*)<", written)
    assert written == svg(found, subtitle)
