from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sqlora.cost.model import monthly_cost
from sqlora.cost.prices import load_prices, newest_refreshed, own_prices, read_prices
from sqlora.cost.refresh import keep, refresh, write_prices
from sqlora.errors import ConfigError, ServiceError
from tests.unit.cost.price_list import Product, price_list, product

TODAY = dt.date(2027, 3, 1)
IN, OUT = "USE1-NovaMicro-input-tokens-custom-model", "USE1-NovaMicro-output-tokens-custom-model"
INPUT = product("AmazonBedrock", IN, "0.0000400000", "1K tokens", effective="2027-01-01T00:00:00Z")


@contextmanager
def client(*products: Product) -> Iterator[Any]:
    with price_list(*products) as url:
        yield boto3.client(
            "pricing", region_name="us-east-1", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="y",
            config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip


def test_a_refreshed_price_says_what_the_list_says() -> None:
    with client(INPUT) as pricing:
        found = refresh(own_prices(), pricing, TODAY)
    now = found.table["nova-micro-custom-input"]
    assert (now.value, now.date, now.certainty) == (Decimal("0.00004"), dt.date(2027, 1, 1), "certain")
    assert IN in now.source
    assert "2027-03-01" in now.source
    assert [(before.value, after.value) for before, after in found.changed] == [
        (Decimal("0.000035"), Decimal("0.00004"))
    ]
    assert found.table.checked == TODAY


def test_what_the_list_does_not_have_stays_as_it_was_and_is_named() -> None:
    with client(INPUT) as pricing:
        found = refresh(own_prices(), pricing, TODAY)
    assert found.table["nova-micro-input"] == own_prices()["nova-micro-input"]
    assert found.kept["nova-micro-input"] == "the price list has no USE1-NovaMicro-input-tokens"
    assert "not known" in found.kept["nova-micro-provisioned"]
    assert set(found.kept) | {"nova-micro-custom-input"} == set(own_prices().prices)


@pytest.mark.parametrize(
    ("amount", "unit", "value"),
    [("0.04", "1M tokens", "0.00004"), ("0.00004", "1K tokens", "0.00004"), ("0.00000004", "Tokens", "0.00004")],
)
def test_units_are_converted(amount: str, unit: str, value: str) -> None:
    with client(product("AmazonBedrock", IN, amount, unit)) as pricing:
        assert refresh(own_prices(), pricing, TODAY).table["nova-micro-custom-input"].value == Decimal(value)


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ([product("AmazonBedrock", OUT, "0.02", "image")], "counts it in 'image'"),
        ([product("AmazonBedrock", OUT, "0.0001", "1K tokens"), product("AmazonBedrock", OUT, "0.0002", "1K tokens")],
         "several amounts for it, or 0: 0.0001, 0.0002"),
        ([product("AmazonBedrock", OUT, "0.0000000000", "1K tokens")], "or 0"),
        ([product("AmazonBedrock", OUT, "soon", "1K tokens")], "the price list has no"),
    ],
)  # fmt: skip
def test_nothing_is_guessed(others: list[Product], why: str) -> None:
    with client(INPUT, *others) as pricing:
        found = refresh(own_prices(), pricing, TODAY)
    assert why in found.kept["nova-micro-custom-output"]
    assert found.table["nova-micro-custom-output"] == own_prices()["nova-micro-custom-output"]


def test_a_later_tier_is_not_the_price() -> None:
    tiered = product("AmazonBedrock", OUT, "0.00014", "1K tokens")
    [term] = tiered["terms"]["OnDemand"].values()
    [rate] = term["priceDimensions"].values()
    term["priceDimensions"]["more"] = {**rate, "beginRange": "1000000", "pricePerUnit": {"USD": "0.00001"}}
    with client(tiered) as pricing:
        assert refresh(own_prices(), pricing, TODAY).table["nova-micro-custom-output"].value == Decimal("0.00014")


def test_an_ec2_rate_is_that_of_linux() -> None:
    linux = product("AmazonEC2", "BoxUsage:g5.48xlarge", "16.5", "Hrs", operation="RunInstances")
    windows = product("AmazonEC2", "BoxUsage:g5.48xlarge", "25.1", "Hrs", operation="RunInstances:0002")
    train = product("AmazonSageMaker", "USE1-Train:ml.g5.48xlarge", "20.5", "Hrs", operation="RunInstance")
    with client(windows, linux, train) as pricing:
        table = refresh(own_prices(), pricing, TODAY).table
    assert table["ec2-g5-48xlarge"].value == Decimal("16.5")
    assert table["sagemaker-training-g5-48xlarge"].value == Decimal("20.5")


def test_a_price_that_nobody_could_find_is_found() -> None:
    with client(product("AmazonBedrock", "USE1-NovaLite-Customization-Training", "0.002", "1K tokens")) as pricing:
        price = refresh(own_prices(), pricing, TODAY).table["nova-lite-training"]
    assert (price.value, price.note) == (Decimal("0.002"), "")


def test_a_list_without_any_of_them_changes_nothing(cache: Path) -> None:
    with client() as pricing, pytest.raises(ServiceError, match="none of the prices"):
        refresh(own_prices(), pricing, TODAY)
    assert not list(cache.iterdir())


def test_the_refreshed_table_is_used_until_it_is_deleted(cache: Path) -> None:
    with client(INPUT) as pricing:
        path = keep(refresh(own_prices(), pricing, TODAY).table)
    assert path == cache / "prices" / "2027-03-01.toml" == newest_refreshed()
    assert load_prices().origin == str(path)
    assert monthly_cost().tokens.amount == Decimal("0.8888")
    assert monthly_cost(prices=own_prices()).tokens.amount == Decimal("0.8008")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    path.unlink()
    assert load_prices() == own_prices()


def test_sqloras_own_table_wins_over_an_older_refreshed_one(cache: Path) -> None:
    (cache / "prices").mkdir()
    (cache / "prices" / "2020-01-01.toml").write_text(
        write_prices(own_prices()).replace(f"checked = {own_prices().checked}", "checked = 2020-01-01")
    )
    assert load_prices() == own_prices()


def test_a_damaged_table_says_how_to_be_rid_of_it(cache: Path) -> None:
    (cache / "prices").mkdir()
    (cache / "prices" / "2027-03-01.toml").write_text("checked = ")
    with pytest.raises(ConfigError) as caught:
        load_prices()
    assert "2027-03-01.toml" in caught.value.message
    assert "delete" in str(caught.value.next_step)


def test_a_written_table_reads_as_it_was() -> None:
    own = own_prices()
    assert read_prices(write_prices(own), own.origin) == own
