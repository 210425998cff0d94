"""What a run may spend on a model: calls and dollars, reserved before a call and settled after it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlora.cost.prices import family_of, load_prices
from sqlora.cost.training import CHARACTERS_A_TOKEN
from sqlora.errors import ConfigError
from sqlora.prepare.questions.endpoint import Reply, Request

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import WriterSection


@dataclass(frozen=True)
class Prices:
    """Dollars for a token, in and out."""

    input: Decimal
    output: Decimal

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Dollars for so many tokens."""
        return self.input * input_tokens + self.output * output_tokens


def prices_of(section: WriterSection, project: Project) -> Prices:
    """By the settings, or for a model on Bedrock by the price table. ConfigError where no price is known."""
    million = Decimal(1_000_000)
    if section.input_price is not None and section.output_price is not None:
        return Prices(section.input_price / million, section.output_price / million)
    if section.api == "bedrock":
        table, family = load_prices(project.cost.prices), family_of(section.model)
        found = [table.find(f"{family}-{way}", section.model, "1,000 tokens").value for way in ("input", "output")]
        if found[0] is not None and found[1] is not None:
            return Prices(found[0] / 1_000, found[1] / 1_000)
    raise ConfigError(
        f"no price is known for {section.model!r}, so a budget in dollars could not be kept",
        "set input_price and output_price in [prepare.writer], dollars for 1M tokens; 0 where it costs nothing",
    )


class Budget:
    """Counts calls, tokens and dollars of one run. Safe to use from several threads."""

    def __init__(self, max_calls: int, max_dollars: float, prices: Prices) -> None:
        self.calls = 0
        self.dollars = Decimal(0)
        self._max_calls, self._max_dollars = max_calls, Decimal(str(max_dollars))
        self._prices = prices
        self._reserved = Decimal(0)
        self._lock = threading.Lock()

    def reserve(self, request: Request) -> Decimal | None:
        """The most that a call may cost, kept for it; None where it could go over the budget."""
        most = self._prices.of(_input_tokens(request), request.max_tokens)
        with self._lock:
            if self.calls >= self._max_calls or self.dollars + self._reserved + most > self._max_dollars:
                return None
            self.calls += 1
            self._reserved += most
        return most

    def settle(self, reserved: Decimal, request: Request, reply: Reply | None) -> Decimal:
        """What the call did cost; without a reply nothing, without its token counts what was reserved."""
        cost = Decimal(0)
        if reply is not None:
            counted = reply.input_tokens is not None and reply.output_tokens is not None
            cost = self._prices.of(reply.input_tokens or 0, reply.output_tokens or 0) if counted else reserved
        with self._lock:
            self._reserved -= reserved
            self.dollars += cost
        return cost


def _input_tokens(request: Request) -> int:
    # A byte is a token at most; characters are the usual estimate, doubled so that it is rather too high.
    text = request.system + request.user
    return min(len(text.encode("utf-8", "replace")), math.ceil(2 * len(text) / CHARACTERS_A_TOKEN)) + 32
