"""What a month of questions costs, by every way of serving them; what training costs; where the break-even is.

All arithmetic is in `Decimal`, and nothing is rounded before it is shown. A figure that depends on a price nobody
could find is None, shown as "not found".

    month on demand  = queries × (input tokens × input price + output tokens × output price) / 1000
                       + storage × models
    month of hosting = hours × hourly price × instances
    training         = tokens × epochs × price / 1000   (Bedrock)      hours × hourly price   (SageMaker)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlora.cost.prices import NOT_FOUND, Price, PriceTable, load_prices
from sqlora.errors import ConfigError

HOURS_A_MONTH = Decimal(730)  # 8,760 hours of a year / 12, as AWS counts
OFFICE_HOURS = Decimal(12 * 22)
THOUSAND = Decimal(1000)
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Workload:
    """A month of questions: how many, and tokens in and out of each."""

    queries: int = 22_000
    input_tokens: int | Decimal = 800
    output_tokens: int | Decimal = 60
    models: int = 1

    def __post_init__(self) -> None:
        for name in ("queries", "input_tokens", "output_tokens", "models"):
            value = getattr(self, name)
            if value < 0:
                raise ConfigError(f"{name.replace('_', ' ')} = {value}: can't be below 0", "sqlora cost --help")


@dataclass(frozen=True)
class Line:
    """One line of a bill: ``amount`` = ``formula``, None when a price was not found."""

    name: str
    amount: Decimal | None
    formula: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the amount as exact text beside the text for people."""
        amount = None if self.amount is None else f"{self.amount.normalize():f}"
        return {
            "name": self.name, "amount": amount, "shown": dollars(self.amount),
            "formula": self.formula, "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One way to serve the questions for a month: its lines, and their sum."""

    name: str
    lines: tuple[Line, ...]
    note: str = ""

    @property
    def total(self) -> Decimal | None:
        """Sum of the lines; None when one of them is not known."""
        amounts = [line.amount for line in self.lines]
        return None if None in amounts else sum((a for a in amounts if a is not None), Decimal(0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        total = self.total
        return {
            "name": self.name,
            "total": None if total is None else f"{total.normalize():f}",
            "shown": dollars(total),
            "lines": [line.as_dict() for line in self.lines],
            "note": self.note,
        }


@dataclass(frozen=True)
class BreakEven:
    """``queries`` a month from which hosting costs less than on demand; None when that can't be said."""

    hosting: str
    queries: int | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"hosting": self.hosting, "queries": self.queries}


@dataclass(frozen=True)
class MonthlyCost:
    """The options for one workload; ``on_demand`` is the first of them."""

    workload: Workload
    options: tuple[Option, ...]
    break_even: tuple[BreakEven, ...]

    @property
    def on_demand(self) -> Option:
        """Bedrock on demand: tokens, and storage of the custom models."""
        return self.options[0]

    @property
    def tokens(self) -> Line:
        """The tokens alone, without storage: the figure that AWS's text calls the monthly cost."""
        return self.on_demand.lines[0]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        workload = self.workload
        return {
            "queries": workload.queries,
            "input_tokens": float(workload.input_tokens),
            "output_tokens": float(workload.output_tokens),
            "models": workload.models,
            "options": [option.as_dict() for option in self.options],
            "break_even": [found.as_dict() for found in self.break_even],
        }


def monthly_cost(
    queries: int = 22_000,
    input_tokens: int | Decimal = 800,
    output_tokens: int | Decimal = 60,
    models: int = 1,
    prices: PriceTable | None = None,
) -> MonthlyCost:
    """The cost of a month of ``queries`` with so many tokens each, by every option.

    >>> month = monthly_cost(22_000, 800, 60)
    >>> dollars(month.tokens.amount), dollars(month.on_demand.total)
    ('$0.80', '$2.75')
    """
    table = prices or load_prices()
    workload = Workload(queries, input_tokens, output_tokens, models)
    on_demand = Option("Bedrock on demand", (_tokens(workload, table), _storage(workload, table)))
    hosting = [
        _hosting("hosting on ml.g5.12xlarge, always on", HOURS_A_MONTH, "24 × 7", table),
        _hosting("hosting on ml.g5.12xlarge, office hours", OFFICE_HOURS, "12 h × 22 days", table),
    ]
    options = (on_demand, *hosting, _provisioned(table))
    return MonthlyCost(workload, options, tuple(_break_even(option, workload, table) for option in hosting))


def bedrock_training_cost(tokens: int, epochs: int, prices: PriceTable | None = None) -> Line:
    """Training as a Bedrock customization job: ``tokens`` of the training data, seen ``epochs`` times."""
    if tokens < 0 or epochs < 1:
        raise ConfigError(f"{tokens} tokens and {epochs} epochs can't be trained", "sqlora cost --help")
    price = (prices or load_prices())["nova-micro-training"]
    amount = None if price.value is None else price.value * tokens * epochs / THOUSAND
    formula = f"{tokens:,} tokens × {epochs} epochs × {_rate(price)}"
    return Line("Bedrock customization", amount, formula, price.note)


def sagemaker_training_cost(hours: Decimal, prices: PriceTable | None = None) -> tuple[Line, Line]:
    """Training as a SageMaker job on ml.g5.48xlarge: what is billed, and the same hours at the EC2 rate.

    The two differ because SageMaker adds to the price of the machine; AWS's text reckons with the second.
    """
    if hours < 0:
        raise ConfigError(f"{hours} hours can't be trained", "sqlora cost --help")
    table = prices or load_prices()
    billed, machine = table["sagemaker-training-g5-48xlarge"], table["ec2-g5-48xlarge"]
    return (
        Line("SageMaker training job", _times(billed, hours), f"{hours} h × {_rate(billed)}", billed.note),
        Line(
            "the machine alone, at the EC2 rate",
            _times(machine, hours),
            f"{hours} h × {_rate(machine)}",
            "What AWS's text reckons with; a training job is not billed at this rate.",
        ),
    )


def dollars(amount: Decimal | None) -> str:
    """``$0.80``; more digits below a cent, so that small amounts don't read as nothing."""
    if amount is None:
        return NOT_FOUND
    if amount and abs(amount) < CENT:
        digits = -amount.adjusted() + 1
        return f"${amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP).normalize():f}"
    return f"${amount.quantize(CENT, ROUND_HALF_UP):,f}"


def _query(workload: Workload, table: PriceTable) -> Decimal | None:
    """Price of one question's tokens."""
    given, answered = table["nova-micro-custom-input"].value, table["nova-micro-custom-output"].value
    if given is None or answered is None:
        return None
    return (workload.input_tokens * given + workload.output_tokens * answered) / THOUSAND


def _tokens(workload: Workload, table: PriceTable) -> Line:
    query = _query(workload, table)
    given, answered = table["nova-micro-custom-input"], table["nova-micro-custom-output"]
    formula = (
        f"{workload.queries:,} × ({_number(workload.input_tokens)} tokens in × {_rate(given)} + "
        f"{_number(workload.output_tokens)} out × {_rate(answered)})"
    )
    return Line("tokens", None if query is None else query * workload.queries, formula, given.note)


def _storage(workload: Workload, table: PriceTable) -> Line:
    price = table["custom-model-storage"]
    return Line("storage of the custom model", _times(price, Decimal(workload.models)),
                f"{workload.models} × {_rate(price)}")  # fmt: skip


def _hosting(name: str, hours: Decimal, when: str, table: PriceTable) -> Option:
    price = table["sagemaker-hosting-g5-12xlarge"]
    line = Line("one instance", _times(price, hours), f"{hours} h ({when}) × {_rate(price)}")
    return Option(name, (line,), "The same for one question a month and for as many as one instance can answer.")


def _provisioned(table: PriceTable) -> Option:
    price = table["nova-micro-provisioned"]
    line = Line("one model unit", _times(price, HOURS_A_MONTH), f"{HOURS_A_MONTH} h × {_rate(price)}", price.note)
    return Option("Bedrock provisioned throughput", (line,))


def _break_even(hosting: Option, workload: Workload, table: PriceTable) -> BreakEven:
    """Storage is paid on demand only, so it counts in favour of hosting."""
    query, total = _query(workload, table), hosting.total
    storage = _storage(workload, table).amount
    if not query or total is None or storage is None:
        return BreakEven(hosting.name, None)
    return BreakEven(hosting.name, max(0, math.ceil((total - storage) / query)))


def _times(price: Price, count: Decimal) -> Decimal | None:
    return None if price.value is None else price.value * count


def _rate(price: Price) -> str:
    return f"{NOT_FOUND if price.value is None else f'${price.value.normalize():f}'} per {price.unit}"


def _number(value: int | Decimal) -> str:
    return f"{value:,.1f}".removesuffix(".0") if isinstance(value, Decimal) else f"{value:,}"
