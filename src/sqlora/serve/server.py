"""The process: one server a project, listening until it is told to stop; what it began goes on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served, open_base
from sqlora.engines.residency import Residency
from sqlora.errors import ConfigError
from sqlora.platform.keys import Keys
from sqlora.project import Project
from sqlora.serve.app import Application, build
from sqlora.serve.edge.connection import HEAD_BYTES, Connection
from sqlora.serve.running import announced, new_token, only_server
from sqlora.settings import ServeSection

logger = logging.getLogger("sqlora.serve")

GRACE_SECONDS = 10.0  # for answers under way, when told to stop
KEEP_ALIVE_SECONDS = 75  # SDKs keep connections for a minute
SWEEP_SECONDS = 5.0


@dataclass(frozen=True)
class Listening:
    """Where the server answers: ``url`` to ask it from this machine; ``environment`` makes SDKs do so; ``keys`` tells
    whether they need the secrets of one. ``stop`` ends it as SIGTERM does, from any thread."""

    url: str
    environment: Mapping[str, str]
    keys: bool
    stop: Callable[[], None]


def run(
    project: Project,
    ready: Callable[[Listening], None] = lambda listening: None,
    *,
    open_base: Callable[[str], Served] = open_base,
    worker_command: Sequence[str] | None = None,
) -> None:
    """Serve ``project`` as its ``[serve]`` says, until SIGTERM or Ctrl-C; ``ready`` hears when it answers.

    ``open_base`` and ``worker_command`` are `LocalBackend`'s.

    BusyError when a server of the project runs already; ConfigError for an address that others can reach while nobody
    has a key, for one that cannot be listened on, and for TLS files that are none.
    """
    settings, token = project.serve, new_token()
    with contextlib.ExitStack() as held:
        held.enter_context(only_server(project.paths))
        residency = Residency(settings.memory_mb * 2**20, settings.idle_minutes * 60)
        backend = held.enter_context(LocalBackend(project, open_base, worker_command, residency=residency))
        check_keys(settings.host, backend.state.keys)
        bound = held.enter_context(contextlib.closing(listen(settings.host, settings.port)))
        url = own_url(bound, settings)
        application = build(backend, url, token, is_loopback(settings.host), worker_command)
        held.callback(application.close)
        config = uvicorn_config(application, settings)
        server = Server(config, application)
        keys = backend.state.keys.any()
        server.ready = lambda: ready(Listening(url, environment(url, settings.aws), keys, server.stop))
        held.enter_context(announced(project.paths, url, token, settings.tls_cert))
        _log_to_stderr()
        server.run([bound])


class Server(uvicorn.Server):
    """Uvicorn's, with this server's beginning and end around it."""

    ready: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self._sweeping: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End `run`, from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, go on with the jobs that the last process left, begin to sweep, and say that it is ready."""
        await super().startup(sockets)
        await asyncio.to_thread(self._application.start)
        self._sweeping = asyncio.create_task(self._sweep())
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the answers under way, or cut them when their time is over, then hang up."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        ending = asyncio.create_task(self._application.place.answering.close(GRACE_SECONDS))
        await super().shutdown(sockets)
        await ending

    async def _sweep(self) -> None:
        """Unload what has been idle: a deployment that nobody asks costs nothing."""
        backend = self._application.place.backend
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, backend.residency.idle_seconds))
            try:
                await asyncio.to_thread(backend.sweep)
            except Exception:
                logger.exception("sweeping failed")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end `run`; uvicorn would raise them again afterwards and so skip what comes after it."""
        try:
            before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread, as in tests: whoever runs it sets should_exit
            yield
            return
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def uvicorn_config(application: Application, settings: ServeSection) -> uvicorn.Config:
    """How uvicorn is to listen; ConfigError for TLS files that are none."""
    tls: dict[str, Any] = {}
    if settings.tls_cert is not None:
        tls = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}
    config = uvicorn.Config(
        application.app,
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(GRACE_SECONDS) + 2,
        h11_max_incomplete_event_size=HEAD_BYTES,
        **tls,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"cannot use {settings.tls_cert} with {settings.tls_key}: {error}", "PEM files") from error
    return config


def check_keys(host: str, keys: Keys) -> None:
    """ConfigError for an address that other machines can reach while nobody holds a key."""
    if not is_loopback(host) and not any(key.status == "Active" for key in keys.list()):
        raise ConfigError(
            f"other machines can reach {host}, and no key keeps them out",
            "sqlora keys create NAME --scope invoke, or --host 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ConfigError says why there cannot be one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(2048)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}", "--port 0") from error
    return made


def own_url(bound: socket.socket, settings: ServeSection) -> str:
    """How this machine reaches the server."""
    host, port = bound.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1" if bound.family == socket.AF_INET else "::1"
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def environment(url: str, aws: bool) -> dict[str, str]:
    """The variables that make AWS's and OpenAI's SDKs ask this server; without S3 here, S3 stays AWS's."""
    services = ("BEDROCK", "BEDROCK_RUNTIME", "SAGEMAKER", "SERVICE_QUOTAS")
    names = ["AWS_ENDPOINT_URL"] if aws else [f"AWS_ENDPOINT_URL_{service}" for service in services]
    return {**dict.fromkeys(names, url), "OPENAI_BASE_URL": f"{url}/v1"}


def _log_to_stderr() -> None:
    """Requests in one line each, and what goes wrong; never a header or a body."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("sqlora")
    if not root.handlers:
        root.addHandler(shown)
        root.setLevel(os.environ.get("SQLORA_LOG", "INFO").upper())
        logging.getLogger("uvicorn.error").addHandler(shown)
        logging.getLogger("uvicorn.error").setLevel("WARNING")
