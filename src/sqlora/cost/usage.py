"""What was asked so far → what it would have cost on Bedrock, and what a month of it would."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlora.cost.model import HOURS_A_MONTH, MonthlyCost, dollars, monthly_cost
from sqlora.cost.prices import PriceTable, load_prices

SECONDS_A_MONTH = int(HOURS_A_MONTH) * 3600
SHORTEST = dt.timedelta(days=1)  # less than a day says nothing about a month


class Usage(Protocol):
    """What is read of a row of the platform's usage table."""

    @property
    def at(self) -> dt.datetime | str | float:
        """When it was answered: a moment, its ISO text, or seconds since 1970."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompt."""

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer."""


@dataclass(frozen=True)
class Projection:
    """``so_far`` is what the tokens seen would have cost; ``month`` the same pace for 730 hours.

    ``month`` is None when nothing was asked. ``note`` says on how little it rests, if so.
    """

    queries: int
    input_tokens: int
    output_tokens: int
    since: dt.datetime | None
    so_far: Decimal | None
    month: MonthlyCost | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        return {
            "queries": self.queries,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "since": self.since.isoformat() if self.since else None,
            "so_far": None if self.so_far is None else f"{self.so_far.normalize():f}",
            "shown": dollars(self.so_far),
            "month": self.month.as_dict() if self.month else None,
            "note": self.note,
        }


def project_usage(
    rows: Iterable[Usage], now: dt.datetime, models: int = 1, prices: PriceTable | None = None
) -> Projection:
    """Project the usage between its first row and ``now`` to a month."""
    table = prices or load_prices()
    count = given = answered = 0
    first: dt.datetime | None = None
    for row in rows:
        at = _moment(row.at)
        first = at if first is None or at < first else first
        count, given, answered = count + 1, given + row.input_tokens, answered + row.output_tokens
    if first is None:
        return Projection(0, 0, 0, None, Decimal(0), None, "nothing was asked yet")
    span = max(_moment(now) - first, SHORTEST)
    queries = round(count * SECONDS_A_MONTH / span.total_seconds())
    month = monthly_cost(queries, Decimal(given) / count, Decimal(answered) / count, models, table)
    so_far = monthly_cost(1, given, answered, models, table).tokens.amount
    note = "" if span > SHORTEST else "from a day or less: a rough figure"
    return Projection(count, given, answered, first, so_far, month, note)


def _moment(at: dt.datetime | str | float) -> dt.datetime:
    """Aware, in UTC; a moment without a zone is taken as UTC."""
    if isinstance(at, str):
        at = dt.datetime.fromisoformat(at)
    if isinstance(at, (int, float)):
        return dt.datetime.fromtimestamp(at, dt.UTC)
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
