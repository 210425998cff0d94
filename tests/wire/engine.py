"""The echo engine on a stage: a word in the question makes it wait, drip, or break in the middle of its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from sqlora.engines.base import Completion, Delta, Request
from sqlora.errors import ModelError
from tests.conformance.echo import EchoEngine

MIDDLE = 4  # pieces of an answer before it happens
HOLD, DRIP, BREAK, CRASH = "hold", "drip", "break", "crash"


class StageEngine(EchoEngine):
    """``hold`` waits for `release`, ``drip`` takes 20 ms a token, ``break`` is a ModelError, ``crash`` a bug."""

    def __init__(self) -> None:
        super().__init__()
        self._go = threading.Event()
        self.held = 0

    def release(self) -> None:
        """Let those that hold go on, and those that come."""
        self._go.set()

    def stream(self, request: Request) -> Iterator[Delta | Completion]:
        """See `EchoEngine`."""
        question = self._question(request.prompt)
        for place, piece in enumerate(super().stream(request)):
            if place == MIDDLE:
                self._happen(question)
            if DRIP in question:
                time.sleep(0.02)
            yield piece

    def _happen(self, question: str) -> None:
        if BREAK in question:
            raise ModelError("the adapter's weights are not finite")
        if CRASH in question:
            raise ZeroDivisionError("a bug")
        if HOLD in question:
            self.held += 1
            self._go.wait(30)
