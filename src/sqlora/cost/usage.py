"""The pace of the questions asked so far → what a month of it costs on Bedrock on demand."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlora.cost.model import HOURS_A_MONTH, MonthlyCost, monthly_cost
from sqlora.cost.prices import NOVA_MICRO, PriceTable
from sqlora.platform.usage import UsageSummary

SECONDS_A_MONTH = int(HOURS_A_MONTH) * 3600
SHORTEST = dt.timedelta(days=1)  # less than a day says nothing about a month


@dataclass(frozen=True)
class Projection:
    """``month``: the pace of the ``queries`` since ``since``, for 730 hours. ``note`` says on how little it rests."""

    queries: int
    input_tokens: int
    output_tokens: int
    since: dt.datetime
    month: MonthlyCost
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as exact text."""
        return {
            "queries": self.queries,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "since": self.since.isoformat(),
            "month": self.month.as_dict(),
            "note": self.note,
        }


def project_usage(
    used: UsageSummary,
    now: dt.datetime,
    models: int = 1,
    prices: PriceTable | None = None,
    family: str = NOVA_MICRO,
) -> Projection:
    """Project everything that was used, one sum over it all, from its first request until ``now`` to a month."""
    first = moment(used.first_at)
    span = max(now.astimezone(dt.UTC) - first, SHORTEST)
    queries = round(used.requests * SECONDS_A_MONTH / span.total_seconds())
    given, answered = Decimal(used.input_tokens) / used.requests, Decimal(used.output_tokens) / used.requests
    month = monthly_cost(queries, given, answered, models, prices, family)
    note = "" if span > SHORTEST else "from a day or less: a rough figure"
    return Projection(used.requests, used.input_tokens, used.output_tokens, first, month, note)


def moment(at: str) -> dt.datetime:
    """ISO-8601 text, aware and in UTC; a moment without a zone is taken as UTC."""
    found = dt.datetime.fromisoformat(at)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
