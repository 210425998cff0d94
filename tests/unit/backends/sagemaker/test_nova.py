"""Nova's jobs against the server: what is refused before it costs anything, and the ways from training to the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sqlora.backends.base import TrainingRequest
from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.errors import AccountError, ConfigError, ConflictError, DatasetError, SqloraError
from sqlora.platform.state import State
from sqlora.project import load_project
from sqlora.train.recipe import load_recipe
from tests.conformance.cloud import QUICK, account_of, cloud_backend
from tests.conformance.workplace import add_dataset, check_echo
from tests.wire.live import Live, live, until

SMALL = "ml.g5.12xlarge"  # of the 48xlarge an account may have one at a time


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("server"), aws=True) as running:
        yield running


@pytest.fixture
def backend(server: Live, tmp_path: Path) -> Iterator[SageMakerBackend]:
    with cloud_backend(SageMakerBackend, tmp_path, server) as made:
        yield made  # type: ignore[misc]


@pytest.fixture
def request_(tmp_path: Path, request: pytest.FixtureRequest) -> TrainingRequest:
    name = "".join(letter for letter in request.node.name if letter.isalnum())[-30:]
    return TrainingRequest(add_dataset(tmp_path, held_out=2).id, load_recipe("nova"), model_name=name)


def changed(backend: SageMakerBackend, **settings: Any) -> SageMakerBackend:
    """The same project with other settings of ``[aws]``."""
    project = load_project(backend.project.folder, {f"aws.{key}": value for key, value in settings.items()}, {})
    return SageMakerBackend(project, backend.state, account_of(project), polling=QUICK)


def training_jobs(backend: SageMakerBackend, name: str) -> list[str]:
    found = backend.account.client("sagemaker").list_training_jobs(NameContains=name[:20])["TrainingJobSummaries"]
    return [each["TrainingJobName"] for each in found]


def test_what_is_asked_for(backend: SageMakerBackend, request_: TrainingRequest) -> None:
    job = backend.wait(backend.submit_training(request_).id)
    assert job.status == "Completed", job.failure_message
    sagemaker = backend.account.client("sagemaker")
    [name] = training_jobs(backend, request_.model_name or "")
    asked = sagemaker.describe_training_job(TrainingJobName=name)
    assert name.endswith(job.id)
    assert asked["AlgorithmSpecification"]["TrainingImage"].endswith("/nova-fine-tune-repo:SM-TJ-SFT-latest")
    assert asked["HyperParameters"] == {
        "base_model": "nova-micro/prod",
        "sagemaker_recipe_local_path": "/opt/ml/input/data/recipe/recipe.yaml",
    }
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3DataType"] for each in asked["InputDataConfig"]
    }
    assert channels == {"train": "Converse", "validation": "Converse", "recipe": "S3Prefix"}
    assert asked["OutputDataConfig"]["CompressionType"] == "NONE"
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert asked["EnableManagedSpotTraining"] is False
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=job.arn)["Tags"]}
    assert tags == {"sqlora:project": "larkspur-markets", "sqlora:id": job.id}
    model = backend.model(request_.model_name or "")
    assert ":custom-model/imported/" in (model.arn or "")
    assert (model.train_loss, model.validation_loss, job.progress["loss"]) == (0.5, 0.75, 0.5)
    log = (backend.project.paths.job(job.id) / "worker.log").read_text()
    assert "reduced_train_loss=0.5" in log


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"spot": True}, "spare instances"),
        ({"instance": "ml.m5.large"}, "trains on ml.g5.12xlarge"),
        ({"recipe": {"training_config": {"lora_rank": 8}}}, "lora_rank is not a key"),
        ({"model": "amazon.nova-nano-v1:0"}, "amazon.nova-nano-v1:0"),
    ],
)
def test_settings_that_nova_does_not_take(
    backend: SageMakerBackend, request_: TrainingRequest, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        changed(backend, **settings).submit_training(request_)
    assert caught.value.next_step
    assert backend.jobs() == []


def test_a_recipe_out_of_range_or_records_without_validation(
    backend: SageMakerBackend, request_: TrainingRequest, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate = 0.0025; it takes 1e-07 to 0.001"):
        backend.submit_training(replace(request_, recipe=load_recipe("standard")))
    with pytest.raises(DatasetError, match="no validation records"):
        backend.submit_training(replace(request_, dataset_id=add_dataset(tmp_path).id))
    assert (backend.jobs(), training_jobs(backend, request_.model_name or "")) == ([], [])


def test_a_model_name_that_somebody_has_in_the_account(
    backend: SageMakerBackend, request_: TrainingRequest, tmp_path: Path
) -> None:
    first = backend.wait(backend.submit_training(request_).id)
    (tmp_path / "other").mkdir()
    with State(tmp_path / "other" / "state.db") as state:
        stranger = SageMakerBackend(backend.project, state, backend.account, polling=QUICK)
        with pytest.raises(ConflictError, match="exists already in the account"):
            stranger.submit_training(request_)
        assert (stranger.jobs(), stranger.site.rows("model")) == ([], [])
    [name] = training_jobs(backend, request_.model_name or "")
    assert name.endswith(first.id)


def test_over_its_time_it_has_failed_and_says_why(backend: SageMakerBackend, request_: TrainingRequest) -> None:
    hasty = changed(backend, max_hours=1 / 3600, instance=SMALL)
    job = hasty.submit_training(replace(request_, model_name="overdue-waits"))
    ended = hasty.wait(job.id)
    assert ended.status == "Failed"
    assert "max_hours in [aws]" in (ended.failure_message or "")
    assert hasty.matching_job(replace(request_, model_name="overdue-waits")) is None
    with pytest.raises(ConflictError, match="cannot go on with it"):
        hasty.resume(job.id)


class Gate:
    """In place of the server's look at an imported adapter: it waits."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, folder: Path, base_model: str) -> dict[str, Any]:
        assert self.open.wait(60)
        return check_echo(folder, base_model)


