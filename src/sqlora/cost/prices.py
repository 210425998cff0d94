"""prices.toml → `PriceTable`: every price with its unit, date, source and certainty."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sqlora.errors import ConfigError

NOT_FOUND = "not found"
OLD_AFTER_MONTHS = 6
_DETAILS = ("title", "unit", "date", "source", "certainty")
_CERTAINTIES = ("certain", "likely", NOT_FOUND)


@dataclass(frozen=True)
class Price:
    """``value`` in ``currency`` for one ``unit``; None when the price could not be found, and ``note`` says more."""

    name: str
    title: str
    value: Decimal | None
    unit: str
    currency: str
    region: str
    date: dt.date
    source: str
    certainty: str
    note: str = ""

    def __str__(self) -> str:
        value = NOT_FOUND if self.value is None else f"{self.value.normalize():f} {self.currency}"
        return f"{self.title}: {value} per {self.unit} ({self.region}, {self.date}, {self.certainty}: {self.source})"


@dataclass(frozen=True)
class PriceTable:
    """All prices; ``checked`` is the day they were last gone through."""

    prices: dict[str, Price]
    checked: dt.date
    currency: str
    region: str

    def __getitem__(self, name: str) -> Price:
        if name not in self.prices:
            raise ConfigError(f"no price named {name!r} in the price table", f"known: {', '.join(self.prices)}")
        return self.prices[name]

    def find(self, name: str, title: str, unit: str) -> Price:
        """The price, or one without a value: what is not in the table was not found, and is not guessed."""
        return self.prices.get(name) or Price(
            name, title, None, unit, self.currency, self.region, self.checked, "not in the price table", NOT_FOUND,
            f"No price {name} in the table; sqlora cost --refresh asks AWS's price list.",
        )  # fmt: skip

    def warnings(self, today: dt.date) -> list[str]:
        """What to be told before trusting the figures: a table older than six months."""
        if today <= _months_after(self.checked, OLD_AFTER_MONTHS):
            return []
        months = (today.year - self.checked.year) * 12 + today.month - self.checked.month
        return [
            f"the price table is of {self.checked}, {months} months old: compare it with "
            "https://aws.amazon.com/bedrock/pricing/ before relying on it"
        ]


def family_of(model_id: str) -> str:
    """How the table names a model: ``amazon.nova-micro-v1:0:128k``, its profile or its ARN are ``nova-micro``."""
    found = re.search(r"amazon\.([a-z0-9-]+?)-v\d", model_id)
    return found[1] if found else model_id


def load_prices(path: Path | None = None) -> PriceTable:
    """The table that comes with sqlora, or another of the same form; ConfigError lists all that is wrong with it."""
    if path is None:
        return _own()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the price table {path} can't be read: {error.strerror}") from None
    return read_prices(text, str(path))


def read_prices(text: str, origin: str) -> PriceTable:
    """A table from its text; ``origin`` names it in messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {error}") from None
    problems = [f"{key}: is missing" for key in ("checked", "currency", "region") if key not in raw]
    if "checked" in raw and not isinstance(raw["checked"], dt.date):
        problems.append(f"checked = {raw['checked']!r}: write a date, 2026-11-23")
    prices: dict[str, Price] = {}
    for name, fields in raw.get("prices", {}).items():
        wrong = _problems(fields)
        problems += [f"prices.{name}.{problem}" for problem in wrong]
        if not wrong and not problems:
            prices[name] = _price(name, fields, raw)
    if problems:
        raise ConfigError(f"{origin}:\n  " + "\n  ".join(problems), "correct the price table")
    return PriceTable(prices, raw["checked"], raw["currency"], raw["region"])


@cache
def _own() -> PriceTable:
    file = resources.files("sqlora.cost") / "prices.toml"
    return read_prices(file.read_text(encoding="utf-8"), "sqlora/cost/prices.toml")


def _problems(fields: dict[str, Any]) -> list[str]:
    problems = [f"{key}: is missing" for key in _DETAILS if not fields.get(key)]
    certainty, value = fields.get("certainty"), fields.get("value")
    if certainty is not None and certainty not in _CERTAINTIES:
        problems.append(f"certainty = {certainty!r}: one of {', '.join(_CERTAINTIES)}")
    if (value is None) != (certainty == NOT_FOUND):
        problems.append(f"value: a price without a value has certainty {NOT_FOUND!r}, and only such a price")
    if value is not None and not _is_amount(value):
        problems.append(f'value = {value!r}: write the amount as a string of digits, "0.035"')
    if "date" in fields and not isinstance(fields["date"], dt.date):
        problems.append(f"date = {fields['date']!r}: write a date, 2026-11-23")
    return problems


def _is_amount(value: object) -> bool:
    # A TOML float has been through binary already, so it is refused.
    if not isinstance(value, str):
        return False
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount >= 0


def _price(name: str, fields: dict[str, Any], table: dict[str, Any]) -> Price:
    value = fields.get("value")
    return Price(
        name=name,
        title=fields["title"],
        value=None if value is None else Decimal(value),
        unit=fields["unit"],
        currency=fields.get("currency", table["currency"]),
        region=fields.get("region", table["region"]),
        date=fields["date"],
        source=fields["source"],
        certainty=fields["certainty"],
        note=fields.get("note", ""),
    )


def _months_after(day: dt.date, months: int) -> dt.date:
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    last = (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day
    return dt.date(year, month, min(day.day, last))
