"""Jobs of open models over HTTP: what is asked for, stopped, gone on with, fetched and refused.

The container's trainer is a stand-in without torch; the real one is in test_container.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.errors import ConfigError, ConflictError, NotFoundError
from sqlora.platform.jobs import Job
from sqlora.platform.metrics import read_metrics
from sqlora.prompting import record
from sqlora.train.recipe import Recipe
from tests.conformance.cloud import BUCKET
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.unit.backends.sagemaker.container_host import ContainerHost, container_host
from tests.unit.backends.sagemaker.fake_container import COMMAND
from tests.unit.backends.sagemaker.open_place import open_backend, open_project
from tests.wire.clients import boto

RECIPE, FOREVER = Recipe(name="tiny", epochs=3), Recipe(name="long", epochs=1000)


class Enough(Exception):
    pass


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHost]:
    with container_host(tmp_path_factory.mktemp("host"), COMMAND) as running:
        boto(running.url, "s3", s3={"addressing_style": "path"}).create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def request_(tmp_path: Path) -> TrainingRequest:
    return TrainingRequest(add_dataset(tmp_path, held_out=2).id, RECIPE, model_name="retail")


def until(condition: Callable[[Job], bool]) -> Callable[[Job], None]:
    def look(job: Job) -> None:
        if condition(job):
            raise Enough

    return look


def test_the_adapter_becomes_a_local_custom_model(
    host: ContainerHost, tmp_path: Path, request_: TrainingRequest
) -> None:
    project, shown = open_project(tmp_path, host.url), list[Job]()
    with open_backend(project) as backend:
        submitted = backend.submit_training(request_)
        assert (submitted.status, submitted.model_id, submitted.backend) == ("InProgress", None, "sagemaker")
        with pytest.raises(ConflictError, match="'retail'"):
            backend.submit_training(request_)
        job = backend.wait(submitted.id, shown.append)
        assert job.status == "Completed", job.failure_message
        assert "begins" in [each.progress.get("message") for each in shown]
        assert backend.models() == []  # it is here, not there
        assert backend.matching_job(request_) == job
        with pytest.raises(ConflictError, match="'retail'"):
            backend.submit_training(request_)
    lines = read_metrics(project.paths.job(job.id))
    assert [(line["step"], line["steps"], line["loss"]) for line in lines if line["step"]] == [
        (1, 3, 1.0), (2, 3, 0.5), (3, 3, 1 / 3),
    ]  # fmt: skip
    with LocalBackend(project) as local:
        model = local.state.models.get("retail")
        assert (model.id, model.status, model.train_loss, model.validation_loss) == (job.model_id, "Active", 0.5, 0.75)
        folder = project.paths.path / model.folder
        files = ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
        assert sorted(file.name for file in folder.iterdir()) == files
        manifest = json.loads((folder / "manifest.json").read_text())
        assert (manifest["system"], manifest["model_id"], manifest["base_model"]) == (SYSTEM, job.model_id, "other/hub")


def test_what_is_asked_for(host: ContainerHost, tmp_path: Path, request_: TrainingRequest) -> None:
    project = open_project(tmp_path, host.url, 'spot = true\nmax_hours = 2\nimage = "12/mine:1"\ninstance = "ml.g5.2xlarge"')
    with open_backend(project) as backend:
        job = backend.submit_training(request_)
        backend.wait(job.id)
    params = next(each.params for name, each in host.jobs.items() if name.endswith(job.id))
    assert params["AlgorithmSpecification"]["TrainingImage"] == "12/mine:1"
    assert params["EnableManagedSpotTraining"] is True
    assert params["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert params["ResourceConfig"]["InstanceType"] == "ml.g5.2xlarge"
    assert {tag["Key"]: tag["Value"] for tag in params["Tags"]} == {
        "sqlora:project": "larkspur-markets",
        "sqlora:id": job.id,
    }
    channels = [each["ChannelName"] for each in params["InputDataConfig"]]
    assert channels == ["train", "validation", "job", "code"]
    s3 = boto(host.url, "s3", s3={"addressing_style": "path"})
    heads = [s3.head_object(Bucket=BUCKET, Key=key) for key in keys(host) if "/code/" in key]
    assert [head["ServerSideEncryption"] for head in heads] == ["AES256"] * len(heads)


def test_a_stopped_job_goes_on_from_its_checkpoint_and_all_of_it_can_be_taken_away(
    host: ContainerHost, tmp_path: Path, request_: TrainingRequest
) -> None:
    project, request = open_project(tmp_path, host.url), replace(request_, recipe=FOREVER)
    with open_backend(project) as backend:
        job = backend.submit_training(request)
        with pytest.raises(Enough):
            backend.wait(job.id, until(lambda job: (job.progress.get("step") or 0) >= 5))
        backend.stop(job.id)
        stopped = backend.wait(job.id)
        assert (stopped.status, stopped.model_id) == ("Stopped", None)
        with pytest.raises(NotFoundError):
            backend.model("retail")
        assert backend.matching_job(request) == stopped
        resumed = backend.resume(job.id)
        assert (resumed.id, resumed.status, resumed.ended_at) == (job.id, "InProgress", None)
        with pytest.raises(Enough):
            backend.wait(job.id, until(lambda job: "goes on from" in str(job.progress.get("message"))))
        backend.stop(job.id)
        assert backend.wait(job.id).status == "Stopped"
        assert len([name for name in host.jobs if job.id in name]) == 2
        assert backend.state.ledger.get(job.id).details["billable"] == {"1": 600, "2": 600}
        assert [key for key in keys(host) if job.name in key]
        for resource in backend.resources():
            backend.remove(resource)
        assert backend.resources() == []
        assert [key for key in keys(host) if job.name in key] == []


def test_why_a_training_failed_comes_back_and_its_name_is_free(
    host: ContainerHost, tmp_path: Path, request_: TrainingRequest
) -> None:
    with open_backend(open_project(tmp_path, host.url)) as backend:
        job = backend.submit_training(replace(request_, model_name="breaks"))
        ended = backend.wait(job.id)
        assert (ended.status, ended.failure_message) == ("Failed", "AlgorithmError: the loss is nan at step 2")
        again = backend.submit_training(replace(request_, model_name="breaks"))
        assert backend.wait(again.id).status == "Failed"


@pytest.mark.parametrize(
    ("more", "changes", "said"),
    [
        ("", {"recipe": Recipe(name="nova")}, "the recipe nova"),
        ("recipe = { run = {} , training_config = {} }", {}, "is for Nova"),
        ("", {}, r"ml\.g5\.48xlarge has 8 GPUs, and \[train\] processes = 1"),
    ],
)
def test_what_does_not_go_with_an_open_model_is_refused(
    host: ContainerHost, tmp_path: Path, request_: TrainingRequest, more: str, changes: dict[str, Any], said: str
) -> None:
    with open_backend(open_project(tmp_path, host.url, more)) as backend:
        with pytest.raises(ConfigError, match=said) as caught:
            backend.submit_training(replace(request_, **changes))
        assert caught.value.next_step
        assert backend.jobs() == []
        with pytest.raises(ConfigError, match="open model"):
            list(backend.converse("base", record(SYSTEM, "?")))


def test_the_bill_is_the_most_that_the_time_limit_allows(
    host: ContainerHost, tmp_path: Path, request_: TrainingRequest
) -> None:
    with open_backend(open_project(tmp_path, host.url, 'max_hours = 2\ninstance = "ml.g5.2xlarge"')) as backend:
        bill = backend.estimate(request_)
    assert (bill.name.endswith("at most ([aws] max_hours)"), bill.total) == (True, Decimal("3.030"))


def keys(host: ContainerHost) -> list[str]:
    s3 = boto(host.url, "s3", s3={"addressing_style": "path"})
    return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
