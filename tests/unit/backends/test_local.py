"""What the local backend adds to the Protocol: usage on the books, caches on disk, jobs that are resumed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConflictError, InterruptedRunError, ModelError, TrainingError
from sqlora.platform.spec import JobSpec
from sqlora.prompting import record
from sqlora.train.recipe import Recipe
from tests.conformance.echo import EchoEngine
from tests.conformance.workplace import SYSTEM, add_dataset, add_model, open_backend, write_project

QUESTION = record(SYSTEM, "how many regions?")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[LocalBackend, EchoEngine]]:
    write_project(tmp_path)
    backend, engine = open_backend(tmp_path)
    with backend:
        yield backend, engine


@pytest.fixture
def backend(place: tuple[LocalBackend, EchoEngine]) -> LocalBackend:
    return place[0]


@pytest.fixture
def engine(place: tuple[LocalBackend, EchoEngine]) -> EchoEngine:
    return place[1]


def deploy(backend: LocalBackend, *names: str) -> None:
    for name in names:
        add_model(backend, name)
        backend.create_deployment(name, f"{name}-shop")


def ask(backend: LocalBackend, deployment: str, question: str = "how many regions?") -> Completion:
    *_, last = backend.converse(deployment, record(SYSTEM, question))
    assert isinstance(last, Completion)
    return last


# usage ----------------------------------------------------------------------------------------------------------


def test_usage_is_on_the_books_before_the_completion_comes_out(backend: LocalBackend) -> None:
    deploy(backend, "retail")
    for piece in backend.converse("retail-shop", QUESTION, caller="ann"):
        assert len(backend.state.usage.list()) == isinstance(piece, Completion)
    row = backend.state.usage.list()[0]
    assert (row.deployment, row.caller) == ("retail-shop", "ann")
    assert isinstance(piece, Completion)
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (
        piece.input_tokens,
        piece.output_tokens,
        piece.cached_tokens,
    )
    assert (row.seconds, row.first_token_seconds) == (piece.seconds, piece.first_token_seconds)


def test_an_answer_that_nobody_waits_for_is_on_the_books_too(backend: LocalBackend) -> None:
    stream = backend.converse("base", QUESTION)
    assert [isinstance(next(stream), Delta) for _ in range(3)] == [True] * 3
    stream.close()  # type: ignore[attr-defined]
    row = backend.state.usage.list()[0]
    assert (row.output_tokens, row.input_tokens) == (3, ask(backend, "base").input_tokens)


def test_a_batch_writes_a_row_for_each(backend: LocalBackend) -> None:
    done = backend.converse_batch("base", [record(SYSTEM, "a?"), record(SYSTEM, "bb?")], caller="evaluate")
    rows = backend.state.usage.list()
    assert [row.output_tokens for row in rows] == [done[1].output_tokens, done[0].output_tokens]
    assert {(row.deployment, row.caller) for row in rows} == {("base", "evaluate")}


def test_usage_outlives_the_deployment(backend: LocalBackend) -> None:
    deploy(backend, "retail")
    ask(backend, "retail-shop")
    backend.delete_deployment("retail-shop")
    assert backend.state.usage.summary()[0].deployment == "retail-shop"


# loading --------------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_until_somebody_asks_and_then_once(tmp_path: Path) -> None:
    write_project(tmp_path)
    opened: list[str] = []
    backend, engine = open_backend(tmp_path, opened.append)
    with backend:
        deploy(backend, "one", "two")
        assert opened == engine.calls == []
        answers = [ask(backend, name).text for name in ("one-shop", "two-shop", "base", "one-shop")]
        assert opened == ["smollm2-135m"]
    assert answers == ["one: how many regions?", "two: how many regions?", "base: how many regions?", answers[0]]
    loads = [call for call in engine.calls if call.startswith("load ")]
    assert len(loads) == len(set(loads)) == 2


def test_the_prefix_cache_is_on_disk_for_the_next_process(tmp_path: Path) -> None:
    write_project(tmp_path)
    backend, engine = open_backend(tmp_path)
    with backend:
        deploy(backend, "retail")
        deployment = backend.deployment("retail-shop")
        first, second = ask(backend, "retail-shop"), ask(backend, "retail-shop", "which?")
        assert engine.calls.count("save prefix") == 1
        assert first.cached_tokens == second.cached_tokens > len(SYSTEM)
        assert [file.name for file in backend.paths.deployment(deployment.id).iterdir()] == ["prefix.safetensors"]
    again, engine = open_backend(tmp_path)
    with again:
        assert ask(again, "retail-shop").cached_tokens == first.cached_tokens
        assert "load prefix" in engine.calls
        assert "save prefix" not in engine.calls


def test_another_system_text_is_answered_and_not_kept_on_disk(backend: LocalBackend, engine: EchoEngine) -> None:
    deploy(backend, "retail")
    *_, last = backend.converse("retail-shop", record("Answer in French.", "combien?"))
    assert isinstance(last, Completion)
    assert last.text == "retail: combien?"
    assert "save prefix" not in engine.calls


def test_without_a_system_text_the_deployments_own_is_used(backend: LocalBackend) -> None:
    deploy(backend, "retail")
    *_, bare = backend.converse("retail-shop", record("", "how many regions?"))
    assert isinstance(bare, Completion)
    assert bare.input_tokens == ask(backend, "retail-shop").input_tokens


def test_an_unloaded_deployment_is_loaded_again(backend: LocalBackend, engine: EchoEngine) -> None:
    deploy(backend, "retail")
    ask(backend, "retail-shop")
    backend.unload("retail-shop")
    assert engine.adapters() == ()
    assert ask(backend, "retail-shop").text == "retail: how many regions?"
    assert engine.calls.count("load prefix") == 1


def test_the_base_model_can_be_made_cold_as_well(backend: LocalBackend, engine: EchoEngine, tmp_path: Path) -> None:
    add_dataset(tmp_path)
    ask(backend, "base")
    backend.unload("base")
    assert ask(backend, "base").cached_tokens > 0
    assert (engine.calls.count("save prefix"), engine.calls.count("load prefix")) == (1, 1)


def test_a_cold_start_is_in_the_times(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("sqlora.backends.local.time.perf_counter", lambda: float(next(clock)))
    *_, last = backend.converse("base", QUESTION, Sampling(max_tokens=1))
    assert isinstance(last, Completion)
    assert last.first_token_seconds == pytest.approx(10.001)
    assert last.seconds == pytest.approx(10.002)


def test_an_adapter_stays_loaded_while_any_deployment_uses_it(backend: LocalBackend, engine: EchoEngine) -> None:
    deploy(backend, "retail")
    backend.create_deployment("retail", "office")
    ask(backend, "office")
    backend.delete_deployment("retail-shop")
    assert len(engine.adapters()) == 1
    folder = backend.paths.deployment(backend.deployment("office").id)
    backend.delete_deployment("office")
    assert engine.adapters() == ()
    assert not folder.exists()


# deployments ----------------------------------------------------------------------------------------------------


def test_base_is_asked_by_the_models_own_name_too(backend: LocalBackend) -> None:
    assert ask(backend, "smollm2-135m").text == ask(backend, "base").text
    assert [row.deployment for row in backend.state.usage.list()] == ["base", "base"]


@pytest.mark.parametrize("name", ["base", "smollm2-135m"])
def test_a_deployment_cannot_take_the_base_models_name(backend: LocalBackend, name: str) -> None:
    add_model(backend, "retail")
    with pytest.raises(ConflictError, match="means the untuned base model"):
        backend.create_deployment("retail", name)


def test_a_deployment_is_named_by_the_project_file_or_after_its_model(tmp_path: Path) -> None:
    write_project(tmp_path)
    backend, _ = open_backend(tmp_path)
    with backend:
        add_model(backend, "retail")
        assert backend.create_deployment("retail").name == "retail"
    write_project(tmp_path, '[deploy]\nname = "shop"\n')
    backend, _ = open_backend(tmp_path)
    with backend:
        assert backend.create_deployment("retail").name == "shop"


def test_a_model_that_has_lost_its_file_is_not_deployed(backend: LocalBackend) -> None:
    model = add_model(backend, "retail")
    shutil.rmtree(backend.paths.path / model.folder)
    with pytest.raises(ModelError, match=r"'retail' has lost adapter_model\.safetensors"):
        backend.create_deployment("retail")
    assert backend.state.deployments.list() == []


def test_a_deployment_left_half_made_is_finished(backend: LocalBackend) -> None:
    model = add_model(backend, "retail")
    half = backend.state.deployments.create("shop", model.id)
    with pytest.raises(ConflictError, match="'shop' is Creating"):
        ask(backend, "shop")
    assert backend.create_deployment("retail", "shop").id == half.id
    assert ask(backend, "shop").text == "retail: how many regions?"


def test_deleting_a_model_removes_its_files(backend: LocalBackend) -> None:
    model = add_model(backend, "retail")
    backend.delete_model("retail")
    assert not (backend.paths.path / model.folder).exists()


# the text to ask with -------------------------------------------------------------------------------------------


def test_system_is_that_of_the_training_data_even_when_the_dataset_is_gone(
    backend: LocalBackend, tmp_path: Path
) -> None:
    dataset = add_dataset(tmp_path, system="trained on this")
    job = backend.submit_training(TrainingRequest(dataset.id, Recipe(epochs=1), model_name="retail"))
    backend.wait(job.id)
    shutil.rmtree(dataset.folder)
    backend.create_deployment("retail")
    assert backend.system("retail") == "trained on this"


def test_system_of_the_base_model_is_that_of_the_newest_dataset(backend: LocalBackend, tmp_path: Path) -> None:
    add_dataset(tmp_path, system="the only one")
    assert backend.system() == backend.system("base") == "the only one"


def test_system_without_a_dataset_is_the_projects_dialect_and_schema(tmp_path: Path) -> None:
    import sqlite3

    write_project(tmp_path, '[project]\ndialect = "sqlite"\n[database]\nurl = "sqlite:///x.sqlite"\n')
    with sqlite3.connect(tmp_path / "x.sqlite") as database:
        database.execute("CREATE TABLE region (region_id INTEGER PRIMARY KEY, region_name TEXT)")
    database.close()
    backend, _ = open_backend(tmp_path)
    with backend:
        assert backend.system().endswith("region(region_id, region_name)")


# training -------------------------------------------------------------------------------------------------------


def request(dataset: str, epochs: int = 3, **keywords: object) -> TrainingRequest:
    return TrainingRequest(dataset, Recipe(epochs=epochs), **keywords)  # type: ignore[arg-type]


def test_a_model_is_named_after_the_project_and_numbered(backend: LocalBackend, tmp_path: Path) -> None:
    dataset = add_dataset(tmp_path).id
    names = [backend.wait(backend.submit_training(request(dataset)).id).model_name for _ in range(3)]
    assert names == ["larkspur-markets", "larkspur-markets-2", "larkspur-markets-3"]


def test_the_spec_has_everything_the_worker_needs(backend: LocalBackend, tmp_path: Path) -> None:
    dataset = add_dataset(tmp_path)
    job = backend.wait(backend.submit_training(request(dataset.id, seed=7)).id)
    spec = JobSpec.load(backend.paths.job(job.id))
    assert (spec.base_model, spec.dataset_id, spec.seed) == ("smollm2-135m", dataset.id, 7)
    assert Recipe.model_validate(spec.recipe) == Recipe(epochs=3)
    assert spec.manifest == {
        "model_id": job.model_id,
        "model_name": "larkspur-markets",
        "job_id": job.id,
        "dataset_id": dataset.id,
        "system": SYSTEM,
    }


def test_a_killed_job_is_found_by_its_request_and_resumed(backend: LocalBackend, tmp_path: Path) -> None:
    wanted = request(add_dataset(tmp_path).id, epochs=60)
    assert backend.matching_job(wanted) is None
    job = backend.submit_training(wanted)
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    with pytest.raises(InterruptedRunError, match="was killed"):
        backend.wait(job.id)
    found = backend.matching_job(wanted)
    assert found is not None
    assert found.id == job.id
    assert backend.wait(backend.resume(found.id).id).status == "Completed"
    done = backend.matching_job(wanted)
    assert done is not None
    assert (done.id, done.status) == (job.id, "Completed")
    backend.delete_model(done.model_id or "")
    assert backend.matching_job(wanted) is None


def test_closing_the_backend_stops_its_attached_jobs_and_not_detached_ones(tmp_path: Path) -> None:
    write_project(tmp_path)
    dataset = add_dataset(tmp_path).id
    backend, _ = open_backend(tmp_path)
    with backend:
        attached = backend.submit_training(request(dataset, epochs=900))
        detached = backend.submit_training(request(dataset, epochs=30, detach=True))
    again, _ = open_backend(tmp_path)
    with again:
        assert again.wait(attached.id).status == "Stopped"
        assert again.wait(detached.id).status == "Completed"


def test_a_worker_that_cannot_begin_is_a_failed_job(tmp_path: Path) -> None:
    write_project(tmp_path)
    dataset = add_dataset(tmp_path).id
    backend, _ = open_backend(tmp_path)
    with backend:
        backend._worker_command = ("false",)
        with pytest.raises(TrainingError, match="ended at once"):
            backend.submit_training(request(dataset))
        assert [job.status for job in backend.state.jobs.list()] == ["Failed"]
