"""An unmodified boto3 client whose requests reach the handlers without a network; every answer is judged."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from sqlora.backends.local import LocalBackend
from sqlora.platform import worker
from sqlora.platform.customization import Customizations
from sqlora.platform.models import CustomModel
from sqlora.project import load_project
from sqlora.serve import bedrock
from sqlora.serve.answering import Answering
from sqlora.serve.aws import errors
from sqlora.serve.aws.call import Call, Identity
from sqlora.serve.aws.model import find
from sqlora.serve.aws.request import parse
from sqlora.serve.aws.response import Response, respond
from sqlora.serve.bedrock.activation import Activation
from sqlora.serve.place import ACCOUNT, Place
from tests.conformance.echo import echo_adapter
from tests.conformance.workplace import open_backend, write_project
from tests.unit.platform.fake_training import COMMAND
from tests.unit.platform.memory_objects import MemoryObjects
from tests.unit.platform.test_customization_data import TRAIN, VALIDATION, jsonl
from tests.wire.judge import watch

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Customization"
PROJECT = '[project]\nname = "Larkspur Markets"\n'
WAIT = 60.0


class Raw:
    """What botocore reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


class Wire:
    """A project being served, and a client of it. ``real``: a tiny model is trained, and adapters are checked."""

    def __init__(self, folder: Path, real: bool = False) -> None:
        write_project(folder, '[project]\nname = "larkspur"\n[train]\nbase_model = "./base"\n' if real else PROJECT)
        self.folder, self.real = folder, real
        self.objects = MemoryObjects()
        self.objects.content = {TRAIN: jsonl(8), VALIDATION: jsonl(2, first=100)}
        self.open()

    def open(self) -> None:
        """Also after a `close`: as a server that starts again on the same project."""
        project = load_project(self.folder, environ={})
        self.backend = LocalBackend(project) if self.real else open_backend(self.folder)[0]
        self.state = self.backend.state
        command = None if self.real else COMMAND
        self.customizations = Customizations(
            self.state, self.backend.paths, self.objects, project.train.base_model, 0, command, (0.0,)
        )
        self.activation = Activation(self.backend, self.objects, (0.0, 0.0))
        place = Place(self.backend, cast("Answering", None), self.customizations, self.objects)
        self.handlers = bedrock.handlers(place, self.activation)
        self.customizations.start()

    def close(self) -> None:
        self.activation.close()
        self.customizations.close()
        until = time.monotonic() + 30  # a worker's process ends a moment after its job
        while alive := [job.id for job in self.state.jobs.list() if worker.alive(job)]:
            assert time.monotonic() < until, alive
            time.sleep(0.02)
        self.backend.close()

    def client(self, region: str = "us-east-1") -> Any:
        found = boto3.client(
            "bedrock",
            region_name=region,
            endpoint_url="http://localhost",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )
        found.meta.events.register("before-send.*.*", lambda request, **_: self.send(request, region))
        watch(found)
        return found

    def send(self, request: AWSPreparedRequest, region: str) -> AWSResponse:
        answer = self.answer(request, region)
        return AWSResponse(request.url, answer.status, answer.headers | {"x-amzn-requestid": "r-1"}, Raw(answer.body))

    def answer(self, request: AWSPreparedRequest, region: str) -> Response:
        url = urlsplit(request.url)
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        match = find("bedrock", request.method, url.path, headers)
        assert match is not None
        try:
            body = request.body or b""
            params = parse(match.operation, "rest-json", match.path, url.query, headers, body)
            identity = Identity("tester", "AKIDEXAMPLE")
            call = Call("bedrock", match.operation.name, params, identity, region, ACCOUNT, "r-1")
            output = self.handlers[("bedrock", match.operation.name)](call)
            if inspect.iscoroutine(output):
                output = asyncio.run(output)
            return respond(match.operation, "rest-json", cast("dict[str, Any]", output))
        except Exception as error:
            return errors.respond(errors.translate(error, match.operation, "r-1"), "rest-json")

    def model(self, name: str, text: str | None = None) -> CustomModel:
        """An Active custom model, trained on the command line."""
        found = self.state.models.create(name, base_model=self.backend.project.train.base_model)
        echo_adapter(self.backend.paths.path / found.folder, text or name, system="s")
        return found

    def until(self, what: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.01)
        raise AssertionError("it does not happen")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    found = Wire(tmp_path)
    yield found
    found.close()


@pytest.fixture
def client(wire: Wire) -> Any:
    return wire.client()


def job_request(name: str = "job", **changes: Any) -> dict[str, Any]:
    """The parameters of CreateModelCustomizationJob in AWS's notebook."""
    return {
        "jobName": name,
        "customModelName": f"{name}-model",
        "roleArn": ROLE,
        "baseModelIdentifier": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": TRAIN},
        "validationDataConfig": {"validators": [{"s3Uri": VALIDATION}]},
        "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
        "hyperParameters": {"epochCount": "1", "batchSize": "1", "learningRate": "0.00001"},
        **changes,
    }
