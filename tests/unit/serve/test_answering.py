"""Admission, cancellation and the end of the server, without HTTP: places are given back, usage is on the books."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import BusyError, ConfigError
from sqlora.platform.admission import FairQueue
from sqlora.platform.quota import Quota, QuotaExceeded
from sqlora.prompting import record
from sqlora.serve.answering import WAITING_SECONDS, Answered, Answering, ClientGoneError, StoppingError
from tests.conformance.workplace import SYSTEM, open_backend, write_project

QUESTION = record(SYSTEM, "how many regions?")


class Gate:
    """An engine's stream that gives a token each time it is let."""

    def __init__(self, tokens: int = 1000) -> None:
        self.entered, self.go, self.ended = threading.Semaphore(0), threading.Semaphore(0), threading.Semaphore(0)
        self._tokens = tokens

    def stream(self, request: Any) -> Iterator[Delta | Completion]:
        try:
            self.entered.release()
            for _ in range(self._tokens):
                assert self.go.acquire(timeout=20)
                yield Delta("x", 1)
            yield Completion("x" * self._tokens, len(request.prompt), self._tokens, 0, "end_turn", 0.0, 0.0)
        finally:
            self.ended.release()


class Bench:
    """An `Answering` over an echoing backend, and what it reported."""

    def __init__(
        self,
        folder: Path,
        queue: FairQueue | None = None,
        quota: Quota | None = None,
        waiting_seconds: float = WAITING_SECONDS,
    ) -> None:
        write_project(folder)
        self.backend, self.engine = open_backend(folder)
        self.reports: list[Answered] = []
        self.queue = queue or FairQueue()
        self.answering = Answering(self.backend, self.queue, quota or Quota(), self.reports.append, waiting_seconds)

    def ask(self, name: str = "base", disconnected: Any = None) -> AsyncIterator[Delta | Completion]:
        return self.answering.stream(name, QUESTION, Sampling(max_tokens=50), "ann", disconnected)

    async def all(self) -> list[Delta | Completion]:
        return [piece async for piece in self.ask()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    with made.backend:
        yield made


def gated(bench: Bench, monkeypatch: pytest.MonkeyPatch, tokens: int = 1000) -> Gate:
    gate = Gate(tokens)
    monkeypatch.setattr(bench.engine, "stream", gate.stream)
    return gate


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def acquire(semaphore: threading.Semaphore) -> None:
    assert await asyncio.to_thread(semaphore.acquire, timeout=20)


def test_pieces_come_in_order_and_the_place_is_given_back(bench: Bench) -> None:
    async def main() -> None:
        pieces = await bench.all()
        assert "".join(piece.text for piece in pieces[:-1]) == "base: how many regions?"
        assert isinstance(pieces[-1], Completion)
        await until(lambda: bench.reports)
        assert bench.queue.running == bench.queue.waiting == 0

    asyncio.run(main())
    report = bench.reports[0]
    row = bench.backend.state.usage.list()[0]
    assert (report.input_tokens, report.output_tokens) == (row.input_tokens, row.output_tokens)
    assert report.first_token_seconds is not None


def test_who_waits_too_long_is_refused_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, FairQueue(running=1), waiting_seconds=0.05)
    gate = gated(bench, monkeypatch, tokens=1)

    async def main() -> None:
        first = asyncio.create_task(bench.all())
        await acquire(gate.entered)
        with pytest.raises(BusyError, match=r"its turn did not come within 0\.05 seconds"):
            await bench.all()
        assert (bench.queue.running, bench.queue.waiting) == (1, 0)
        gate.go.release(2)
        assert len(await first) == 2
        assert len(await bench.all()) == 2

    with bench.backend:
        asyncio.run(main())
        assert [row.output_tokens for row in bench.backend.state.usage.list()] == [1, 1]


