"""prices.toml → `PriceTable`: every price with its unit, date, source and certainty.

The table that comes with sqlora is what was known when it was written. ``sqlora cost --refresh`` puts a newer one into
the user's cache (`sqlora.cost.refresh`), and a table of one's own goes before both, price by price. Whoever shows a
figure also shows the `PriceTable.origin`.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sqlora.errors import ConfigError
from sqlora.project import cache_folder

CURRENCY = "USD"
NOVA_MICRO = "nova-micro"
NOT_FOUND = "not found"
OWN = "sqlora/cost/prices.toml"
OLD_AFTER_MONTHS = 6
_DETAILS = ("title", "unit", "date", "source", "certainty")
_LISTED = ("service", "usage_type", "operation")
_CERTAINTIES = ("certain", "likely", NOT_FOUND)


@dataclass(frozen=True)
class Price:
    """``value`` in ``currency`` for one ``unit``; None when the price could not be found, and ``note`` says more.

    ``service``, ``usage_type`` and ``operation`` are its names in AWS's price list, empty where they are not known.
    """

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
    service: str = ""
    usage_type: str = ""
    operation: str = ""

    @property
    def rate(self) -> str:
        """``$7.09 per hour``: all its digits, and two after the point at least."""
        if self.value is None:
            return f"{NOT_FOUND} per {self.unit}"
        digits = max(2, -int(self.value.normalize().as_tuple().exponent))
        return f"${self.value:.{digits}f} per {self.unit}"

    def __str__(self) -> str:
        value = NOT_FOUND if self.value is None else f"{self.value.normalize():f} {self.currency}"
        return f"{self.title}: {value} per {self.unit} ({self.region}, {self.date}, {self.certainty}: {self.source})"


@dataclass(frozen=True)
class PriceTable:
    """All prices; ``checked`` is the day they were last gone through, ``origin`` the file or files they are from."""

    prices: dict[str, Price]
    checked: dt.date
    currency: str
    region: str
    origin: str = OWN

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

    def over(self, base: PriceTable) -> PriceTable:
        """These prices, and those of ``base`` that are not among them."""
        whole = set(base.prices) <= set(self.prices)
        return replace(
            self,
            prices=base.prices | self.prices,
            checked=self.checked if whole else min(self.checked, base.checked),
            origin=self.origin if whole else f"{self.origin} over {base.origin}",
        )

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


def billed_model(model_id: str) -> str:
    """The model whose tokens are reckoned with: an open one has no price by the token, so Nova Micro stands in."""
    return model_id if "amazon." in model_id else NOVA_MICRO


def this_machine(price_per_hour: Decimal) -> Price:
    """What its owner says that an hour of this machine costs: electricity, wear, or a cloud's rent of it."""
    if not price_per_hour.is_finite() or price_per_hour < 0:
        raise ConfigError(f"{price_per_hour} is no price of an hour", "sqlora cost --help")
    name, today = "this machine", dt.date.today()
    return Price(name, name, price_per_hour, "hour", CURRENCY, "here", today, "its owner", "certain")


def load_prices(path: Path | None = None) -> PriceTable:
    """sqlora's own table, or the refreshed one if that is newer; over it, price by price, the table in ``path``.

    ConfigError lists all that is wrong with a table.
    """
    refreshed = newest_refreshed()
    table = _own() if refreshed is None else _file(refreshed)
    if table.checked < _own().checked:
        table = _own()
    return table if path is None else _file(path).over(table)


def own_prices() -> PriceTable:
    """The table that comes with sqlora, whatever else there is."""
    return _own()


def refreshed_folder() -> Path:
    """Where refreshed tables are kept, each under its day."""
    return cache_folder() / "prices"


def newest_refreshed() -> Path | None:
    """The last of the refreshed tables."""
    return max(refreshed_folder().glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].toml"), default=None)


def _file(path: Path) -> PriceTable:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the price table {path} can't be read: {reason}", _mend(path)) from None
    return read_prices(text, str(path))


def _mend(path: Path | str) -> str:
    ours = Path(path).parent == refreshed_folder()
    return f"delete {path}, or sqlora cost --refresh" if ours else "correct the price table"


def read_prices(text: str, origin: str) -> PriceTable:
    """A table from its text; ``origin`` names it in messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {error}", _mend(origin)) from None
    problems = [f"{key}: is missing" for key in ("checked", "currency", "region") if key not in raw]
    if "checked" in raw and not isinstance(raw["checked"], dt.date):
        problems.append(f"checked = {raw['checked']!r}: write a date, 2026-11-23")
    if raw.get("currency", CURRENCY) != CURRENCY:
        problems.append(f"currency = {raw['currency']!r}: sqlora reckons in {CURRENCY}; convert the prices")
    listed = raw.get("prices", {})
    if not isinstance(listed, dict) or not all(isinstance(fields, dict) for fields in listed.values()):
        listed, problems = {}, [*problems, "prices: each is a table, [prices.name]"]
    prices: dict[str, Price] = {}
    for name, fields in listed.items():
        wrong = _problems(fields)
        problems += [f"prices.{name}.{problem}" for problem in wrong]
        if not wrong and not problems:
            prices[name] = _price(name, fields, raw)
    if problems:
        raise ConfigError(f"{origin}:\n  " + "\n  ".join(problems), _mend(origin))
    return PriceTable(prices, raw["checked"], raw["currency"], raw["region"], origin)


@cache
def _own() -> PriceTable:
    file = resources.files("sqlora.cost") / "prices.toml"
    return read_prices(file.read_text(encoding="utf-8"), OWN)


def _problems(fields: dict[str, Any]) -> list[str]:
    problems = [f"{key}: is missing" for key in _DETAILS if not fields.get(key)]
    certainty, value = fields.get("certainty"), fields.get("value")
    if certainty is not None and certainty not in _CERTAINTIES:
        problems.append(f"certainty = {certainty!r}: one of {', '.join(_CERTAINTIES)}")
    if (value is None) != (certainty == NOT_FOUND):
        problems.append(f"value: a price without a value has certainty {NOT_FOUND!r}, and only such a price")
    if value is not None and not _is_amount(value):
        problems.append(f'value = {value!r}: write the amount as a string of digits, "0.035"')
    if fields.get("currency", CURRENCY) != CURRENCY:
        problems.append(f"currency = {fields['currency']!r}: sqlora reckons in {CURRENCY}")
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
        **{key: str(fields.get(key, "")) for key in _LISTED},
    )


def _months_after(day: dt.date, months: int) -> dt.date:
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    last = (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day
    return dt.date(year, month, min(day.day, last))
