"""However an answer ends, and whoever ends it: one row of usage, one end of its lease."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.backends.answer import Answer
from sqlora.engines.base import Completion, Delta
from sqlora.platform.usage import UsageRow

PIECES = 4


class Desk:
    """Where answers of `PIECES` deltas are given out, and what came of them."""

    def __init__(self) -> None:
        self.rows: list[UsageRow] = []
        self.ended = self.closed = 0

    def pieces(self) -> Generator[Delta | Completion]:
        try:
            for number in range(PIECES):
                yield Delta(f"{number}", 2)
            yield Completion("0123", 7, 2 * PIECES + 1, 5, "end_turn", 0.25, 1.0)
        finally:
            self.closed += 1

    def answer(self, pieces: Generator[Delta | Completion] | None = None) -> Answer:
        return Answer(pieces or self.pieces(), "shop", "ann", 7, 0.0, self.rows.append, self.end)

    def end(self) -> None:
        self.ended += 1

    @property
    def output_tokens(self) -> list[int]:
        return [row.output_tokens for row in self.rows]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(10)
    monkeypatch.setattr("sqlora.backends.answer.time.perf_counter", lambda: float(next(ticks)))


def test_a_whole_answer(desk: Desk) -> None:
    answer = desk.answer()
    for piece in answer:
        assert len(desk.rows) == desk.ended == isinstance(piece, Completion)
    assert isinstance(piece, Completion)
    assert (piece.first_token_seconds, piece.seconds) == (10.25, 11.0), "it waited 10 s before"
    assert desk.rows == [UsageRow("shop", "ann", 7, 9, 5, 11.0, 10.25)]
    answer.close()
    assert (list(answer), desk.ended, desk.closed, len(desk.rows)) == ([], 1, 1, 1)


@settings(deadline=None)
@given(taken=st.integers(0, PIECES + 2), closes=st.integers(1, 3))
def test_closed_at_any_point_it_is_booked_once_with_what_it_took(taken: int, closes: int) -> None:
    desk = Desk()
    answer = desk.answer()
    got = [piece for _, piece in zip(range(taken), answer, strict=False)]
    for _ in range(closes):
        answer.close()
    assert list(answer) == []
    assert desk.ended == 1
    if any(isinstance(piece, Completion) for piece in got):
        assert desk.output_tokens == [2 * PIECES + 1]
    else:
        assert desk.output_tokens == ([2 * len(got)] if got else [])


def test_a_partial_row_says_when_it_began_and_how_long_it_took(desk: Desk) -> None:
    answer = desk.answer()
    next(answer)
    next(answer)
    answer.close()
    assert desk.rows == [UsageRow("shop", "ann", 7, 4, 0, 13.0, 11.0)]


def test_one_that_is_dropped_is_closed(desk: Desk) -> None:
    answer = desk.answer()
    next(answer)
    del answer
    gc.collect()
    assert (desk.output_tokens, desk.ended, desk.closed) == ([2], 1, 1)
    desk.answer()
    gc.collect()
    assert (desk.output_tokens, desk.ended) == ([2], 2), "nothing was produced, but the lease ends"


def test_an_error_of_the_engine_ends_it_too(desk: Desk) -> None:
    def broken() -> Generator[Delta | Completion]:
        yield Delta("a", 3)
        raise OSError("out of order")

    answer = desk.answer(broken())
    next(answer)
    with pytest.raises(OSError, match="out of order"):
        next(answer)
    assert (desk.output_tokens, desk.ended) == ([3], 1)
    assert list(answer) == []


def test_a_row_that_cannot_be_written_keeps_the_completion_back_and_ends_the_lease(desk: Desk) -> None:
    def full(row: UsageRow) -> None:
        raise OSError("disk full")

    answer = Answer(desk.pieces(), "shop", "ann", 7, 0.0, full, desk.end)
    with pytest.raises(OSError, match="disk full"):
        list(answer)
    assert (desk.ended, desk.closed, list(answer)) == (1, 1, [])


def test_threads_may_take_turns(desk: Desk) -> None:
    answer, got = desk.answer(), list[object]()
    for _ in range(PIECES + 2):
        thread = threading.Thread(
            target=lambda: got.extend([piece for _, piece in zip(range(1), answer, strict=False)])
        )
        thread.start()
        thread.join(60)
    assert [type(piece) for piece in got] == [Delta] * PIECES + [Completion]
    assert (desk.output_tokens, desk.ended) == ([9], 1)


def test_closed_in_the_middle_of_a_step_the_step_sees_to_the_end(desk: Desk) -> None:
    stepping, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Delta | Completion]:
        yield Delta("a", 1)
        stepping.set()
        assert go_on.wait(60)
        yield Delta("b", 1)
        raise AssertionError("nobody wants more")

    answer, got = desk.answer(slow()), list[object]()  # type: ignore[arg-type]
    next(answer)
    thread = threading.Thread(target=lambda: got.extend(answer))
    thread.start()
    assert stepping.wait(60)
    answer.close()  # returns at once
    answer.close()
    assert (desk.rows, desk.ended) == ([], 0)
    go_on.set()
    thread.join(60)
    assert got == [Delta("b", 1)]
    assert (desk.output_tokens, desk.ended) == ([2], 1)


def test_closed_by_many_while_it_is_read_it_ends_once() -> None:
    for _ in range(50):
        desk = Desk()
        answer = desk.answer()
        start = threading.Barrier(5)

        def read(answer: Answer = answer, start: threading.Barrier = start) -> None:
            start.wait(60)
            for _ in answer:
                pass

        def close(answer: Answer = answer, start: threading.Barrier = start) -> None:
            start.wait(60)
            answer.close()

        threads = [threading.Thread(target=work) for work in (read, close, close, close, close)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert (desk.ended, desk.closed <= 1, len(desk.rows) <= 1) == (1, True, True)
