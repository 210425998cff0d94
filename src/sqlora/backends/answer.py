"""An answer in the making: its pieces, what it has cost so far, and what must end with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace

from sqlora.engines.base import Completion, Delta
from sqlora.platform.usage import UsageRow

log = logging.getLogger(__name__)


class Answer:
    """An iterator of deltas, then the completion; ``pieces`` is the engine's stream.

    Different threads may advance it, one after the other. However it ends (completion, error, `close`, being dropped),
    ``record`` is given one row of what was produced (none, if nothing was), then ``end`` is called, both once. The row
    of a whole answer is recorded before its completion comes out. ``started`` is when it was asked for
    (`time.perf_counter`); times count from there. ``request_id`` goes into the row.
    """

    def __init__(
        self,
        pieces: Generator[Delta | Completion],
        deployment: str,
        caller: str,
        input_tokens: int,
        started: float,
        record: Callable[[UsageRow], None],
        end: Callable[[], None],
        request_id: str | None = None,
    ) -> None:
        self._pieces, self._record, self._end = pieces, record, end
        self._partial = UsageRow(deployment, caller, input_tokens, 0, 0, 0.0, None, request_id)
        self._started, self._waited = started, time.perf_counter() - started
        self._stepping = threading.Lock()
        self._closing = self._ended = False

    def __iter__(self) -> Answer:
        return self

    def __next__(self) -> Delta | Completion:
        try:
            with self._stepping:
                return self._step()
        finally:
            if self._closing:  # somebody closed it during the step and left the end to it
                self.close()

    def close(self) -> None:
        """Take no more of it; what was produced is on the books, and nothing is computed any more.

        May be called at any moment, from any thread, more than once. It does not wait: when another thread is in the
        middle of a step, that thread sees to the end when the step is over.
        """
        self._closing = True
        if self._stepping.acquire(blocking=False):
            try:
                self._finish(self._spent())
            finally:
                self._stepping.release()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:
            log.exception("an answer of %s that nobody waited for is not on the books", self._partial.deployment)

    def _step(self) -> Delta | Completion:
        if self._ended:
            raise StopIteration
        try:
            piece = next(self._pieces)
        except BaseException:
            self._finish(self._spent())
            raise
        if isinstance(piece, Delta):
            now = time.perf_counter() - self._started
            row = self._partial
            self._partial = replace(
                row,
                output_tokens=row.output_tokens + piece.tokens,
                first_token_seconds=now if row.first_token_seconds is None else row.first_token_seconds,
            )
            return piece
        completion = later(piece, self._waited)
        self._finish(row_of(self._partial.deployment, self._partial.caller, completion, self._partial.request_id))
        return completion

    def _spent(self) -> UsageRow | None:
        """The row of an answer that ends before its completion."""
        if not self._partial.output_tokens:
            return None
        return replace(self._partial, seconds=time.perf_counter() - self._started)

    def _finish(self, row: UsageRow | None) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            if row is not None:
                self._record(row)
        finally:
            try:
                self._pieces.close()
            finally:
                self._end()


def row_of(
    deployment: str, caller: str, completion: Completion, request_id: str | None = None, backend: str = "local"
) -> UsageRow:
    """The usage of a whole answer."""
    return UsageRow(
        deployment,
        caller,
        completion.input_tokens,
        completion.output_tokens,
        completion.cached_tokens,
        completion.seconds,
        completion.first_token_seconds,
        request_id,
        backend=backend,
    )


def later(completion: Completion, waited: float) -> Completion:
    """The same completion, asked for ``waited`` seconds before the engine heard of it."""
    return replace(
        completion,
        first_token_seconds=completion.first_token_seconds + waited,
        seconds=completion.seconds + waited,
    )
