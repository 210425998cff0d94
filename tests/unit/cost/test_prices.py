from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from sqlora.cost.prices import load_prices, read_prices
from sqlora.errors import ConfigError

GOOD = """
checked = 2026-01-31
currency = "USD"
region = "us-east-1"
[prices.hour]
title = "an hour"
value = "0.1"
unit = "hour"
date = 2026-01-01
source = "a list"
certainty = "certain"
"""


def test_every_price_says_where_and_when() -> None:
    table = load_prices()
    for price in table.prices.values():
        assert price.unit
        assert price.currency == "USD"
        assert price.region == "us-east-1"
        assert price.source
        assert price.date <= table.checked
        assert (price.value is None) == (price.certainty == "not found")


def test_values_are_exact() -> None:
    assert load_prices()["nova-micro-custom-input"].value == Decimal("0.000035")
    assert str(read_prices(GOOD, "x")["hour"]) == "an hour: 0.1 USD per hour (us-east-1, 2026-01-01, certain: a list)"


def test_unknown_price_says_so() -> None:
    assert "not found" in str(load_prices()["nova-micro-provisioned"])
    with pytest.raises(ConfigError, match="no price named 'nova-pro'"):
        load_prices()["nova-pro"]


@pytest.mark.parametrize(
    ("today", "warned"),
    [
        (dt.date(2026, 1, 31), False),
        (dt.date(2026, 7, 31), False),
        (dt.date(2026, 8, 1), True),
        (dt.date(2028, 1, 1), True),
    ],
)
def test_a_table_older_than_six_months_warns(today: dt.date, warned: bool) -> None:
    warnings = read_prices(GOOD, "x").warnings(today)
    assert bool(warnings) == warned
    if warned:
        assert "2026-01-31" in warnings[0]


def test_half_a_year_from_the_end_of_august_ends_in_february() -> None:
    table = read_prices(GOOD.replace("checked = 2026-01-31", "checked = 2026-08-31"), "x")
    assert not table.warnings(dt.date(2027, 2, 28))
    assert table.warnings(dt.date(2027, 3, 1))


def test_all_that_is_wrong_is_listed() -> None:
    wrong = GOOD.replace('"0.1"', "0.1").replace('"a list"', '""').replace('"certain"', '"maybe"')
    with pytest.raises(ConfigError) as caught:
        read_prices(wrong, "own.toml")
    for part in ("own.toml", "prices.hour.value = 0.1", "prices.hour.source", "certainty = 'maybe'"):
        assert part in caught.value.message


@pytest.mark.parametrize("value", ['"-1"', '"NaN"', '"one"'])
def test_a_value_is_an_amount(value: str) -> None:
    with pytest.raises(ConfigError, match=r"prices\.hour\.value"):
        read_prices(GOOD.replace('"0.1"', value), "own.toml")


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_prices(tmp_path / "none.toml")


def test_a_table_of_ones_own_goes_before_price_by_price(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(GOOD.replace("[prices.hour]", "[prices.custom-model-storage]"))
    table = load_prices(file)
    assert table["custom-model-storage"].value == Decimal("0.1")
    assert table["nova-micro-custom-input"] == load_prices()["nova-micro-custom-input"]
    assert table.origin == f"{file} over sqlora/cost/prices.toml"
    assert table.checked == dt.date(2026, 1, 31), "as old as the older of the two"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (GOOD.replace('"USD"', '"EUR"'), "currency = 'EUR'"),
        (GOOD + 'currency = "EUR"\n', "currency = 'EUR'"),
        ('checked = 2026-01-31\ncurrency = "USD"\nregion = "x"\nprices = 3\n', "each is a table"),
        ('checked = 2026-01-31\ncurrency = "USD"\nregion = "x"\nprices.hour = 3\n', "each is a table"),
        ("checked = ", "own.toml"),
    ],
)
def test_a_table_that_cannot_be_reckoned_with(wrong: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_prices(wrong, "own.toml")


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_prices(tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("0.1", "$0.10 per hour"),
        ("16.288", "$16.288 per hour"),
        ("65", "$65.00 per hour"),
        ("0.000035", "$0.000035 per hour"),
    ],
)
def test_a_rate_has_all_its_digits(value: str, rate: str) -> None:
    assert read_prices(GOOD.replace('"0.1"', f'"{value}"'), "x")["hour"].rate == rate
