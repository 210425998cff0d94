"""Who is asked for what: training by the setting, everything else by the ledger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.backends import everywhere as module
from sqlora.backends.base import Backend, TrainingRequest
from sqlora.backends.everywhere import Everywhere
from sqlora.engines.base import Completion
from sqlora.errors import ConflictError, NotFoundError
from sqlora.project import load_project
from sqlora.prompting import record
from sqlora.train.recipe import Recipe
from tests.conformance.workplace import SYSTEM, add_dataset, add_model, open_backend, write_project
from tests.unit.backends.elsewhere import Another, Elsewhere, Server

QUESTION = record(SYSTEM, "how many regions?")
FAKES = {"bedrock": Elsewhere, "sagemaker": Another, "vllm": Server}


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "tests.unit.backends.elsewhere"
    monkeypatch.setattr(module, "BACKENDS", {name: f"{here}:{fake.__name__}" for name, fake in FAKES.items()})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Everywhere]:
    """A project that trains here."""
    yield from opened(tmp_path)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Everywhere]:
    """One that trains on bedrock."""
    yield from opened(tmp_path, "bedrock")


def opened(folder: Path, backend: str = "local") -> Iterator[Everywhere]:
    write_project(folder, f'[project]\nname = "Larkspur Markets"\n[train]\nbackend = "{backend}"\n')
    local, _ = open_backend(folder)
    with Everywhere(load_project(folder, environ={}), local) as made:
        yield made


def fake(place: Everywhere, name: str = "bedrock") -> Elsewhere:
    found = place.backend(name)
    assert isinstance(found, Elsewhere)
    return found


def request(**changes: str) -> TrainingRequest:
    return TrainingRequest("d1", Recipe(), **changes)  # type: ignore[arg-type]


def text(place: Everywhere, deployment: str) -> str:
    *_, last = place.converse(deployment, QUESTION, caller="test")
    assert isinstance(last, Completion)
    return last.text


def test_it_is_a_backend(place: Everywhere) -> None:
    everywhere: Backend = place
    assert everywhere.capabilities.backend == "local"


def test_who_works_here_only_loads_nothing_of_a_cloud(tmp_path: Path) -> None:
    write_project(tmp_path)
    code = (
        "import sys; from pathlib import Path; from sqlora.project import load_project\n"
        "from sqlora.backends.everywhere import Everywhere\n"
        f"with Everywhere(load_project(Path({str(tmp_path)!r}), environ={{}})) as place:\n"
        "    place.jobs(), place.models(), place.deployments(), place.resources()\n"
        "heavy = ('boto3', 'botocore', 'torch', 'transformers', 'sqlora.backends.bedrock', 'sqlora.backends.vllm')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_goes_to_the_backend_of_the_setting(cloud: Everywhere) -> None:
    job = cloud.submit_training(request(model_name="north"))
    assert (job.backend, cloud.capabilities.backend) == ("bedrock", "bedrock")
    assert cloud.estimate(request()) is not None
    assert cloud.matching_job(request()) == job
    assert cloud.base_model == cloud.project.aws.model
    assert cloud.local.jobs() == []


def test_training_here_has_no_bill(place: Everywhere) -> None:
    assert place.estimate(request()) is None
    assert place.base_model == place.project.train.base_model


def test_the_name_says_who_is_asked(place: Everywhere) -> None:
    add_model(place.local, "here")
    place.create_deployment("here", "south")
    remote = fake(place)
    job = remote.submit_training(request(model_name="there"))
    place.create_deployment("there", "north")
    assert text(place, "north") == "bedrock north"
    assert text(place, "south").startswith("here: ")
    assert remote.calls == ["test asks north"]
    assert place.converse_batch("north", [QUESTION])[0].text == "bedrock north"
    assert (place.system("north"), place.system("south")) == ("the system text of bedrock", SYSTEM)
    assert place.backend_of("north") is remote
    assert (place.model("there").backend, place.model("here").backend) == ("bedrock", "local")
    for id in (job.id, job.name, job.arn or ""):
        assert place.job(id).id == job.id
    place.wait(job.id), place.stop(job.name), place.resume(job.id)
    assert remote.calls[1:] == [f"wait {job.id}", f"stop {job.name}", f"resume {job.id}"]


def test_base_is_the_base_model_of_the_backend_that_trains(cloud: Everywhere) -> None:
    assert text(cloud, "base") == "bedrock base"
    assert text(cloud, cloud.project.train.base_model).startswith("base: ")


def test_base_of_a_project_that_trains_here(place: Everywhere) -> None:
    fake(place)
    assert text(place, "base").startswith("base: ")


def test_lists_are_merged_newest_first(place: Everywhere) -> None:
    add_model(place.local, "one")
    fake(place, "bedrock").make("model", "two")
    add_model(place.local, "three")
    fake(place, "sagemaker").make("model", "four")
    found = place.models()
    assert [model.created_at for model in found] == sorted((model.created_at for model in found), reverse=True)
    assert {(model.name, model.backend) for model in found} == {
        ("one", "local"), ("two", "bedrock"), ("three", "local"), ("four", "sagemaker"),
    }  # fmt: skip
    place.create_deployment("one")
    place.create_deployment("two")
    assert {deployment.backend for deployment in place.deployments()} == {"local", "bedrock"}


def test_what_is_nowhere_is_asked_for_here(place: Everywhere) -> None:
    for ask in (place.job, place.model, place.deployment, place.delete_model, place.delete_deployment, place.stop):
        with pytest.raises(NotFoundError, match="'nowhere'"):
            ask("nowhere")


def test_what_is_gone_elsewhere_leaves_its_name_to_others(place: Everywhere) -> None:
    remote = fake(place)
    remote.make("model", "shop")
    place.delete_model("shop")
    add_model(place.local, "shop")
    assert place.model("shop").backend == "local"


# names ------------------------------------------------------------------------------------------------------------


def test_a_name_of_elsewhere_cannot_be_taken_here(place: Everywhere, tmp_path: Path) -> None:
    remote = fake(place)
    remote.make("model", "larkspur-markets")
    remote.make("deployment", "live", model_id="m")
    remote.make("job", "first", model_name="x")
    dataset = add_dataset(tmp_path)
    for taken in ({"model_name": "larkspur-markets"}, {"job_name": "first"}):
        with pytest.raises(ConflictError, match="exists already, on bedrock"):
            place.submit_training(TrainingRequest(dataset.id, Recipe(epochs=3), **taken))  # type: ignore[arg-type]
    assert place.local.jobs() == []
    job = place.submit_training(TrainingRequest(dataset.id, Recipe(epochs=3)))
    assert job.model_name == "larkspur-markets-2"
    place.wait(job.id)
    with pytest.raises(ConflictError, match="'live' exists already, on bedrock"):
        place.create_deployment(job.model_name, "live")
    with pytest.raises(ConflictError, match="exists already, on bedrock"):
        place.local.import_model("larkspur-markets", tmp_path)


def test_a_name_of_here_cannot_be_taken_elsewhere(cloud: Everywhere) -> None:
    add_model(cloud.local, "here")
    cloud.local.create_deployment("here", "live")
    cloud.state.jobs.create("first", model_name="soon", base_model="b", dataset_id="d", recipe="r")
    for taken in ({"model_name": "here"}, {"model_name": "soon"}, {"job_name": "first"}):
        with pytest.raises(ConflictError, match="exists already, on this machine"):
            cloud.submit_training(request(**taken))
    cloud.submit_training(request(model_name="there"))
    with pytest.raises(ConflictError, match="'live' exists already, on this machine"):
        cloud.create_deployment("there", "live")
    assert cloud.state.ledger.list(kind="deployment") == []


# what crosses backends ---------------------------------------------------------------------------------------------


def test_a_local_model_on_a_server_elsewhere(place: Everywhere) -> None:
    model = add_model(place.local, "here")
    deployment = place.create_deployment("here", "fast", backend="vllm")
    assert (deployment.backend, text(place, "fast")) == ("vllm", "vllm fast")
    with pytest.raises(ConflictError, match="'here' is deployed as fast"):
        place.delete_model(model.id)
    place.delete_deployment("fast")
    place.delete_model(model.id)
    assert place.models() == []


def test_what_uses_a_thing_goes_before_the_thing_whichever_backend_made_it(place: Everywhere) -> None:
    first, second = fake(place, "bedrock"), fake(place, "sagemaker")
    first.make("bucket", "shared")
    first.make("role", "r")
    second.make("object", "manifest")
    second.make("model", "m")
    second.make("deployment", "d", model_id="m")
    first.make("policy", "p")
    first.make("job", "j", model_name="n")
    kinds = [resource.kind for resource in place.resources()]
    assert kinds == ["deployment", "job", "model", "policy", "role", "object", "bucket"]
    for resource in place.resources():
        place.remove(resource)
    assert second.calls == ["remove deployment d", "remove model m", "remove object manifest"]
    assert first.calls[-1] == "remove bucket shared"
    assert place.resources() == []


def test_closing_closes_all_that_were_opened(tmp_path: Path) -> None:
    write_project(tmp_path)
    local, _ = open_backend(tmp_path)
    with Everywhere(load_project(tmp_path, environ={}), local) as place:
        remote = fake(place)
    assert remote.closed
