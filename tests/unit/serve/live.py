"""A server on a free port of this process, and the clients that ask it: everything below the real model is real."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import boto3
import uvicorn
from botocore.config import Config
from openai import OpenAI
from starlette.types import ASGIApp

from sqlora.platform.admission import FairQueue
from sqlora.platform.quota import Quota
from sqlora.serve.answering import Answering
from sqlora.serve.app import build_app
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.auth.own_keys import OwnKeys
from sqlora.serve.aws.call import Handler
from sqlora.serve.bedrock import runtime
from sqlora.serve.edge.connection import HEAD_BYTES, Connection
from sqlora.serve.edge.metrics import Metrics
from sqlora.serve.place import Place
from sqlora.serve.server import listen
from tests.conformance.workplace import add_model, open_backend, write_project
from tests.wire.judge import watch

TOKEN = "sqlora-own-test"


@contextmanager
def serving(app: ASGIApp, protocol: type[Connection] = Connection) -> Iterator[str]:
    """The URL at which the app answers."""
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        close_clients()
        server.should_exit = True
        thread.join()
        bound.close()


_clients: list[Any] = []


def close_clients() -> None:
    """Hang up; clients keep their connections otherwise."""
    while _clients:
        _clients.pop().close()


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it holds; the time is only how long a broken test takes to fail."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


class Served:
    """A project with the deployments ``retail-shop`` and ``wholesale-shop`` behind a URL, all echoing."""

    def __init__(self, folder: Path, queue: FairQueue | None = None, quota: Quota | None = None) -> None:
        write_project(folder)
        self.backend, self.engine = open_backend(folder)
        for name in ("retail", "wholesale"):
            add_model(self.backend, name)
            self.backend.create_deployment(name, f"{name}-shop")
        self.metrics = Metrics()
        self.queue, self.quota = queue or FairQueue(), quota or Quota()
        self.answering = Answering(self.backend, self.queue, self.quota, self.metrics.answered)
        self.metrics.watch(self.queue, self.backend.residency)
        # no test here trains or touches S3
        self.place = Place(self.backend, self.answering, cast(Any, None), cast(Any, None))
        self.url = ""

    def app(self, handlers: Mapping[tuple[str, str], Handler] | None = None, loopback: bool = True) -> ASGIApp:
        """All protocols; of AWS's, the runtime unless told otherwise."""
        authenticate = Authenticate(OwnKeys(self.backend.state), loopback)
        chosen = runtime.handlers(self.place) if handlers is None else handlers
        return build_app(self.place, chosen, self.metrics, authenticate, TOKEN, loopback)

    def deployment_arn(self, name: str = "retail-shop") -> str:
        """As CreateCustomModelDeployment returns it."""
        return f"arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/{self.backend.deployment(name).id}"

    def rows(self) -> list[Any]:
        """The usage, newest first."""
        return self.backend.state.usage.list()


@contextmanager
def served(folder: Path, **limits: Any) -> Iterator[Served]:
    """It, listening."""
    made = Served(folder, **limits)
    with made.backend, serving(made.app()) as made.url:
        yield made


def boto(url: str, service: str = "bedrock-runtime", key: str = "AKIAEXAMPLE", secret: str = "secret") -> Any:
    """An unmodified client that tries once; every answer it gets is judged by botocore's model."""
    client = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )
    watch(client)
    _clients.append(client)
    return client


def openai(url: str, key: str = "any") -> OpenAI:
    """An unmodified client that tries once."""
    client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)
    _clients.append(client)
    return client
