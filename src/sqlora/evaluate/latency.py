"""How long until the first token, and how fast after it?

The method of AWS's own measurement (amazon-nova-samples, text-to-sql notebook), so that figures can be set side by
side: streamed calls one at a time; time to first token = from the call to the first delta; tokens/s = output
tokens / (total - time to first token). Cold and warm are told apart: before a cold call the deployment is made to
forget what it keeps in memory, as far as the backend offers that, or else left alone for ``cold_idle`` seconds (AWS:
600); the call after it is not counted; then come the warm ones. Medians with quartiles, never means: one slow call
would move them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from sqlora.backends.routing import answering
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.evaluate.report.contents import Latency, Spread
from sqlora.evaluate.statistics import quantile

CALLER = "evaluate"  # under this name the tokens are on the books


@dataclass(frozen=True)
class LatencyPlan:
    """How many ``cold`` and ``warm`` calls; AWS's notebook makes 5 and 50.

    Answers are cut at ``max_tokens``, the reference workload's: an untuned model that never ends would take minutes
    and tell nothing more. ``cold_idle``: seconds before each cold call of a backend that cannot unload; None: no
    cold calls there.
    """

    cold: int = 3
    warm: int = 10
    max_tokens: int = 60
    cold_idle: float | None = None


class Streaming(Protocol):
    """What is asked of a backend here."""

    def converse(
        self, deployment: str, record: Mapping[str, Any], sampling: Sampling, /, *, caller: str
    ) -> Iterator[Delta | Completion]:
        """Deltas as they come, then the completion."""


@runtime_checkable
class Unloading(Protocol):
    """A backend that can be made cold."""

    def unload(self, deployment: str, /) -> None:
        """Take the deployment's adapter and prefix cache out of memory; the next call loads them again."""


@dataclass(frozen=True)
class Call:
    """One streamed call: seconds to the first delta and to the end, tokens out."""

    first_token: float
    total: float
    output_tokens: int

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens out by the time after the first; None when there was no such time."""
        after = self.total - self.first_token
        return self.output_tokens / after if after > 0 and self.output_tokens > 1 else None


def measure_latency(
    backend: Streaming,
    deployment: str,
    records: Sequence[Mapping[str, Any]],
    sampling: Sampling,
    plan: LatencyPlan = LatencyPlan(),
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Latency:
    """Ask ``records`` in turn, one at a time; ``report`` is told how many of how many calls were made."""
    cool = _cooling(answering(backend, deployment), deployment, plan, sleep)
    cold_calls = plan.cold if cool else 0
    total = cold_calls + 1 + plan.warm
    sampling = replace(sampling, max_tokens=min(sampling.max_tokens, plan.max_tokens))
    cold: list[Call] = []
    warm: list[Call] = []
    for number in range(total):
        if number < cold_calls and cool:
            cool()
        asked = records[number % len(records)]
        call = timed(partial(backend.converse, deployment, asked, sampling, caller=CALLER), clock)
        if number < cold_calls:
            cold.append(call)
        elif number > cold_calls:  # the call between warms up
            warm.append(call)
        report(number + 1, total)
    rates = [rate for call in warm if (rate := call.tokens_per_second) is not None]
    return Latency(
        cold_first_token=spread_of([call.first_token for call in cold]),
        cold_total=spread_of([call.total for call in cold]),
        warm_first_token=spread_of([call.first_token for call in warm]),
        warm_total=spread_of([call.total for call in warm]),
        tokens_per_second=spread_of(rates),
        max_tokens=sampling.max_tokens,
        note="" if cold_calls else "cold not measured: this backend can't make a deployment cold",
    )


def _cooling(
    backend: object, deployment: str, plan: LatencyPlan, sleep: Callable[[float], None]
) -> Callable[[], None] | None:
    """What makes the next call a cold one; None where nothing does."""
    if isinstance(backend, Unloading):
        return partial(backend.unload, deployment)
    return None if plan.cold_idle is None else partial(sleep, plan.cold_idle)


def timed(ask: Callable[[], Iterator[Delta | Completion]], clock: Callable[[], float]) -> Call:
    """Ask with a clock in hand: a backend may begin its work when called, or at the first step of the stream."""
    started = clock()
    first: float | None = None
    tokens = 0
    for piece in ask():
        if first is None and (isinstance(piece, Completion) or piece.text):
            first = clock() - started
        tokens = piece.output_tokens if isinstance(piece, Completion) else tokens + piece.tokens
    total = clock() - started
    return Call(total if first is None else first, total, tokens)


def spread_of(values: Sequence[float]) -> Spread | None:
    """Median and spread of some measurements; None when there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        n=len(ordered),
        median=quantile(ordered, 0.5),
        low=quantile(ordered, 0.25),
        high=quantile(ordered, 0.75),
        minimum=ordered[0],
        maximum=ordered[-1],
    )
