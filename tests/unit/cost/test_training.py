from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest

from sqlora.cost.model import dollars
from sqlora.cost.prices import family_of
from sqlora.cost.training import (
    CHARACTERS_A_TOKEN,
    bedrock_training,
    count_tokens_estimate,
    local_training,
    nova_hours_estimate,
    sagemaker_training,
)
from sqlora.errors import ConfigError, DatasetError
from sqlora.prompting import record

MICRO = "amazon.nova-micro-v1:0:128k"


def test_awss_example_of_a_customization_costs_8_dollars_and_its_storage() -> None:
    bill = bedrock_training(2_000 * 800, 5, MICRO)
    assert [line.amount for line in bill.lines] == [Decimal(8), Decimal("1.95")]
    assert bill.total == Decimal("9.95")
    assert "Then $2.75 a month with 22,000 questions" in bill.note


def test_a_sagemaker_job_is_billed_by_the_hour_of_its_instance() -> None:
    bill = sagemaker_training(4, "ml.g5.48xlarge")
    assert bill.total == Decimal("81.44")
    assert sagemaker_training(Decimal("0.5"), "ml.g5.48xlarge").total == Decimal("10.18")
    with_nova = sagemaker_training(4, "ml.g5.48xlarge", model_id=MICRO)
    assert with_nova.total == Decimal("83.39")
    two = sagemaker_training(1, "ml.g5.12xlarge", instances=2)
    assert (two.total, two.lines[0].formula) == (Decimal("14.18"), "2 × 1 h × $7.09 per hour")


def test_an_hour_of_this_machine_costs_what_its_owner_says() -> None:
    assert local_training(0.25, Decimal("0.40")).total == Decimal("0.10")
    with pytest.raises(ConfigError, match="price of an hour"):
        local_training(1, Decimal("NaN"))


@pytest.mark.parametrize(
    "bill",
    [
        bedrock_training(1_000, 1, "amazon.nova-premier-v1:0:1000k"),
        sagemaker_training(1, "ml.p6.48xlarge"),
    ],
)
def test_what_is_not_in_the_price_table_has_no_total_and_says_what_to_do(bill: object) -> None:
    assert getattr(bill, "total") is None  # noqa: B009
    line = getattr(bill, "lines")[0]  # noqa: B009
    assert dollars(line.amount) == "not found"
    assert "sqlora cost --refresh" in line.note


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (MICRO, "nova-micro"),
        ("amazon.nova-lite-v1:0", "nova-lite"),
        ("us.amazon.nova-pro-v1:0", "nova-pro"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", "nova-micro"),
        ("amazon.nova-2-lite-v1:0:256k", "nova-2-lite"),
        ("nova-micro", "nova-micro"),
    ],
)
def test_a_models_prices_go_by_its_family(name: str, family: str) -> None:
    assert family_of(name) == family


@pytest.mark.parametrize(("tokens", "epochs"), [(-1, 1), (10, 0)])
def test_what_cannot_be_trained_has_no_bill(tokens: int, epochs: int) -> None:
    with pytest.raises(ConfigError, match="can't be trained"):
        bedrock_training(tokens, epochs, MICRO)


@pytest.mark.parametrize("hours", [-1, float("nan"), float("inf")])
def test_hours_are_a_number(hours: float) -> None:
    with pytest.raises(ConfigError, match="no number of hours"):
        sagemaker_training(hours, "ml.g5.48xlarge")


def test_tokens_are_estimated_from_the_text_alone(tmp_path: Path) -> None:
    pairs = [record("s" * 350, "q" * 35, "a" * 35)] * 3
    assert count_tokens_estimate(pairs) == math.ceil(3 * 420 / CHARACTERS_A_TOKEN)
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    assert count_tokens_estimate(file) == count_tokens_estimate(pairs)
    assert count_tokens_estimate([]) == 0


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(json.dumps(record("s", "q", "a")) + "\n{oops\n")
    with pytest.raises(DatasetError, match=r"train\.jsonl:2"):
        count_tokens_estimate(file)
    file.write_text('{"messages": []}\n')
    with pytest.raises(DatasetError, match=r"train\.jsonl:1"):
        count_tokens_estimate(file)


def test_hours_at_awss_one_published_pace() -> None:
    assert nova_hours_estimate(20_000, 2) == 4
    assert nova_hours_estimate(2_000, 5) == 1
    assert nova_hours_estimate(10, 1) == Decimal("0.25")
