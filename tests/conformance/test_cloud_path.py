"""From a dataset to an answer and back to an empty account: on the server always, on a real account when asked to.

On a real account (hours; a few cents on Bedrock, some dollars on SageMaker):

    SQLORA_TEST_AWS=1 SQLORA_AWS__BUCKET=… SQLORA_AWS__ROLE_ARN=… python -m pytest -m aws tests/conformance

Bucket and roles (SageMaker: SQLORA_AWS__IMPORT_ROLE_ARN as well) are those that ``sqlora doctor --fix`` or ``sqlora aws template`` make; they stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.base import TrainingRequest
from sqlora.backends.bedrock import BedrockBackend
from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import NotFoundError
from sqlora.platform.names import new_id
from sqlora.platform.state import State
from sqlora.project import load_project
from sqlora.prompting import record
from sqlora.train.recipe import load_recipe
from tests.conformance.cloud import cloud
from tests.conformance.workplace import SYSTEM, add_dataset, write_project

REAL = "SQLORA_TEST_AWS"
BACKENDS: dict[str, type[AwsBackend]] = {"bedrock": BedrockBackend, "sagemaker": SageMakerBackend}


@contextmanager
def account(make: type[AwsBackend], folder: Path) -> Iterator[AwsBackend]:
    """A real one: credentials as boto3 finds them, ``[aws]`` from the environment."""
    write_project(folder, f'[project]\nname = "sqlora test {new_id()}"\n[train]\nbackend = "{make.name}"\n')
    project = load_project(folder)
    with State(project.paths.database) as state, make(project, state) as opened:
        yield opened


@pytest.fixture(
    params=[
        pytest.param(cloud, id="server"),
        pytest.param(
            account,
            id="account",
            marks=[pytest.mark.aws, pytest.mark.skipif(REAL not in os.environ, reason=f"{REAL} is not set")],
        ),
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path, make: type[AwsBackend]) -> Iterator[AwsBackend]:
    with request.param(make, tmp_path) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
def make(request: pytest.FixtureRequest) -> type[AwsBackend]:
    return BACKENDS[request.param]


def test_there_and_back(backend: AwsBackend) -> None:
    dataset = add_dataset(backend.project.folder, count=16, held_out=2)
    request = TrainingRequest(dataset.id, load_recipe("nova", {"epochs": 1}))
    bill = backend.estimate(request)
    assert bill is not None
    assert bill.total is not None
    try:
        job = backend.wait(backend.submit_training(request).id)
        assert (job.status, job.failure_message) == ("Completed", None)
        assert backend.matching_job(request) == job
        deployment = backend.create_deployment(job.model_name)
        assert deployment.status == "Active"
        for name in (deployment.name, "base"):
            *deltas, last = backend.converse(name, record(SYSTEM, "question 3?"), Sampling(max_tokens=64))
            assert isinstance(last, Completion)
            assert "".join(piece.text for piece in deltas if isinstance(piece, Delta)) == last.text
            assert 0 < last.first_token_seconds <= last.seconds
        assert {row.deployment for row in backend.state.usage.list()} == {deployment.name, "base"}
    finally:
        for resource in backend.resources():
            backend.remove(resource)
    assert backend.resources() == []
    with pytest.raises(NotFoundError):
        backend.deployment(job.model_name)
    assert backend.account.client("bedrock").list_custom_models(nameContains=job.model_name)["modelSummaries"] == []