def test_a_cancelled_answer_is_on_the_books_with_what_it_took(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gated(bench, monkeypatch)

    async def main() -> None:
        seen: list[Any] = []

        async def read() -> None:
            async for piece in bench.ask():
                seen.append(piece)

        task = asyncio.create_task(read())
        gate.go.release(2)
        await until(lambda: len(seen) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.queue.running == 1  # its thread still computes the token that nobody wants
        gate.go.release()
        await acquire(gate.ended)
        await until(lambda: bench.queue.running == 0)

    asyncio.run(main())
    assert [row.output_tokens for row in bench.backend.state.usage.list()] == [3]
    assert bench.reports[0].output_tokens == 3


def test_closing_the_stream_ends_the_generation(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gated(bench, monkeypatch)

    async def main() -> None:
        pieces: Any = bench.ask()
        gate.go.release()
        assert await anext(pieces) == Delta("x", 1)
        await pieces.aclose()
        gate.go.release()
        await acquire(gate.ended)
        await until(lambda: bench.queue.running == 0)

    asyncio.run(main())


def test_a_client_that_has_gone_ends_the_generation(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gated(bench, monkeypatch)
    monkeypatch.setattr("sqlora.serve.answering.LOOK_SECONDS", 0.01)

    async def gone() -> bool:
        return True

    async def main() -> None:
        with pytest.raises(ClientGoneError):
            await anext(bench.ask(disconnected=gone))
        gate.go.release()
        await until(lambda: bench.queue.running == 0)

    asyncio.run(main())


def test_who_gives_up_waiting_leaves_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, FairQueue(1, 2, 2))
    gate = gated(bench, monkeypatch, tokens=1)

    async def main() -> None:
        first = asyncio.create_task(bench.all())
        await acquire(gate.entered)
        second, third = asyncio.create_task(bench.all()), asyncio.create_task(bench.all())
        await until(lambda: bench.queue.waiting == 2)
        with pytest.raises(BusyError):
            await bench.all()
        second.cancel()
        await until(lambda: bench.queue.waiting == 1)
        gate.go.release(2)
        assert len(await first) == len(await third) == 2
        await until(lambda: bench.queue.running == 0)

    with bench.backend:
        asyncio.run(main())
        assert len(bench.backend.state.usage.list()) == 2


def test_one_refused_by_its_quota_leaves_the_queue(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=Quota(tokens_per_minute=1))

    async def main() -> None:
        with pytest.raises(QuotaExceeded):
            await bench.all()
        assert bench.queue.running == bench.queue.waiting == 0

    with bench.backend:
        asyncio.run(main())
        assert bench.backend.state.usage.list() == []


def test_a_reader_that_stalls_holds_no_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gated(bench, monkeypatch, tokens=5)

    async def main() -> None:
        stalled: Any = bench.ask()
        gate.go.release(5)
        assert await anext(stalled) == Delta("x", 1)
        await until(lambda: bench.queue.running == 0)
        assert len([piece async for piece in stalled]) == 5  # the rest, and the completion

    asyncio.run(main())


def test_closing_lets_answers_end_then_cuts_them_and_refuses_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, FairQueue(1, 5, 5))
    gate = gated(bench, monkeypatch)

    async def main() -> None:
        running, waiting = asyncio.create_task(bench.all()), None
        await acquire(gate.entered)
        waiting = asyncio.create_task(bench.all())
        await until(lambda: bench.queue.waiting == 1)
        closing = asyncio.create_task(bench.answering.close(0.05))
        with pytest.raises(StoppingError):
            await waiting
        with pytest.raises(StoppingError):
            await bench.all()
        gate.go.release(3)  # a few tokens while there is time, then the one at which it is cut
        await asyncio.sleep(0.1)
        gate.go.release()
        with pytest.raises(StoppingError, match="was cut"):
            await running
        await closing

    with bench.backend:
        asyncio.run(main())
        assert [row.output_tokens for row in bench.backend.state.usage.list()] == [4]


def test_closing_waits_for_an_answer_that_ends_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gated(bench, monkeypatch, tokens=1)

    async def main() -> None:
        running = asyncio.create_task(bench.all())
        await acquire(gate.entered)
        closing = asyncio.create_task(bench.answering.close(20))
        gate.go.release()
        assert len(await running) == 2
        await closing

    asyncio.run(main())


def test_the_error_of_an_answer_is_its_readers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Any) -> Any:
        raise ZeroDivisionError("a bug")
        yield

    monkeypatch.setattr(bench.engine, "stream", broken)

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await bench.all()
        await until(lambda: bench.queue.running == 0)

    asyncio.run(main())


def test_what_would_hold_up_or_overflow_the_engine_does_not_get_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sampling] = []
    converse = bench.backend.converse

    def noting(name: str, conversation: Any, sampling: Sampling, **who: Any) -> Any:
        asked.append(sampling)
        return converse(name, conversation, sampling, **who)

    monkeypatch.setattr(bench.backend, "converse", noting)

    async def ask(sampling: Sampling) -> None:
        async for _ in bench.answering.stream("base", QUESTION, sampling, "ann"):
            pass
        await until(lambda: bench.queue.running == 0)

    asyncio.run(ask(Sampling(temperature=1e-320, stop=("x" * 4096,))))
    with pytest.raises(ConfigError, match="stop sequences"):
        asyncio.run(ask(Sampling(stop=("x" * 4096, "y"))))
    assert [sampling.temperature for sampling in asked] == [0.0]
    assert bench.queue.running == 0
