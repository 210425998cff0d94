from __future__ import annotations

from collections.abc import Iterator

import pytest

from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.evaluate.latency import LatencyPlan, Unloading, measure_latency, spread_of, timed
from sqlora.evaluate.run import evaluate
from sqlora.prepare.dataset import Dataset
from sqlora.project import Project
from sqlora.prompting import record
from tests.unit.evaluate.fake import QUESTIONS, ColdBackend, FakeBackend

GOLD = {"base": QUESTIONS, "tuned": QUESTIONS}


class Clock:
    """Time passes only when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_first_token_and_rate_by_the_reference_method() -> None:
    clock = Clock()

    def stream() -> Iterator[Delta | Completion]:
        clock.now += 0.3
        yield Delta("", 0)  # no text yet, so not the first token
        clock.now += 0.08
        yield Delta("SEL", 1)
        clock.now += 0.1
        yield Delta("ECT 1", 17)
        yield Completion("SELECT 1", 800, 18, 0, "end_turn", 9.0, 9.0)

    call = timed(stream, clock)
    assert call.first_token == pytest.approx(0.38)
    assert call.total == pytest.approx(0.48)
    assert call.tokens_per_second == pytest.approx(180)


def test_an_answer_in_one_piece_has_no_rate() -> None:
    clock = Clock()

    def stream() -> Iterator[Delta | Completion]:
        clock.now += 0.5
        yield Completion("", 800, 0, 0, "end_turn", 0.5, 0.5)

    call = timed(stream, clock)
    assert (call.first_token, call.total, call.tokens_per_second) == (0.5, 0.5, None)


def test_cold_and_warm_are_told_apart() -> None:
    clock = Clock()

    class Slow(ColdBackend):
        loaded = False

        def unload(self, deployment: str) -> None:
            super().unload(deployment)
            self.loaded = False

        def converse(
            self, deployment: str, record: object, sampling: Sampling, *, caller: str = ""
        ) -> Iterator[Delta | Completion]:  # type: ignore[override]
            clock.now += 0.1 if self.loaded else 0.6
            self.loaded = True
            yield Delta("S", 1)
            clock.now += 0.5
            yield Completion("SELECT", 8, 6, 0, "end_turn", 0.0, 0.0)

    backend = Slow(GOLD)
    steps: list[tuple[int, int]] = []
    found = measure_latency(
        backend, "tuned", [record("s", "q")], Sampling(), LatencyPlan(cold=2, warm=4), clock=clock,
        report=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert backend.unloaded == ["tuned", "tuned"]
    assert found.cold_first_token is not None
    assert found.warm_first_token is not None
    assert found.tokens_per_second is not None
    assert (found.cold_first_token.n, found.warm_first_token.n) == (2, 4)
    assert found.cold_first_token.median == pytest.approx(0.6)
    assert found.warm_first_token.median == found.warm_first_token.maximum == pytest.approx(0.1)
    assert found.tokens_per_second.median == pytest.approx(12)
    assert steps[-1] == (7, 7)


def test_a_backend_that_cannot_be_made_cold_says_so() -> None:
    found = measure_latency(FakeBackend(GOLD), "tuned", [record("s", "q")], Sampling(), LatencyPlan(2, 3))
    assert found.cold_first_token is None
    assert "cold not measured" in found.note
    assert found.warm_first_token is not None
    assert found.warm_first_token.n == 3


def test_left_alone_for_long_enough_it_is_cold_too() -> None:
    slept: list[float] = []
    backend = FakeBackend(GOLD)
    plan = LatencyPlan(2, 3, cold_idle=600.0)
    found = measure_latency(backend, "tuned", [record("s", "q")], Sampling(), plan, sleep=slept.append)
    assert slept == [600.0, 600.0]
    assert found.cold_first_token is not None
    assert (found.cold_first_token.n, found.note) == (2, "")


def test_what_can_be_unloaded_is_not_waited_for() -> None:
    slept: list[float] = []
    backend = ColdBackend(GOLD)
    plan = LatencyPlan(2, 3, cold_idle=600.0)
    measure_latency(backend, "tuned", [record("s", "q")], Sampling(), plan, sleep=slept.append)
    assert (slept, backend.unloaded) == ([], ["tuned", "tuned"])


def test_of_several_backends_as_one_the_one_that_answers_is_made_cold() -> None:
    here, there = ColdBackend(GOLD), FakeBackend(GOLD)

    class Both(FakeBackend):
        def backend_of(self, deployment: str) -> FakeBackend:
            return here if deployment == "tuned" else there

    for name, calls in {"tuned": 2, "base": 0}.items():
        found = measure_latency(Both(GOLD), name, [record("s", "q")], Sampling(), LatencyPlan(2, 1))
        assert (found.cold_first_token.n if found.cold_first_token else 0) == calls
    assert here.unloaded == ["tuned", "tuned"]


def test_timed_answers_are_cut() -> None:
    asked: list[int] = []

    class Counting(FakeBackend):
        def converse(
            self, deployment: str, record: object, sampling: Sampling, *, caller: str = ""
        ) -> Iterator[Delta | Completion]:  # type: ignore[override]
            asked.append(sampling.max_tokens)
            yield Completion("S", 8, 6, 0, "end_turn", 0.0, 0.0)

    found = measure_latency(Counting(GOLD), "base", [record("s", "q")], Sampling(max_tokens=256), LatencyPlan(0, 1))
    assert asked == [60, 60]
    assert found.max_tokens == 60


def test_the_local_backend_can_be_made_cold() -> None:
    assert issubclass(LocalBackend, Unloading)


def test_median_and_quartiles() -> None:
    found = spread_of([5.0, 1.0, 2.0, 3.0, 100.0])
    assert found is not None
    assert (found.minimum, found.low, found.median, found.high, found.maximum) == (1, 2, 3, 5, 100)
    assert spread_of([]) is None


def test_timed_calls_are_not_made_again(project: Project, dataset: Dataset) -> None:
    first, second = ColdBackend(GOLD), ColdBackend(GOLD)
    plan = LatencyPlan(cold=1, warm=2)
    one = evaluate(project, dataset, first, ["base", "tuned"], latency=plan)
    two = evaluate(project, dataset, second, ["base", "tuned"], latency=plan)
    assert first.streamed == ["base"] * 4 + ["tuned"] * 4
    assert second.streamed == []
    assert one.models[1].latency is not None
    assert one.models[1].latency == two.models[1].latency
