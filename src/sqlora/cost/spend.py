"""What was really spent, by backend: the tokens that a cloud answered, its trainings, and the storage of its models.

Reckoned from what the project wrote down (the usage table and the ledger) and the price table; the provider's own bill
is the one that counts. What this machine or a vLLM server of one's own answered is on nobody's bill, and says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlora.cost.model import HOURS_A_MONTH, Line, dollars, hourly, token_line, total_of
from sqlora.cost.prices import PriceTable, family_of
from sqlora.cost.training import bedrock_training, instance_price
from sqlora.cost.usage import moment
from sqlora.platform.ledger import Resource
from sqlora.platform.usage import UsageSummary

BILLED = ("bedrock", "sagemaker")
BASE = "base"
HOURS_A_DAY = 24

CountTokens = Callable[[str], int | None]  # in a dataset's training data, by its id; None when it is gone


@dataclass(frozen=True)
class Spend:
    """One backend: what it answered, and its bill. Where it is not ``billed``, the lines say what would have been."""

    backend: str
    billed: bool
    questions: int
    input_tokens: int
    output_tokens: int
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal | None:
        """Dollars; 0 for what nobody bills, None when a price is not known."""
        return total_of(self.lines) if self.billed else Decimal(0)

    @property
    def known(self) -> Decimal:
        """What the lines with an amount come to: the least that was spent."""
        return sum((line.amount for line in self.lines if self.billed and line.amount is not None), Decimal(0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        total = self.total
        return {
            "backend": self.backend,
            "billed": self.billed,
            "questions": self.questions,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total": None if total is None else f"{total.normalize():f}",
            "shown": dollars(total),
            "lines": [line.as_dict() for line in self.lines],
        }


@dataclass(frozen=True)
class Books:
    """What is reckoned from: ``usage`` summed up by backend and deployment, and the whole ledger, deleted rows too.

    ``model_id``: the Nova model whose prices apply where the ledger does not say which one answered.
    """

    usage: Sequence[UsageSummary]
    resources: Sequence[Resource]
    table: PriceTable
    model_id: str
    now: dt.datetime
    count_tokens: CountTokens


def spending(books: Books) -> list[Spend]:
    """Everything spent so far, backend by backend."""
    backends = {row.backend or "local" for row in books.usage}
    backends |= {row.backend for row in books.resources if row.backend in BILLED and row.arn}
    return [_spend(backend, books) for backend in sorted(backends)]


def _spend(backend: str, books: Books) -> Spend:
    billed = backend in BILLED
    usage = [row for row in books.usage if row.backend == backend]
    if billed:
        made = [row for row in books.resources if row.backend == backend and row.arn]
        lines = _tokens(usage, books)
        lines += [line for row in made if row.kind == "job" for line in _trained(row, books)]
        lines += [_stored(row, books) for row in made if row.kind == "model"]
    else:
        lines = _would_have_been(usage, books)
    return Spend(
        backend,
        billed,
        sum(row.requests for row in usage),
        sum(row.input_tokens for row in usage),
        sum(row.output_tokens for row in usage),
        tuple(lines),
    )


def _tokens(usage: Sequence[UsageSummary], books: Books) -> list[Line]:
    """A line for each model that answered: its own prices, a base model's or a custom one's."""
    families, sums = _families(books), dict[tuple[str, bool], tuple[int, int]]()
    for row in usage:
        custom = row.deployment != BASE
        key = families.get(row.deployment or "", family_of(books.model_id)), custom
        given, answered = sums.get(key, (0, 0))
        sums[key] = given + row.input_tokens, answered + row.output_tokens
    return [
        token_line(f"tokens of {'custom ' if custom else ''}{family}", *tokens, books.table, family, custom)
        for (family, custom), tokens in sorted(sums.items())
    ]


def _would_have_been(usage: Sequence[UsageSummary], books: Books) -> list[Line]:
    given, answered = sum(row.input_tokens for row in usage), sum(row.output_tokens for row in usage)
    return [token_line("the same tokens on Bedrock", given, answered, books.table, family_of(books.model_id))]


def _families(books: Books) -> Mapping[str, str]:
    """Deployment → the family of the model that it serves, as the ledger knows it."""
    models = {row.id: row for row in books.resources if row.kind == "model"}
    return {
        row.name: family_of(model.details["base_model"])
        for row in books.resources
        if row.kind == "deployment"
        and (model := models.get(row.parent_id or "")) is not None
        and "base_model" in model.details
    }


def _trained(job: Resource, books: Books) -> list[Line]:
    """A training that the service has done: by the seconds that SageMaker bills, or Bedrock's tokens, an estimate."""
    details, name = job.details, f"training {job.name}"
    if "billable" in details:  # seconds of each attempt
        price = instance_price(details["instance"], books.table)
        hours = Decimal(sum(details["billable"].values())) / 3600
        return [hourly(name, round(hours, 4), price, details.get("instances", 1))]
    if details.get("status") != "Completed" or "hyperparameters" not in details:
        return []
    tokens = books.count_tokens(details["dataset_id"])
    if tokens is None:
        return [Line(name, None, f"dataset {details['dataset_id']} is gone", "Its tokens can't be counted any more.")]
    epochs = int(float(details["hyperparameters"]["epochCount"]))
    line = bedrock_training(tokens, epochs, details["base_model"], books.table).lines[0]
    return [Line(name, line.amount, f"about {line.formula}", line.note)]


def _stored(model: Resource, books: Books) -> Line:
    """From its creation until it was deleted, or now."""
    since = moment(model.details.get("created_at") or model.created_at)
    until = moment(model.updated_at) if model.status == "deleted" else books.now
    price = books.table["custom-model-storage"]
    hours = max(Decimal(0), Decimal(str((until - since).total_seconds())) / 3600)
    amount = None if price.value is None else round(price.value * hours / HOURS_A_MONTH, 6)
    days = round(hours / HOURS_A_DAY, 1)
    note = "In proportion to the time; a provider may round it up."
    return Line(f"storage of {model.name}", amount, f"{days} days × {price.rate}", note)
