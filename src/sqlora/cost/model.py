"""What a month of questions costs, by every way of serving them; what training costs; where the break-even is.

All arithmetic is in `Decimal`, and nothing is rounded before it is shown. A figure that depends on a price nobody
could find is None, shown as "not found".

    month on demand  = queries × (input tokens × input price + output tokens × output price) / 1000
                       + storage × models
    month of hosting = hours × hourly price
    training         = tokens × epochs × price / 1000   (Bedrock)      hours × hourly price   (SageMaker)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlora.cost.break_even import BreakEven, Curve, break_even
from sqlora.cost.prices import NOT_FOUND, NOVA_MICRO, Price, PriceTable, family_of, load_prices
from sqlora.errors import ConfigError

HOURS_A_MONTH = Decimal(730)  # 8,760 hours of a year / 12, as AWS counts
OFFICE_HOURS = Decimal(12 * 22)
THOUSAND = Decimal(1000)
TOKENS = "1,000 tokens"
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
    """One way to serve the questions for a month, or to train once: its lines, and their sum.

    ``curve``: how the sum grows with the questions; None where a price is not known, and for a training.
    """

    name: str
    lines: tuple[Line, ...]
    note: str = ""
    curve: Curve | None = None

    @property
    def total(self) -> Decimal | None:
        """Sum of the lines; None when one of them is not known."""
        return total_of(self.lines)

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
    family: str = NOVA_MICRO,
    more: Sequence[Option] = (),
) -> MonthlyCost:
    """The cost of a month of ``queries`` with so many tokens each, by every option.

    ``family`` of the custom model, as `family_of` has it; ``more`` options to compare with, such as this machine's.

    >>> month = monthly_cost(22_000, 800, 60)
    >>> dollars(month.tokens.amount), dollars(month.on_demand.total)
    ('$0.80', '$2.75')
    """
    table = prices or load_prices()
    workload = Workload(queries, input_tokens, output_tokens, models)
    on_demand = _on_demand(workload, table, family)
    hosting = [
        _hosting("hosting on ml.g5.12xlarge, always on", HOURS_A_MONTH, "24 × 7", table),
        _hosting("hosting on ml.g5.12xlarge, office hours", OFFICE_HOURS, "12 h × 22 days", table),
    ]
    compared = [*hosting, *more]
    options = (on_demand, *compared, _provisioned(table, family))
    found = tuple(break_even(option.name, option.curve, on_demand.curve) for option in compared)
    return MonthlyCost(workload, options, found)


def bedrock_training_cost(
    tokens: int, epochs: int, prices: PriceTable | None = None, model_id: str = NOVA_MICRO
) -> Line:
    """Training as a Bedrock customization job: ``tokens`` of the training data, seen ``epochs`` times."""
    if tokens < 0 or epochs < 1:
        raise ConfigError(f"{tokens} tokens and {epochs} epochs can't be trained", "sqlora cost --help")
    price = (prices or load_prices()).find(
        f"{family_of(model_id)}-training", f"training of {model_id}", "1,000 tokens × epoch"
    )
    amount = None if price.value is None else price.value * tokens * epochs / THOUSAND
    formula = f"{tokens:,} tokens × {epochs} epochs × {price.rate}"
    return Line("Bedrock customization", amount, formula, price.note)


def sagemaker_training_cost(hours: Decimal, prices: PriceTable | None = None) -> tuple[Line, Line]:
    """Training as a SageMaker job on ml.g5.48xlarge: what is billed, and the same hours at the EC2 rate.

    The two differ because SageMaker adds to the price of the machine; AWS's text reckons with the second.
    """
    table = prices or load_prices()
    machine = hourly("the machine alone, at the EC2 rate", hours, table["ec2-g5-48xlarge"])
    note = "What AWS's text reckons with; a training job is not billed at this rate."
    return (
        hourly("SageMaker training job", hours, table["sagemaker-training-g5-48xlarge"]),
        replace(machine, note=note),
    )


def dollars(amount: Decimal | None) -> str:
    """``$0.80``; more digits below a cent, so that small amounts don't read as nothing."""
    if amount is None:
        return NOT_FOUND
    if amount and abs(amount) < CENT:
        digits = -amount.adjusted() + 1
        return f"${amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP).normalize():f}"
    return f"${amount.quantize(CENT, ROUND_HALF_UP):,f}"


