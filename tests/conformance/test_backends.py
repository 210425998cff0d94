"""Every backend through one suite: what `sqlora.backends.base` says and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sqlora.backends.base import Backend, TrainingRequest
from sqlora.backends.bedrock import BedrockBackend
from sqlora.backends.everywhere import Everywhere
from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConfigError, ConflictError, ContextError, NotFoundError, SqloraError
from sqlora.platform.jobs import Job
from sqlora.prompting import conversation, record
from sqlora.train.recipe import Recipe, load_recipe
from tests.conformance.cloud import cloud
from tests.conformance.workplace import SYSTEM, add_dataset, open_backend, write_project

QUESTION = record(SYSTEM, "how many regions?")


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    return add_dataset(tmp_path, held_out=2).id


@dataclass(frozen=True)
class Kind:
    """A backend to judge. ``open`` makes one over a project in the folder; ``endless`` changes the request to one whose
    job goes on until it is stopped.
    """

    open: Callable[[Path], AbstractContextManager[Backend]]
    endless: dict[str, object] = field(default_factory=dict)


def local(folder: Path) -> AbstractContextManager[Backend]:
    write_project(folder)
    backend, _ = open_backend(folder)
    return backend


@contextmanager
def everywhere(folder: Path) -> Iterator[Everywhere]:
    """All backends as one, of a project that trains here."""
    write_project(folder)
    backend, _ = open_backend(folder)
    with Everywhere(backend.project, backend) as opened:
        yield opened


@contextmanager
def everywhere_on_bedrock(folder: Path) -> Iterator[Everywhere]:
    """The same of a project that trains on bedrock."""
    with cloud(BedrockBackend, folder) as bedrock:
        backend, _ = open_backend(folder)
        with Everywhere(bedrock.project, backend, {"bedrock": bedrock}) as opened:
            yield opened


WAITS = {"model_name": "retail-waits"}  # tests.wire.training: the server's workers go by the model's name
KINDS = {
    "local": Kind(local, {"recipe": Recipe(epochs=1000)}),
    "bedrock": Kind(lambda folder: cloud(BedrockBackend, folder), WAITS),
    "sagemaker": Kind(lambda folder: cloud(SageMakerBackend, folder), WAITS),
    "everywhere": Kind(everywhere, {"recipe": Recipe(epochs=1000)}),
    "everywhere on bedrock": Kind(everywhere_on_bedrock, WAITS),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def backend(kind: Kind, tmp_path: Path) -> Iterator[Backend]:
    with kind.open(tmp_path) as opened:
        yield opened


def training(dataset: str, **changes: object) -> TrainingRequest:
    request = TrainingRequest(dataset, load_recipe("nova", {"epochs": 3}), model_name="retail")
    return replace(request, **changes)  # type: ignore[arg-type]


def until(backend: Backend, id: str, condition: Callable[[Job], bool], seconds: float = 60.0) -> Job:
    deadline = time.monotonic() + seconds
    while not condition(job := backend.job(id)):
        assert time.monotonic() < deadline, f"waited in vain; last: {job}"
        time.sleep(0.02)
    return job


def trained(backend: Backend, dataset: str, **changes: object) -> Job:
    return until(backend, backend.submit_training(training(dataset, **changes)).id, lambda job: job.ended)


def answer(backend: Backend, deployment: str) -> Completion:
    *_, last = backend.converse(deployment, QUESTION)
    assert isinstance(last, Completion)
    return last


def test_from_dataset_to_answer(backend: Backend, dataset: str) -> None:
    job = trained(backend, dataset)
    assert (job.status, job.model_name, job.dataset_id) == ("Completed", "retail", dataset)
    assert job.model_id is not None
    deployment = backend.create_deployment("retail", "shop")
    assert backend.deployment("shop") == backend.deployment(deployment.id) == deployment
    assert (deployment.status, deployment.model_id) == ("Active", job.model_id)
    *deltas, last = backend.converse("shop", QUESTION, Sampling(max_tokens=8))
    assert isinstance(last, Completion)
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == last.text
    assert last.text != answer(backend, "base").text


def test_a_batch_is_the_single_answers_in_their_order(backend: Backend) -> None:
    records = [record(SYSTEM, f"question {number}?") for number in range(5)]
    alone = []
    for asked in records:
        *_, last = backend.converse("base", asked)
        assert isinstance(last, Completion)
        alone.append(last.text)
    assert [completion.text for completion in backend.converse_batch("base", records)] == alone
    assert backend.converse_batch("base", []) == []


def test_a_conversation_is_answered_as_a_whole(backend: Backend) -> None:
    asked = conversation(SYSTEM, ["how many regions?", "SELECT 1", "and how many stores?"])
    [together] = backend.converse_batch("base", [asked])
    *_, last = backend.converse("base", asked)
    assert isinstance(last, Completion)
    assert last.text == together.text
    assert last.input_tokens == together.input_tokens > answer(backend, "base").input_tokens


def test_what_is_too_long_for_the_model_is_refused(backend: Backend) -> None:
    with pytest.raises(ContextError, match="tokens"):
        list(backend.converse("base", record(SYSTEM, "how many regions? " * 100_000)))


def test_a_stopped_job_makes_no_model(backend: Backend, dataset: str, kind: Kind) -> None:
    job = backend.submit_training(training(dataset, **kind.endless))
    assert backend.stop(job.id).status in ("Stopping", "Stopped")
    stopped = until(backend, job.id, lambda job: job.ended)
    assert (stopped.status, stopped.model_id) == ("Stopped", None)
    with pytest.raises(ConflictError):
        backend.stop(job.id)
    with pytest.raises(NotFoundError):
        backend.create_deployment(job.model_name)


def test_a_model_name_is_promised_once(backend: Backend, dataset: str, kind: Kind) -> None:
    running = backend.submit_training(training(dataset, **kind.endless))
    with pytest.raises(ConflictError, match=f"'{running.model_name}'"):
        backend.submit_training(training(dataset, **kind.endless))
    backend.stop(running.id)
    until(backend, running.id, lambda job: job.ended)


def test_what_a_backend_cannot_train_is_refused_before_it_costs_anything(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"7 training records; it takes (at least )?8"):
        backend.submit_training(training(add_dataset(tmp_path, count=7).id))
    with pytest.raises(NotFoundError, match="no dataset"):
        backend.submit_training(training("nowhere00000"))


def test_the_same_deployment_twice_is_one(backend: Backend, dataset: str) -> None:
    trained(backend, dataset)
    trained(backend, dataset, model_name="other")
    first = backend.create_deployment("retail", "shop")
    assert backend.create_deployment("retail", "shop") == first
    with pytest.raises(ConflictError, match="'shop'"):
        backend.create_deployment("other", "shop")


def test_deleting_goes_from_deployment_to_model(backend: Backend, dataset: str) -> None:
    trained(backend, dataset)
    backend.create_deployment("retail", "shop")
    answer(backend, "shop")
    with pytest.raises(ConflictError, match="is deployed as shop"):
        backend.delete_model("retail")
    backend.delete_deployment("shop")
    with pytest.raises(NotFoundError):
        backend.deployment("shop")
    with pytest.raises(NotFoundError):
        answer(backend, "shop")
    backend.delete_model("retail")
    with pytest.raises(NotFoundError):
        backend.create_deployment("retail", "shop")


def test_what_there_is_is_listed_and_says_where_it_is(backend: Backend, dataset: str) -> None:
    assert (backend.jobs(), backend.models(), backend.deployments()) == ([], [], [])
    job, other = trained(backend, dataset), trained(backend, dataset, model_name="other")
    deployment = backend.create_deployment("retail", "shop")
    assert [found.id for found in backend.jobs()] == [other.id, job.id]
    assert {found.name: found.id for found in backend.models()} == {"retail": job.model_id, "other": other.model_id}
    assert backend.deployments() == [deployment]
    model = backend.model("retail")
    assert model == backend.model(model.id)
    assert model.status == "Active"
    name = backend.capabilities.backend
    assert {job.backend, model.backend, deployment.backend} == {name}
    assert (model.arn is None) == (name == "local")


def test_the_same_request_again_finds_its_job(backend: Backend, dataset: str) -> None:
    assert backend.matching_job(training(dataset)) is None
    job = trained(backend, dataset)
    found = backend.matching_job(training(dataset, model_name=None))
    assert found is not None
    assert (found.id, found.status) == (job.id, "Completed")
    assert backend.matching_job(training(dataset, recipe=load_recipe("nova", {"epochs": 2}))) is None


def test_waiting_shows_changes_and_comes_back_with_the_end(backend: Backend, dataset: str) -> None:
    seen: list[Job] = []
    job = backend.wait(backend.submit_training(training(dataset)).id, seen.append)
    assert (job.status, job.ended, backend.job(job.id)) == ("Completed", True, job)
    assert seen
    assert all(shown.id == job.id for shown in seen)
    assert backend.wait(job.id).status == "Completed"  # nothing to wait for any more


def test_an_ended_job_can_be_forgotten_and_its_model_stays(backend: Backend, dataset: str, kind: Kind) -> None:
    job = trained(backend, dataset)
    assert backend.delete_job(job.id).id == job.id
    with pytest.raises(NotFoundError):
        backend.job(job.id)
    assert backend.model("retail").id == job.model_id
    running = backend.submit_training(training(dataset, **{"model_name": "second", **kind.endless}))
    with pytest.raises(ConflictError):
        backend.delete_job(running.id)
    backend.stop(running.id)
    until(backend, running.id, lambda job: job.ended)


def test_there_is_a_bill_where_there_is_something_to_pay(backend: Backend, dataset: str) -> None:
    bill = backend.estimate(training(dataset))
    assert (bill is not None) == backend.capabilities.billed
    assert bill is None or (bill.total is not None and bill.total > 0 and bill.lines)


@pytest.mark.parametrize(
    "call",
    [
        lambda backend: backend.job("nowhere"),
        lambda backend: backend.wait("nowhere"),
        lambda backend: backend.resume("nowhere"),
        lambda backend: backend.delete_job("nowhere"),
        lambda backend: backend.model("nowhere"),
        lambda backend: backend.system("nowhere"),
        lambda backend: backend.stop("nowhere"),
        lambda backend: backend.create_deployment("nowhere"),
        lambda backend: backend.deployment("nowhere"),
        lambda backend: backend.delete_deployment("nowhere"),
        lambda backend: backend.delete_model("nowhere"),
        lambda backend: list(backend.converse("nowhere", QUESTION)),
        lambda backend: backend.converse_batch("nowhere", [QUESTION]),
    ],
)
def test_what_is_not_there_is_not_found_and_says_what_to_do(
    backend: Backend, call: Callable[[Backend], object]
) -> None:
    with pytest.raises(NotFoundError, match="nowhere") as caught:
        call(backend)
    assert isinstance(caught.value, SqloraError)
    assert caught.value.next_step