def test_while_it_is_imported_the_job_is_not_completed_and_can_be_stopped(
    server: Live, backend: SageMakerBackend, request_: TrainingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(server.backend, "_check_adapter", gate)
    name = request_.model_name or ""
    job = backend.submit_training(request_)
    try:
        until(lambda: backend.job(job.id).progress["phase"] == "import")
        assert backend.job(job.id).status == "InProgress"
        assert [(model.name, model.status) for model in backend.models()] == [(name, "Creating")]
        with pytest.raises(ConflictError, match="Creating"):
            backend.create_deployment(name)
    finally:
        gate.open.set()
    backend.stop(job.id)
    assert backend.wait(job.id).status == "Stopped"
    assert backend.models() == []
    assert backend.account.client("bedrock").list_custom_models(nameContains=name)["modelSummaries"] == []


def test_an_import_that_is_not_allowed_is_an_error_until_it_is(
    backend: SageMakerBackend, request_: TrainingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = backend.submit_training(request_)
    bedrock = backend.account.client("bedrock")

    def denied(**params: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "iam:PassRole"}}, "CreateCustomModel")

    with monkeypatch.context() as refusing:
        refusing.setattr(bedrock, "create_custom_model", denied)
        with pytest.raises(AccountError, match=r"cannot import the custom model .* iam:PassRole") as caught:
            backend.wait(job.id)
        assert f"sqlora jobs watch {job.id}" in str(caught.value.next_step)
        assert backend.jobs()[0].status == "InProgress"
    assert backend.wait(job.id).status == "Completed"
    assert len(training_jobs(backend, request_.model_name or "")) == 1


def test_the_bill_counts_every_instance(backend: SageMakerBackend, request_: TrainingRequest) -> None:
    one = backend.estimate(request_)
    assert one.lines[0].amount == Decimal("5.09")  # a quarter of an hour, the least, at 20.36
    many = changed(backend, instance="ml.p4d.24xlarge").estimate(request_)
    assert "on 2 instances" in many.name
    with pytest.raises(SqloraError):
        backend.estimate(replace(request_, dataset_id="nowhere00000"))
