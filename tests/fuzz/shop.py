"""The whole server with everything in it but a model that thinks: the answer to a question is the question."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served
from sqlora.models.base import resolve_base_model
from sqlora.project import Project, load_project
from sqlora.serve.server import Listening, run
from tests.conformance.echo import EchoEngine
from tests.fuzz.wire import Asked, Wire, signed
from tests.process import random_adapter
from tests.tiny import tiny_model
from tests.unit.platform.fake_training import COMMAND

ACCOUNT = "123456789012"
SETTINGS = '[project]\nname = "larkspur"\n[train]\nbase_model = "./base"\n[serve]\naws = true\nport = 0\n'
LIMITS = "requests_per_minute = 1000000000\ntokens_per_minute = 1000000000000\n"


class Quick(EchoEngine):
    """Adapters are files of a real model's, checked as such, and answer with their folder's name."""

    def load_adapter(self, name: str, folder: Path) -> int:
        """Nothing is read."""
        self._adapters[name] = folder.name
        return 1024


class Shop:
    """The server in a thread, and two custom models and deployments for requests to be about."""

    def __init__(self, folder: Path) -> None:
        tiny_model(folder / "base")
        (folder / "sqlora.toml").write_text(SETTINGS + LIMITS)
        self.project: Project = load_project(folder, environ={})
        self.failures: list[BaseException] = []
        self._ready = threading.Event()
        self._listening: Listening | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60), "the server did not start"
        assert self._listening is not None, self.failures
        self.url = self._listening.url
        self.wire = Wire(int(self.url.rsplit(":", 1)[1]))
        s3 = self.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="train.jsonl", Body=b"not a record\n")

    def _run(self) -> None:
        engine = Quick()
        try:
            run(
                self.project, self._listens,
                open_base=lambda name: Served(engine, engine.tokenizer), worker_command=COMMAND,
            )  # fmt: skip
        except BaseException as error:
            self.failures.append(error)
        finally:
            self._ready.set()

    def _listens(self, listening: Listening) -> None:
        self._listening = listening
        self._ready.set()

    def client(self, service: str) -> Any:
        """Of boto3, tried once."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="AKID",
            aws_secret_access_key="secret", config=config,
        )  # fmt: skip

    def stock(self) -> dict[str, list[str]]:
        """Put back what requests have deleted; every way to name what is there, by kind."""
        base = resolve_base_model(str(self.project.folder / "base"))
        found: dict[str, list[str]] = {"model": [], "deployment": [], "job": []}
        with LocalBackend(self.project) as backend:
            known = {model.name for model in backend.state.models.list()}
            deployed = {deployment.name for deployment in backend.state.deployments.list(status="Active")}
            for seed, name in enumerate(("retail", "wholesale")):
                if name not in known:
                    made = backend.state.models.create(name, base_model=base.name)
                    random_adapter(backend.paths.path / made.folder, base, seed, rank=2, system="Write SQL.")
                if f"{name}-shop" not in deployed:
                    backend.create_deployment(name, f"{name}-shop")
            for model in backend.state.models.list()[-3:]:
                where = "imported" if model.origin == "imported" else "amazon.nova-micro-v1:0:128k"
                found["model"] += [model.name, model.id, _arn(f"custom-model/{where}/{model.id}")]
            for deployment in backend.state.deployments.list()[-3:]:
                found["deployment"] += [
                    deployment.name, deployment.id, _arn(f"custom-model-deployment/{deployment.id}"),
                ]  # fmt: skip
            for job in backend.state.jobs.list()[-3:]:
                arn = _arn(f"model-customization-job/amazon.nova-micro-v1:0:128k/{job.id}")
                found["job"] += [job.name, job.id, arn, f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/{job.name}"]
        return found

    def alive(self) -> None:
        """It still answers, and a model with it."""
        assert self._thread.is_alive(), self.failures
        health = self.wire.ask(Asked("GET", b"/health", (), b""))
        assert health.status == 200, health
        body = b'{"messages":[{"role":"user","content":[{"text":"alive?"}]}],"inferenceConfig":{"maxTokens":200}}'
        asked = self.wire.ask(Asked("POST", b"/model/base/converse", signed("bedrock"), body))
        assert asked.status == 200, asked
        assert b"alive?" in asked.body

    def close(self) -> None:
        """Stop the server and see that it ends."""
        self.wire.close()
        assert self._listening is not None
        self._listening.stop()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server does not end"
        assert not self.failures, self.failures


def _arn(rest: str) -> str:
    return f"arn:aws:bedrock:us-east-1:{ACCOUNT}:{rest}"
