"""What is kept in memory and on disk, and that neither grows with what clients send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends.serving import MOST_TEXTS
from sqlora.engines.base import Completion, Sampling
from sqlora.engines.residency import Residency
from sqlora.errors import ContextError, DatasetError
from sqlora.prompting import conversation, record
from tests.conformance.echo import EchoEngine
from tests.conformance.workplace import SYSTEM, add_dataset, add_model, open_backend, write_project

CONTEXT = 400


class Time:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A backend over an echo engine with a context of `CONTEXT` tokens, and room for 10 bytes of adapters."""

    def __init__(self, folder: Path) -> None:
        self.time = Time()
        self.residency = Residency(budget_bytes=10, idle_seconds=60, clock=self.time)
        self.backend, self.engine = open_backend(folder, engine=EchoEngine(CONTEXT), residency=self.residency)

    def deploy(self, *names: str) -> None:
        for name in names:
            add_model(self.backend, name)
            self.backend.create_deployment(name)

    def ask(self, deployment: str, asked: Any = "how many?", **sampling: Any) -> Completion:
        question = record(SYSTEM, asked) if isinstance(asked, str) else asked
        *_, last = self.backend.converse(deployment, question, Sampling(**sampling))
        assert isinstance(last, Completion)
        return last

    def loaded(self) -> list[str]:
        names = {model.id: model.name for model in self.backend.state.models.list()}
        return [names[id] for id in self.engine.adapters()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    write_project(tmp_path)
    place = Place(tmp_path)
    with place.backend:
        yield place


# adapters -------------------------------------------------------------------------------------------------------


def test_the_least_recently_used_adapter_makes_room(place: Place) -> None:
    place.deploy("one", "two", "three", "four")  # 3 + 3 + 5 + 4 bytes
    place.ask("one")
    place.ask("two")
    place.ask("one")
    assert place.loaded() == ["one", "two"]
    place.ask("three")
    assert place.loaded() == ["one", "three"]
    assert place.ask("two").text == "two: how many?"
    assert [row.loads for row in place.residency.table()] == [2, 1]
    assert (place.residency.loads, place.residency.evictions) == (4, 2)


def test_the_adapter_of_a_running_answer_stays_whatever_the_budget(place: Place) -> None:
    place.deploy("one", "two", "three", "four")
    running = [place.backend.converse(name, record(SYSTEM, "q")) for name in ("one", "two", "three", "four")]
    assert len(place.loaded()) == 4
    assert place.residency.bytes == 15
    place.residency.evict(place.backend.state.models.get("one").id)
    texts = []
    for answer in running:
        *_, last = answer
        assert isinstance(last, Completion)
        texts.append(last.text)
    assert texts == ["one: q", "two: q", "three: q", "four: q"]
    assert place.loaded() == ["three", "four"]
    assert [row.leases for row in place.residency.table()] == [0, 0]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_abandoned_answer_lets_its_adapter_go(place: Place, steps: int) -> None:
    place.deploy("one")
    answer = place.backend.converse("one", record(SYSTEM, "q"), caller="ann")
    for _ in range(steps):
        next(answer)
    assert [row.leases for row in place.residency.table()] == [1]
    answer.close()
    answer.close()
    assert [row.leases for row in place.residency.table()] == [0]
    rows = place.backend.state.usage.list()
    assert [(row.caller, row.output_tokens) for row in rows] == ([("ann", steps)] if steps else [])


def test_an_idle_adapter_is_put_to_sleep_and_wakes_when_asked(place: Place) -> None:
    place.deploy("one", "two")
    place.ask("one")
    place.time.now = 50
    place.ask("two")
    place.time.now = 70
    assert place.backend.sweep() == [place.backend.state.models.get("one").id]
    assert place.loaded() == ["two"]
    assert place.ask("one").text == "one: how many?"


def test_deployments_of_one_model_share_its_adapter(place: Place) -> None:
    place.deploy("one")
    place.backend.create_deployment("one", "other")
    running = place.backend.converse("one", record(SYSTEM, "q"))
    place.ask("other")
    assert (place.residency.loads, len(place.residency.table())) == (1, 1)
    running.close()


def test_a_deployment_is_asked_by_its_id_and_billed_by_its_name(place: Place) -> None:
    place.deploy("one")
    assert place.ask(place.backend.deployment("one").id).text == "one: how many?"
    assert [row.deployment for row in place.backend.state.usage.list()] == ["one"]


def test_an_adapter_that_cannot_be_loaded_leaves_nothing(place: Place) -> None:
    place.deploy("one")
    weights = place.backend.paths.path / place.backend.state.models.get("one").folder / "adapter_model.safetensors"
    text = weights.read_text()
    weights.unlink()
    with pytest.raises(Exception, match="no adapter in"):
        place.ask("one")
    assert place.residency.table() == []
    weights.write_text(text)
    assert place.ask("one").text == "one: how many?"


def test_a_conversation_that_is_refused_loads_nothing(place: Place) -> None:
    place.deploy("one")
    for refused, error in (("x" * CONTEXT, ContextError), ({"messages": []}, DatasetError)):
        with pytest.raises(error):
            place.ask("one", refused)
    assert place.residency.loads == 0
    assert place.backend.state.usage.list() == []


# prefixes and texts ---------------------------------------------------------------------------------------------


def test_a_prefix_that_has_left_memory_comes_back_from_its_file(place: Place) -> None:
    place.deploy("one")
    first = place.ask("one")
    place.engine.forget_prefixes()
    assert place.ask("one").cached_tokens == first.cached_tokens > 0
    place.ask("one")
    moves = [call for call in place.engine.calls if "prefix" in call]
    assert moves == ["save prefix", "load prefix"]


def test_the_tables_do_not_grow_with_new_system_texts(place: Place, tmp_path: Path) -> None:
    place.deploy("one")
    add_dataset(tmp_path)
    for number in range(MOST_TEXTS + 20):
        for deployment in ("one", "base"):
            place.ask(deployment, record(f"text {number}", "q"), max_tokens=1)
    serving = place.backend._serving
    assert serving._prefix.cache_info().currsize == MOST_TEXTS
    assert serving.systems._known.cache_info().currsize == 2
    assert not [call for call in place.engine.calls if "prefix" in call]
    assert list(place.backend.paths.deployment(place.backend.deployment("one").id).iterdir()) == []
    assert not place.backend.paths.deployment("base").exists()


def test_a_foreign_system_text_is_cached_in_memory(place: Place) -> None:
    place.deploy("one")
    asked = record("Answer in French.", "combien?")
    assert [place.ask("one", asked).cached_tokens > 0 for _ in range(2)] == [False, True]


# conversations and the context ----------------------------------------------------------------------------------


def test_a_conversation_goes_on_where_it_was(place: Place) -> None:
    place.deploy("one")
    place.ask("one", "first?")
    more = place.ask("one", conversation(SYSTEM, ["first?", "SELECT 1", "second?"]))
    assert more.text == "one: second?"
    assert more.cached_tokens == place.ask("one", "first?").cached_tokens > 0


def test_an_answer_is_cut_where_the_context_ends(place: Place) -> None:
    place.deploy("one")
    question = "x" * 150
    used = place.backend.count_tokens("one", record(SYSTEM, question))
    cut = place.ask("one", question, max_tokens=10_000)
    assert (cut.output_tokens, cut.stop_reason) == (CONTEXT - used, "max_tokens")
    assert cut.input_tokens == used
    assert place.ask("one", question, max_tokens=5).output_tokens == 5


def test_a_conversation_over_the_context_is_refused_with_both_numbers(place: Place) -> None:
    place.deploy("one")
    for asked in (record("s" * CONTEXT, "q"), record(SYSTEM, "x" * CONTEXT), conversation(SYSTEM, ["x" * 90] * 5)):
        count = place.backend.count_tokens("one", asked)
        for ask in (place.backend.converse, lambda name, one: place.backend.converse_batch(name, [one])):
            with pytest.raises(ContextError, match=f"has {count:,} tokens; the model reads {CONTEXT:,}"):
                ask("one", asked)


def test_a_text_of_megabytes_is_refused_before_it_is_tokenized(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deploy("one")
    monkeypatch.setattr("sqlora.backends.serving.encode", lambda *_: pytest.fail("it was tokenized"))
    for ask in (place.backend.converse, place.backend.count_tokens):
        with pytest.raises(ContextError):
            ask("one", record(SYSTEM, "x" * 2**20))


def test_tokens_are_counted_as_they_are_billed_and_without_an_adapter(place: Place) -> None:
    place.deploy("one")
    for asked in (record(SYSTEM, "q?"), record("", "q?"), conversation("other", ["a", "b", "c"])):
        count = place.backend.count_tokens("one", asked)
        assert place.engine.calls == [] or place.residency.loads
        assert count == place.ask("one", asked).input_tokens
    bare = record("", "q?")
    assert place.backend.count_tokens("one", bare) == place.backend.count_tokens("one", record(SYSTEM, "q?"))
    assert place.backend.count_tokens("base", bare) < place.backend.count_tokens("one", bare)
