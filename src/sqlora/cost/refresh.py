"""AWS's price list → a price table of today: what the Pricing API says now, in place of what sqlora came with.

The list names a price by service, usage type and, for EC2, operation; prices.toml has these names. A price that the
list does not have, has several times with different amounts, or counts in a unit that is not the table's keeps its old
value and is reported: nothing is guessed. API: GetProducts of the service ``pricing``
(https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html).
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlora.cost.prices import CURRENCY, Price, PriceTable, refreshed_folder
from sqlora.errors import ServiceError

API_REGION = "us-east-1"  # the Pricing API answers in a few regions only, for all of them

# What the list counts in → how many of it make one unit of the table. In lower case.
_UNITS: dict[str, dict[str, Decimal]] = {
    "1,000 tokens": {
        "1k tokens": Decimal(1), "1000 tokens": Decimal(1), "tokens": Decimal(1000), "token": Decimal(1000),
        "1m tokens": Decimal("0.001"), "million tokens": Decimal("0.001"),
    },
    "hour": {"hrs": Decimal(1), "hours": Decimal(1), "hour": Decimal(1), "hr": Decimal(1)},
    "model and month": {
        "month": Decimal(1), "months": Decimal(1), "model-month": Decimal(1), "model/month": Decimal(1),
        "models-month": Decimal(1), "model": Decimal(1), "models": Decimal(1),
    },
}  # fmt: skip
_UNITS["1,000 tokens × epoch"] = _UNITS["1,000 tokens"]


@dataclass(frozen=True)
class Refreshed:
    """The new table; ``changed``: (before, now) of each price the list has; ``kept``: name → why it stays as it was."""

    table: PriceTable
    changed: tuple[tuple[Price, Price], ...]
    kept: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        return {
            "changed": [
                {
                    "name": now.name,
                    "before": None if before.value is None else f"{before.value:f}",
                    "now": f"{now.value:f}",
                    "date": now.date.isoformat(),
                }
                for before, now in self.changed
            ],
            "kept": dict(self.kept),
        }


@dataclass(frozen=True)
class _Rate:
    amount: Decimal
    unit: str
    date: dt.date


def refresh(table: PriceTable, client: Any, today: dt.date) -> Refreshed:
    """Ask for every price of ``table`` that the list has a name for; ``client`` is boto3's of ``pricing``.

    Nothing is written. ServiceError when the list has none of them; botocore's errors are left to the caller.
    """
    found, kept = list[tuple[Price, Price]](), dict[str, str]()
    for price in table.prices.values():
        if not price.usage_type:
            kept[price.name] = "the price list's name for it is not known"
            continue
        now = _now(price, list(_rates(client, price, table.region, today)), today)
        if isinstance(now, Price):
            found.append((price, now))
        else:
            kept[price.name] = now
    if not found:
        raise ServiceError(
            "the price list has none of the prices asked for; nothing was changed",
            "sqlora cost --prices FILE takes prices from a file of yours",
        )
    prices = table.prices | {now.name: now for _, now in found}
    path = refreshed_folder() / f"{today.isoformat()}.toml"
    return Refreshed(replace(table, prices=prices, checked=today, origin=str(path)), tuple(found), kept)


def keep(table: PriceTable) -> Path:
    """Write a refreshed table where `sqlora.cost.prices.load_prices` finds it, whole or not at all."""
    path = Path(table.origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        beside.write_text(write_prices(table), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def write_prices(table: PriceTable) -> str:
    """The table as TOML, as `sqlora.cost.prices.read_prices` reads it."""
    import tomlkit

    document = tomlkit.document()
    document.add(
        tomlkit.comment("Written by sqlora cost --refresh. Delete the file to go back to sqlora's own prices.")
    )
    document.update({"checked": table.checked, "currency": table.currency, "region": table.region})
    prices = tomlkit.table(is_super_table=True)
    for price in table.prices.values():
        fields: dict[str, Any] = {"title": price.title}
        if price.value is not None:
            fields["value"] = f"{price.value:f}"
        fields |= {key: getattr(price, key) for key in ("unit", "date", "source", "certainty")}
        optional = {key: getattr(price, key) for key in ("region", "service", "usage_type", "operation", "note")}
        prices.add(price.name, {**fields, **{key: value for key, value in optional.items() if value}})
    document.add("prices", prices)
    return tomlkit.dumps(document)


def _now(price: Price, rates: list[_Rate], today: dt.date) -> Price | str:
    """The price as the list has it, or why it can't be taken."""
    if not rates:
        return f"the price list has no {price.usage_type}"
    units, values = _UNITS.get(price.unit, {}), set[Decimal]()
    for rate in rates:
        factor = units.get(rate.unit.lower())
        if factor is None:
            return f"the price list counts it in {rate.unit!r}, the table in {price.unit!r}"
        values.add(rate.amount * factor)
    if len(values) > 1 or not all(values):
        return f"the price list has several amounts for it, or 0: {', '.join(f'{value:f}' for value in sorted(values))}"
    return replace(
        price,
        value=values.pop().normalize(),
        date=max(rate.date for rate in rates),
        source=f"AWS Price List API, {price.service} {price.usage_type}, read {today.isoformat()}",
        certainty="certain",
        note="",
    )


def _rates(client: Any, price: Price, region: str, today: dt.date) -> Iterator[_Rate]:
    """The first tier of every on-demand term that the list has for the price."""
    for product in _products(client, price, region):
        for term in product.get("terms", {}).get("OnDemand", {}).values():
            date = _date(term.get("effectiveDate"), today)
            for rate in term.get("priceDimensions", {}).values():
                amount = _amount(rate.get("pricePerUnit", {}).get(CURRENCY))
                if amount is not None and rate.get("beginRange", "0") == "0":
                    yield _Rate(amount, str(rate.get("unit", "")), date)


def _products(client: Any, price: Price, region: str) -> Iterator[dict[str, Any]]:
    fields = {"usagetype": price.usage_type, "regionCode": region, "operation": price.operation}
    filters = [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items() if value]
    more: dict[str, Any] = {}
    while True:
        page = client.get_products(ServiceCode=price.service, Filters=filters, FormatVersion="aws_v1", **more)
        for product in page.get("PriceList", []):
            try:
                yield json.loads(product)
            except ValueError as error:
                raise ServiceError(f"the price list's answer for {price.usage_type} is no JSON: {error}") from None
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _date(text: object, today: dt.date) -> dt.date:
    try:
        return dt.date.fromisoformat(str(text)[:10])
    except ValueError:
        return today


def _amount(text: object) -> Decimal | None:
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
