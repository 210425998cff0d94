"""This machine as a way to answer: how long a question takes here, and what an hour of it costs its owner."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlora.cost.break_even import Curve
from sqlora.cost.model import HOURS_A_MONTH, Line, Option, hourly
from sqlora.cost.prices import Price, this_machine
from sqlora.errors import ConfigError

SECONDS_AN_HOUR = Decimal(3600)


@dataclass(frozen=True)
class Machine:
    """``seconds`` of one question, measured over ``questions`` of them; ``price_per_hour`` in dollars."""

    seconds: Decimal
    questions: int
    price_per_hour: Decimal

    def __post_init__(self) -> None:
        if not self.seconds.is_finite() or self.seconds <= 0:
            raise ConfigError(f"{self.seconds} seconds a question were not measured", "sqlora ask, then sqlora cost")
        this_machine(self.price_per_hour)

    @property
    def most(self) -> int:
        """Questions that it can answer in a month, one after the other and without a pause."""
        return math.floor(HOURS_A_MONTH * SECONDS_AN_HOUR / self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        return {
            "seconds_per_question": float(self.seconds),
            "measured_on": self.questions,
            "price_per_hour": f"{self.price_per_hour.normalize():f}",
            "most_questions_a_month": self.most,
        }


def machine_options(machine: Machine, queries: int) -> tuple[Option, Option]:
    """A month of ``queries`` here: paid while it answers, or paid around the clock."""
    price = this_machine(machine.price_per_hour)
    note = f"{machine.seconds.normalize():f} s a question, measured on {machine.questions:,}."
    if queries > machine.most:
        note += f" More than it can answer: at most {machine.most:,} a month."
    always = hourly("one machine", HOURS_A_MONTH, price)
    return (
        Option(
            "this machine, while it answers",
            (replace(_answering(machine, queries, price), note=note),),
            curve=Curve(Decimal(0), machine.seconds * machine.price_per_hour / SECONDS_AN_HOUR, machine.most),
        ),
        Option(
            "this machine, always on",
            (replace(always, note=note),),
            curve=Curve(HOURS_A_MONTH * machine.price_per_hour, Decimal(0), machine.most),
        ),
    )


def _answering(machine: Machine, queries: int, price: Price) -> Line:
    amount = queries * machine.seconds * machine.price_per_hour / SECONDS_AN_HOUR
    return Line("answering", amount, f"{queries:,} × {machine.seconds.normalize():f} s × {price.rate}")
