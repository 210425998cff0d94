"""A server that ends, or is killed, and the next one on the same project. S3 is another server's, which stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sqlora.errors import BusyError
from sqlora.platform.state import State
from tests.wire.clients import KEY, SECRET, boto, code_of, hang_up
from tests.wire.live import Live, live, until
from tests.wire.shop import Shop, job_request, open_shop, training_request, user
from tests.wire.test_bedrock_jobs import in_training
from tests.wire.training import GO, ROOT


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture(autouse=True)
def elsewhere(store: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is where the environment says, as for any program of AWS's."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": store.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


def test_an_orderly_end_and_the_next_server(tmp_path: Path) -> None:
    request = job_request("rest-waits", customModelName="rest-waits", clientRequestToken="once")
    with live(tmp_path) as first:
        shop = Shop(first)
        job = shop.bedrock.create_model_customization_job(**request)["jobArn"]
        shop.training_job("queued")
        first.at_work(job[-12:])
        kept = shop.active("kept", shop.model("kept"))
        with pytest.raises(BusyError, match="runs already"):
            Live(tmp_path, {"port": 0}).start()
    with live(tmp_path) as second:
        shop = Shop(second)
        assert shop.bedrock.get_model_customization_job(jobIdentifier=job)["status"] == "InProgress"
        assert shop.bedrock.create_model_customization_job(**request)["jobArn"] == job
        assert shop.runtime.converse(modelId=kept, messages=user("?"))["stopReason"] == "end_turn"
        second.let_go(job[-12:])
        done = shop.ended(job)
        assert done["status"] == "Completed"
        assert shop.trained("queued")["TrainingJobStatus"] == "Completed"
        answer = shop.runtime.converse(modelId=shop.active("rest", done["outputModelArn"]), messages=user("?"))
        assert answer["output"]["message"]["content"][0]["text"] == "rest-waits: ?"


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own, and its URL."""
    command = [sys.executable, "-m", "tests.wire.process", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as made:
        try:
            assert made.stdout is not None
            url = made.stdout.readline().strip()
            assert url, "the server has not started"
            yield made, url
        finally:
            made.kill()


def state_of(folder: Path) -> Any:
    return State(folder / ".sqlora" / "state.db")


def test_killed_with_a_job_at_work_and_a_client_in_the_middle_of_its_answer(tmp_path: Path) -> None:
    with process(tmp_path) as (server, url):
        bedrock, runtime = boto(url, "bedrock"), boto(url, "bedrock-runtime")
        name = "killed-waits"
        job = bedrock.create_model_customization_job(**job_request(name, customModelName=name))["jobArn"]
        until(lambda: in_training(bedrock, job))
        for _ in range(3):
            runtime.converse(modelId="base", messages=user("?"))
        stream = runtime.converse_stream(modelId="base", messages=user("drip " * 50))["stream"]
        assert next(iter(stream))
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        stream.close()
        hang_up(url)
    with state_of(tmp_path) as state:
        assert len(state.usage.list()) >= 3  # each was written before its answer ended
    with process(tmp_path) as (server, url):
        bedrock = boto(url, "bedrock")
        assert bedrock.get_model_customization_job(jobIdentifier=job)["status"] == "InProgress"
        (tmp_path / ".sqlora" / "jobs" / job[-12:] / GO).touch()

        def completed() -> bool:
            status: str = bedrock.get_model_customization_job(jobIdentifier=job)["status"]
            assert status in ("InProgress", "Completed")
            return status == "Completed"

        until(completed)
        stopped = boto(url, "sagemaker")
        stopped.create_training_job(**training_request("later-waits"))
        stopped.stop_training_job(TrainingJobName="later-waits")
        until(lambda: stopped.describe_training_job(TrainingJobName="later-waits")["TrainingJobStatus"] == "Stopped")
        assert code_of(bedrock, "StopModelCustomizationJob", jobIdentifier=job) == "ConflictException"
        hang_up(url)
        server.terminate()
        assert server.wait(30) == 0
