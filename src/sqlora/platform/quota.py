"""Requests and tokens a minute, of each deployment: Bedrock's limits on a custom model that is paid by the token.

The minute slides, in steps of a second: use is added up by second, and counts until the whole of its second is a minute
ago. So no sixty seconds ever see more than the limit, and a deployment is at most 61 counted seconds in memory.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sqlora.errors import BusyError

WINDOW = 60  # seconds
REQUESTS_PER_MINUTE = 2_000
TOKENS_PER_MINUTE = 4_000_000

Limit = Literal["requests", "tokens"]


class QuotaExceeded(BusyError):
    """A deployment has used what it may in a minute; ``limit`` is ``requests`` or ``tokens``."""

    def __init__(self, message: str, next_step: str, *, limit: Limit) -> None:
        super().__init__(message, next_step)
        self.limit = limit


@dataclass
class _Second:
    at: int
    requests: int = 0
    tokens: int = 0


@dataclass
class _Window:
    """The last minute of one deployment, oldest second first."""

    seconds: deque[_Second] = field(default_factory=deque)
    requests: int = 0
    tokens: int = 0

    def slide(self, now: int) -> None:
        """Forget what is a minute ago. A second that has begun exactly a minute ago has a part that is not."""
        while self.seconds and self.seconds[0].at < now - WINDOW:
            past = self.seconds.popleft()
            self.requests -= past.requests
            self.tokens -= past.tokens

    def add(self, now: int, requests: int, tokens: int) -> None:
        """Count it in the second ``now``."""
        if not self.seconds or self.seconds[-1].at != now:
            self.seconds.append(_Second(now))
        self.seconds[-1].requests += requests
        self.seconds[-1].tokens += tokens
        self.requests += requests
        self.tokens += tokens


class Quota:
    """What each deployment has used in the last minute. ``clock`` gives seconds and never goes back. Thread-safe."""

    def __init__(
        self,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        tokens_per_minute: int = TOKENS_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self._clock, self._lock = clock, threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._swept = -math.inf

    def admit(self, deployment: str, input_tokens: int) -> None:
        """Count a request and its prompt. QuotaExceeded, and nothing is counted, when they don't fit the minute."""
        with self._lock:
            now = self._now()
            window = self._windows.get(deployment, _Window())
            window.slide(now)
            if window.requests + 1 > self.requests_per_minute:
                raise self._exceeded(deployment, "requests", self.requests_per_minute)
            if window.tokens + input_tokens > self.tokens_per_minute:
                raise self._exceeded(deployment, "tokens", self.tokens_per_minute)
            window.add(now, 1, input_tokens)
            self._windows[deployment] = window

    def charge(self, deployment: str, output_tokens: int) -> None:
        """Count tokens of an answer, which nobody could know before; they may go over the limit, the next may not."""
        with self._lock:
            now = self._now()
            window = self._windows.setdefault(deployment, _Window())
            window.slide(now)
            window.add(now, 0, output_tokens)

    def _now(self) -> int:
        now = math.floor(self._clock())
        if now - self._swept > WINDOW:
            self._swept = now
            for deployment, window in list(self._windows.items()):
                window.slide(now)
                if not window.seconds:
                    del self._windows[deployment]
        return now

    @staticmethod
    def _exceeded(deployment: str, limit: Limit, most: int) -> QuotaExceeded:
        return QuotaExceeded(
            f"too many {limit}: deployment {deployment!r} may use {most:,} {limit} a minute",
            "try again in a minute",
            limit=limit,
        )
