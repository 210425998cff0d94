"""The real server in a thread of this process, over a project whose model echoes and whose workers train nothing."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served
from sqlora.engines.residency import Residency
from sqlora.project import load_project
from sqlora.serve.app import Application, build
from sqlora.serve.running import announced, new_token, only_server
from sqlora.serve.server import Server, is_loopback, listen, own_url, uvicorn_config
from tests.conformance.workplace import check_echo, write_project
from tests.wire import clients
from tests.wire.engine import StageEngine
from tests.wire.training import COMMAND, GO

WAIT = 30.0
SLOW, UNFIT = "slow", "unfit"  # in an adapter's weights: its check waits, its check fails


def until(what: Callable[[], Any], seconds: float = WAIT) -> Any:
    """What it returns, once that is true; the time is only how long a broken test takes to fail."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
    return found


class Live:
    """One server. ``backend`` and ``engine`` are what is behind it, for what no client may do."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "sqlora.toml").exists():
            write_project(folder)
        self.folder = folder
        self.engine = StageEngine()
        self.may_check = threading.Event()
        self.application: Application
        self.url, self.token = "", new_token()
        self._project = load_project(folder, {f"serve.{key}": value for key, value in settings.items()}, {})
        self._server: Server | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live")

    @property
    def backend(self) -> LocalBackend:
        return self.application.place.backend

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(WAIT)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """As SIGTERM does."""
        assert self._server is not None
        self._server.stop()

    def end(self) -> None:
        """Stopped, and gone."""
        self.may_check.set()
        self.engine.release()
        clients.hang_up(self.url)
        if self._server is not None:
            self._server.stop()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self.serve(lambda url: self._ready.set())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    def serve(self, ready: Callable[[str], object]) -> None:
        """What `sqlora.serve.server.run` does, but for the model and the worker."""
        project, settings = self._project, self._project.serve
        with ExitStack() as held:
            held.enter_context(only_server(project.paths))
            residency = Residency(settings.memory_mb * 2**20, settings.idle_minutes * 60)
            backend = held.enter_context(
                LocalBackend(project, self._open, COMMAND, residency=residency, check_adapter=self._check)
            )
            bound = held.enter_context(contextlib.closing(listen(settings.host, settings.port)))
            self.url = own_url(bound, settings)
            self.application = build(backend, self.url, self.token, is_loopback(settings.host), COMMAND)
            held.callback(self.application.close)
            server = self._server = Server(uvicorn_config(self.application, settings), self.application)
            server.ready = lambda: ready(self.url)
            held.enter_context(announced(project.paths, self.url, self.token, None))
            server.run([bound])

    def _open(self, name: str) -> Served:
        return Served(self.engine, self.engine.tokenizer)

    def _check(self, folder: Path, base_model: str) -> dict[str, Any]:
        if (folder / "adapter_model.safetensors").read_text(encoding="utf-8") == SLOW:
            assert self.may_check.wait(WAIT)
        return check_echo(folder, base_model)

    def let_go(self, job_id: str) -> None:
        """Let the training of a job go on whose model's name ends in -waits."""
        (self.backend.paths.job(job_id) / GO).touch()

    def at_work(self, job_id: str) -> None:
        """Wait until the job's worker has begun: its row is in the phase of training a moment before."""
        until(lambda: self.backend.state.jobs.get(job_id).progress)

    def tokens(self, *turns: tuple[str, str]) -> int:
        """How many tokens the prompt of a conversation has, counted by the tokenizer."""
        text = self.engine.tokenizer.apply_chat_template([{"role": role, "content": said} for role, said in turns])
        return len(self.engine.tokenizer(text)["input_ids"])


@contextmanager
def live(folder: Path, **settings: Any) -> Iterator[Live]:
    """It, listening; ``settings`` are those of ``[serve]``."""
    made = Live(folder, {"port": 0, **settings})
    made.start()
    try:
        yield made
    finally:
        made.end()


def records(count: int, first: int = 0) -> bytes:
    """Lines of training data."""
    rows = [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": "You write SQL."}],
            "messages": [
                {"role": "user", "content": [{"text": f"question {number}?"}]},
                {"role": "assistant", "content": [{"text": f"SELECT {number}"}]},
            ],
        }
        for number in range(first, first + count)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