def total_of(lines: Iterable[Line]) -> Decimal | None:
    """The sum of the amounts; None when one of them is not known."""
    total = Decimal(0)
    for line in lines:
        if line.amount is None:
            return None
        total += line.amount
    return total


def storage(models: int, table: PriceTable) -> Line:
    """A month of storage of so many custom models."""
    price = table["custom-model-storage"]
    return Line("storage of the custom model", _times(price, Decimal(models)), f"{models} × {price.rate}", price.note)


def hourly(name: str, hours: Decimal | float, price: Price, count: int = 1) -> Line:
    """``hours`` of ``count`` things paid by the hour; ConfigError when they are no number of hours."""
    spent = hours if isinstance(hours, Decimal) else Decimal(str(hours))
    if not spent.is_finite() or spent < 0:
        raise ConfigError(f"{hours} is no number of hours", "sqlora cost --help")
    formula = f"{spent.normalize():f} h × {price.rate}"
    return Line(name, _times(price, spent * count), formula if count == 1 else f"{count} × {formula}", price.note)


def token_line(
    name: str, given: int, answered: int, table: PriceTable, family: str = NOVA_MICRO, custom: bool = True
) -> Line:
    """So many tokens in and out of a model of the ``family``, a ``custom`` one or the base model itself."""
    prices = _token_prices(family, table, custom)
    formula = f"{given:,} tokens in × {prices[0].rate} + {answered:,} out × {prices[1].rate}"
    return Line(name, _of_tokens(given, answered, prices), formula, prices[0].note)


def _token_prices(family: str, table: PriceTable, custom: bool = True) -> tuple[Price, Price]:
    """Of the input and of the output."""
    key, title = (f"{family}-custom", f"custom {family}") if custom else (family, family)
    return (
        table.find(f"{key}-input", f"{title} on demand, input", TOKENS),
        table.find(f"{key}-output", f"{title} on demand, output", TOKENS),
    )


def _of_tokens(given: int | Decimal, answered: int | Decimal, prices: tuple[Price, Price]) -> Decimal | None:
    for_input, for_output = prices[0].value, prices[1].value
    if for_input is None or for_output is None:
        return None
    return (given * for_input + answered * for_output) / THOUSAND


def _on_demand(workload: Workload, table: PriceTable, family: str) -> Option:
    prices, stored = _token_prices(family, table), storage(workload.models, table)
    query = _of_tokens(workload.input_tokens, workload.output_tokens, prices)
    formula = (
        f"{workload.queries:,} × ({_number(workload.input_tokens)} tokens in × {prices[0].rate} + "
        f"{_number(workload.output_tokens)} out × {prices[1].rate})"
    )
    tokens = Line("tokens", None if query is None else query * workload.queries, formula, prices[0].note)
    curve = None if query is None or stored.amount is None else Curve(stored.amount, query)
    return Option("Bedrock on demand", (tokens, stored), curve=curve)


def _hosting(name: str, hours: Decimal, when: str, table: PriceTable) -> Option:
    price = table["sagemaker-hosting-g5-12xlarge"]
    line = Line("one instance", _times(price, hours), f"{hours} h ({when}) × {price.rate}")
    note = "The same for one question a month and for as many as one instance can answer, which was not measured."
    return Option(name, (line,), note, None if line.amount is None else Curve(line.amount, Decimal(0)))


def _provisioned(table: PriceTable, family: str) -> Option:
    price = table.find(f"{family}-provisioned", f"{family}, provisioned throughput", "model unit and hour")
    line = Line("one model unit", _times(price, HOURS_A_MONTH), f"{HOURS_A_MONTH} h × {price.rate}", price.note)
    return Option("Bedrock provisioned throughput", (line,))


def _times(price: Price, count: Decimal) -> Decimal | None:
    return None if price.value is None else price.value * count


def _number(value: int | Decimal) -> str:
    return f"{value:,.1f}".removesuffix(".0") if isinstance(value, Decimal) else f"{value:,}"
