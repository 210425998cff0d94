"""AWS's two notebooks against the whole server: HTTP, S3, IAM, jobs and deployments are real; only the model echoes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from starlette.types import Receive, Scope, Send

from sqlora.serve.app import Application, build
from tests.conformance.workplace import open_backend, write_project
from tests.unit.platform.fake_training import COMMAND
from tests.unit.serve.live import TOKEN, serving
from tests.wire.judge import watch
from tests.wire.notebook_calls import Outcome
from tests.wire.notebooks import path_a, path_b, sample_rows

PAUSE = 0.05
JUDGED = ("bedrock", "bedrock-runtime", "sagemaker", "service-quotas")


class Session(boto3.Session):
    """boto3's own, the answers its clients get going before the judge."""

    def client(self, service: str, **settings: Any) -> Any:
        made = super().client(service, **settings)
        if service in JUDGED:
            watch(made)
        return made


@pytest.fixture
def session() -> Session:
    return Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name="us-east-1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Application]]:
    """Its URL, and what is behind that."""
    folder: Path = tmp_path_factory.mktemp("project")
    write_project(folder, '[project]\nname = "Larkspur Markets"\n\n[serve]\naws = true\n')
    backend, _ = open_backend(folder)
    built: list[Application] = []

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        await built[0].app(scope, receive, send)

    with backend, serving(front) as url:
        built.append(build(backend, url, TOKEN, True, COMMAND))
        customizations = built[0].place.customizations
        customizations.start()
        try:
            yield url, built[0]
        finally:
            customizations.close()


def check(outcome: Outcome, application: Application, s3: Any) -> None:
    # What an adapter of the fake training says, so it is the tuned model that has answered, and not the base model.
    assert outcome.sql.startswith("weights: ")
    assert "older than" in outcome.sql
    assert outcome.generated == [outcome.sql]
    assert outcome.output_tokens > 0
    assert outcome.judge_error == "ValidationException"  # a model of another provider
    state = application.place.backend.state
    assert state.deployments.list() == []
    assert [model.origin for model in state.models.list() if model.origin != "escrow"] == []
    # Data, metrics, recipe and manifest are all there is in the customer's bucket: nothing that holds a weight.
    found = s3.list_objects_v2(Bucket="sagemaker-us-east-1-123456789012")["Contents"]
    assert {each["Key"].rsplit(".", 1)[-1] for each in found} <= {"jsonl", "csv", "yaml", "json"}


def test_path_a(server: tuple[str, Application], session: Session) -> None:
    url, application = server
    outcome = path_a(session, url, sample_rows(10), PAUSE)
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in outcome.model_arn
    check(outcome, application, session.client("s3", endpoint_url=url))
    callers = {row.caller for row in application.place.backend.state.usage.list()}
    assert callers == {"AKIDEXAMPLE"}


def test_path_b(server: tuple[str, Application], session: Session) -> None:
    url, application = server
    outcome = path_b(session, url, sample_rows(10), PAUSE)
    assert ":custom-model/imported/" in outcome.model_arn
    check(outcome, application, session.client("s3", endpoint_url=url))
