from __future__ import annotations

from decimal import Decimal

import pytest

from sqlora.cost.machine import Machine, machine_options
from sqlora.cost.model import monthly_cost
from sqlora.errors import ConfigError

MACHINE = Machine(Decimal("1.8"), 250, Decimal("0.10"))


def test_a_month_on_this_machine() -> None:
    busy, always = machine_options(MACHINE, 22_000)
    assert busy.total == Decimal("1.1")  # 11 hours
    assert busy.lines[0].formula == "22,000 × 1.8 s × $0.10 per hour"
    assert always.total == Decimal(73)
    assert "measured on 250" in busy.lines[0].note


def test_it_answers_no_more_than_fits_into_a_month() -> None:
    assert MACHINE.most == 1_460_000
    busy, _ = machine_options(MACHINE, 2_000_000)
    assert "More than it can answer" in busy.lines[0].note
    assert "More than" not in machine_options(MACHINE, 1_460_000)[0].lines[0].note


def test_it_is_compared_with_bedrock() -> None:
    month = monthly_cost(more=machine_options(MACHINE, 22_000))
    busy, always = month.break_even[-2:]
    # 1.95 / (0.00005 - 0.0000364): without the storage, each question here costs more than there
    assert (busy.cheaper, busy.queries) == ("up to", 143_382)
    assert always.cheaper == "never"
    assert "1,460,000" in always.text
    assert month.options[-1].name == "Bedrock provisioned throughput"


@pytest.mark.parametrize(("seconds", "price"), [("0", "1"), ("-1", "1"), ("NaN", "1"), ("1", "-1"), ("1", "Infinity")])
def test_a_machine_that_cannot_be(seconds: str, price: str) -> None:
    with pytest.raises(ConfigError):
        Machine(Decimal(seconds), 1, Decimal(price))
