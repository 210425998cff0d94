"""The bill of a training, before anything is spent: on Bedrock, on SageMaker, and on this machine.

Each is an `Option` ready for `Backend.estimate`: what is paid once, and the first month's storage of the custom model
where one is stored. Its ``total`` is what a user confirms; None means that a price is not known, never that it is free.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlora.cost.model import Line, Option, bedrock_training_cost, dollars, hourly, monthly_cost, storage
from sqlora.cost.prices import Price, PriceTable, family_of, load_prices, this_machine
from sqlora.errors import DatasetError
from sqlora.prompting import read_turns

# Nova's tokenizer is not public, and CountTokens is not offered for it. SmolLM2's makes a token of 3.36 characters
# of Spider's schemas, questions and queries, and of 2.63 of WikiSQL's. A bill is rather too high than too low.
CHARACTERS_A_TOKEN = 2.6

# AWS's text trains 20,000 lines for the recipe's 2 epochs in 4 hours on one ml.g5.48xlarge: the only figure published.
RECORDS_AN_HOUR = 20_000 * 2 / 4


def bedrock_training(tokens: int, epochs: int, model_id: str, prices: PriceTable | None = None) -> Option:
    """A Bedrock customization job: ``tokens`` of training data, seen ``epochs`` times, by the Nova model ``model_id``.

    >>> bill = bedrock_training(2_000 * 800, 5, "amazon.nova-micro-v1:0:128k")
    >>> dollars(bill.lines[0].amount), dollars(bill.total)
    ('$8.00', '$9.95')
    """
    table = prices or load_prices()
    line = bedrock_training_cost(tokens, epochs, table, model_id)
    return Option("Bedrock customization", (line, _first_month(table)), _then(model_id, table))


def sagemaker_training(
    hours: Decimal | float,
    instance: str,
    prices: PriceTable | None = None,
    model_id: str | None = None,
    instances: int = 1,
) -> Option:
    """A SageMaker training job: billable ``hours`` on each of ``instances`` of type ``instance`` ("ml.g5.48xlarge").

    ``model_id``: the Nova model that Bedrock will store. Without, an open model, whose adapter comes back.
    """
    table = prices or load_prices()
    line = hourly("SageMaker training job", hours, instance_price(instance, table), instances)
    if model_id is None:
        return Option("SageMaker training", (line,))
    return Option("SageMaker training", (line, _first_month(table)), _then(model_id, table))


def local_training(hours: Decimal | float, price_per_hour: Decimal) -> Option:
    """The same training on this machine, for what an hour of it costs its owner."""
    return Option("local training", (hourly("this machine", hours, this_machine(price_per_hour)),))


def count_tokens_estimate(records: Path | Iterable[Mapping[str, Any]]) -> int:
    """About how many tokens the records have for Nova: their characters over `CHARACTERS_A_TOKEN`, rounded up.

    ``records``: a JSONL file in Bedrock's conversation format, or such records. DatasetError names file and line.
    """
    counts = _counts(records) if isinstance(records, Path) else map(_characters, records)
    return math.ceil(sum(counts) / CHARACTERS_A_TOKEN)


def nova_hours_estimate(records: int, epochs: int) -> Decimal:
    """About how many hours of one ml.g5.48xlarge a Nova recipe takes, at the pace of the one figure AWS published.

    Starting the job and downloading its image come on top. A quarter of an hour is the least that is reckoned with.
    """
    return max(Decimal("0.25"), round(Decimal(records * epochs) / Decimal(RECORDS_AN_HOUR), 2))


def _counts(file: Path) -> Iterator[int]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _characters(json.loads(line))
            except (ValueError, DatasetError) as error:
                raise DatasetError(f"{file}:{number}: {getattr(error, 'message', error)}", "sqlora prepare") from None


def _characters(record: Mapping[str, Any]) -> int:
    system, turns = read_turns(record)
    return len(system) + sum(len(turn.text) for turn in turns)


def _first_month(table: PriceTable) -> Line:
    return replace(storage(1, table), name="storage of the model, the first month")


def _then(model_id: str, table: PriceTable) -> str:
    month = monthly_cost(prices=table, family=family_of(model_id))
    work = month.workload
    if month.on_demand.total is None:
        return "What a month of questions costs then was not found."
    return (
        f"Then {dollars(month.on_demand.total)} a month with {work.queries:,} questions of {work.input_tokens} tokens "
        f"in and {work.output_tokens} out, {dollars(month.on_demand.lines[1].amount)} with none."
    )


def instance_price(instance: str, table: PriceTable) -> Price:
    """Of an hour of training; ml.g5.48xlarge is sagemaker-training-g5-48xlarge in the table."""
    name = f"sagemaker-training-{instance.removeprefix('ml.').replace('.', '-')}"
    return table.find(name, f"SageMaker training on {instance}", "hour")
