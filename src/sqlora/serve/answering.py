"""The one way from a protocol to an answer: which deployment, whether there is room and quota, then its tokens.

Both protocols use it, so that admission, fairness, limits, usage and cancellation cannot differ between them.

A request joins the queue, is counted against its deployment's minute, waits for its turn, and is then answered by one
worker thread, which puts the pieces into the request's buffer. The thread never waits for the client: a client that
reads slowly holds its buffer (bounded by the answer's length), not a place in the queue.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from sqlora.backends.base import BASE
from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import BusyError, ConfigError, NotFoundError, RetryableError
from sqlora.platform.admission import FairQueue, Ticket
from sqlora.platform.quota import Quota
from sqlora.serve.model_ids import is_foreign, is_nova, parse_arn

Disconnected = Callable[[], Awaitable[bool]]
WAITING_SECONDS = 45.0  # a client of boto3 hangs up after 60 seconds without a word, and asks again
LOOK_SECONDS = 0.5  # how often a request that waits looks whether its client is still there
COUNTING_THREADS = 2
COLDEST = 1e-3  # a temperature below is greedy: logits divided by it leave what a float can hold
STOP_CHARACTERS = 4096  # of all stop sequences together: each new token is compared with every beginning of each


class StoppingError(BusyError):
    """The server is stopping: what was not answered yet will not be."""


class ClientGoneError(RetryableError):
    """Nobody is left to read the answer."""


@dataclass(frozen=True)
class Answered:
    """What a request came to, for the metrics. ``output_tokens`` are those produced, also of an abandoned answer.

    Seconds count from the request's arrival, so they have its waiting in them.
    """

    deployment: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    first_token_seconds: float | None


@dataclass(eq=False)
class _Run:
    """A request on its way. ``pieces`` end with None, or with the error that ended them."""

    name: str
    ticket: Ticket
    arrived: float
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    pieces: asyncio.Queue[Delta | Completion | Exception | None] = field(default_factory=asyncio.Queue)
    cut: threading.Event = field(default_factory=threading.Event)
    input_tokens: int = 0
    produced: int = 0
    cached: int = 0
    first_token_seconds: float | None = None


class Answering:
    """Answers of one backend, in turn. All methods are called on the event loop; ``answered`` hears of each request."""

    def __init__(
        self,
        backend: LocalBackend,
        queue: FairQueue,
        quota: Quota,
        answered: Callable[[Answered], None] = lambda answered: None,
        waiting_seconds: float = WAITING_SECONDS,
    ) -> None:
        self.backend, self.queue, self.quota = backend, queue, quota
        self._answered, self._waiting_seconds = answered, waiting_seconds
        self._waiting: dict[Ticket, _Run] = {}
        self._running: set[_Run] = set()
        self._stopping = False
        self._counting = ThreadPoolExecutor(COUNTING_THREADS, thread_name_prefix="count")
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="answer")  # as many as the queue lets run, if fewer

    @property
    def stopping(self) -> bool:
        """Whether no more requests are taken."""
        return self._stopping

    def resolve(self, model_id: str) -> str:
        """The deployment's name that a model id stands for ("base": the untuned model).

        A deployment's ARN, id or name; the aliases of the base model (`sqlora.serve.model_ids`). NotFoundError for a
        deployment that is not there, ConfigError for what is no model of this server.
        """
        kind, key = parse_arn(model_id) or ("", model_id)
        if kind in ("", "foundation-model", "inference-profile") and self._is_base(key):
            return BASE
        if kind == "custom-model":
            raise ConfigError(
                f"{model_id} is a custom model; it is asked through a deployment of it", "CreateCustomModelDeployment"
            )
        if kind not in ("", "custom-model-deployment") or (not kind and is_foreign(key)):
            raise ConfigError(f"The provided model identifier is invalid: {model_id}", "ListFoundationModels")
        found = self.backend.state.deployments.get(key)
        if kind and found.id != key:  # an ARN names an id; a name in its place is another's
            raise NotFoundError(f"no deployment {model_id!r}", "ListCustomModelDeployments")
        return found.name

    def _is_base(self, key: str) -> bool:
        return key in (BASE, self.backend.project.train.base_model) or is_nova(key)

    async def stream(
        self,
        name: str,
        conversation: Mapping[str, Any],
        sampling: Sampling,
        caller: str,
        disconnected: Disconnected | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[Delta | Completion]:
        """Deltas as they come, then the `Completion`; ``name`` as `resolve` gives it.

        ConfigError for stop sequences that are too long, BusyError when the queue is full or its turn does not come in
        time, QuotaExceeded over the minute of its deployment, ContextError for a conversation too long, StoppingError
        when the server stops.
        Closing it, or a client that has gone, ends the generation: what was produced is on the books and the place in
        the queue is free. ``request_id`` is what the client will know its answer by.
        """
        sampling = _checked(sampling)
        watch = _Watch(disconnected)
        run = self._join(name)
        try:
            run.input_tokens = await self._count(name, conversation)
            self.quota.admit(name, run.input_tokens)
            await self._turn(run, watch)
            if self._stopping:
                raise StoppingError("the server is stopping", "ask again when it has started")
        except BaseException:
            self._leave(run)
            raise
        self._start(run, conversation, sampling, caller, request_id)
        try:
            while True:
                piece = await watch.wait(run.pieces.get)
                if isinstance(piece, Exception):
                    raise piece
                if piece is None:
                    raise StoppingError("the server is stopping; the answer was cut", "ask again when it has started")
                yield piece
                if isinstance(piece, Completion):
                    return
        finally:
            run.cut.set()

    async def close(self, seconds: float = 10.0) -> None:
        """Take no more requests, give those running ``seconds`` to end, then cut them; usage is on the books."""
        self._stopping = True
        for run in self._waiting.values():
            run.turn.set()
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for run in self._running:
            run.cut.set()
        while self._running:  # at most a token's time, or that of the load which it waits for
            await asyncio.sleep(0.02)
        self._threads.shutdown(wait=False)
        self._counting.shutdown(wait=False, cancel_futures=True)

    # the queue --------------------------------------------------------------------------------------------------

    def _join(self, name: str) -> _Run:
        if self._stopping:
            raise StoppingError("the server is stopping", "ask again when it has started")
        run = _Run(name, self.queue.join(name), time.perf_counter())
        self._waiting[run.ticket] = run
        self._advance()
        return run

    async def _turn(self, run: _Run, watch: _Watch) -> None:
        """Until it is the request's turn; BusyError, while its client still listens, when that takes too long."""
        try:
            async with asyncio.timeout(self._waiting_seconds):
                await watch.wait(run.turn.wait)
        except TimeoutError:
            raise BusyError(
                f"too many requests: its turn did not come within {self._waiting_seconds:g} seconds",
                "try again in a few seconds",
            ) from None

    def _leave(self, run: _Run) -> None:
        self._waiting.pop(run.ticket, None)
        self.queue.leave(run.ticket)
        self._advance()

    def _advance(self) -> None:
        for ticket in self.queue.ready():
            self._waiting[ticket].turn.set()

    async def _count(self, name: str, conversation: Mapping[str, Any]) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._counting, self.backend.count_tokens, name, conversation)

    # one answer -------------------------------------------------------------------------------------------------

    def _start(
        self, run: _Run, conversation: Mapping[str, Any], sampling: Sampling, caller: str, request_id: str | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._running.add(run)
        work = (run, loop, conversation, sampling, caller, request_id)
        loop.run_in_executor(self._threads, self._produce, *work).add_done_callback(lambda done: self._end(run))

    def _produce(
        self,
        run: _Run,
        loop: asyncio.AbstractEventLoop,
        conversation: Mapping[str, Any],
        sampling: Sampling,
        caller: str,
        request_id: str | None,
    ) -> None:
        """In a worker thread: every piece into the buffer, until the answer or the wish for it ends."""
        last: Exception | None = None
        try:
            pieces = self.backend.converse(run.name, conversation, sampling, caller=caller, request_id=request_id)
            try:
                while not run.cut.is_set() and (piece := next(pieces, None)) is not None:
                    self._note(run, piece)
                    loop.call_soon_threadsafe(run.pieces.put_nowait, piece)
            finally:
                pieces.close()
        except Exception as error:
            last = error
        loop.call_soon_threadsafe(run.pieces.put_nowait, last)

    def _note(self, run: _Run, piece: Delta | Completion) -> None:
        if run.first_token_seconds is None:
            run.first_token_seconds = time.perf_counter() - run.arrived
        if isinstance(piece, Delta):
            run.produced += piece.tokens
        else:
            run.produced, run.cached = piece.output_tokens, piece.cached_tokens

    def _end(self, run: _Run) -> None:
        """Only now is the place free: the thread has stopped computing, whenever its client went."""
        self._running.discard(run)
        self.quota.charge(run.name, run.produced)
        self._answered(Answered(run.name, run.input_tokens, run.produced, run.cached, run.first_token_seconds))
        self._leave(run)


class _Watch:
    """Waits for things while the client is there; looks every `LOOK_SECONDS`, however often or seldom they come."""

    def __init__(self, disconnected: Disconnected | None) -> None:
        self._disconnected, self._looked = disconnected, time.monotonic()

    async def wait(self, something: Callable[[], Awaitable[Any]]) -> Any:
        """Its result; ClientGoneError."""
        while True:
            await self._look()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    return await something()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        if self._disconnected is None or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if await self._disconnected():
            raise ClientGoneError("the client has gone")


def _checked(sampling: Sampling) -> Sampling:
    """What the engine can do at once and without overflow; ConfigError."""
    if sum(map(len, sampling.stop)) > STOP_CHARACTERS:
        raise ConfigError(f"the stop sequences have more than {STOP_CHARACTERS:,} characters together")
    return replace(sampling, temperature=0.0) if sampling.temperature < COLDEST else sampling
