"""Requests as bytes on a socket, and what comes back; whatever takes too long is a failure, not a wait."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

WATCHDOG_SECONDS = 20.0  # no answer here takes one: the model echoes
QUIET_SECONDS = 0.05  # of a server that waits for more of a request
SERVICES = {"bedrock-runtime": "bedrock", "service-quotas": "servicequotas"}  # as credential scopes name them


@dataclass(frozen=True)
class Asked:
    """One HTTP request. ``target`` is path and query as they go on the wire."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def wire(self) -> bytes:
        """All of it, its length true."""
        lines = [self.method.encode() + b" " + self.target + b" HTTP/1.1", b"host: localhost"]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*lines, b"content-length: %d" % len(self.body), b"", self.body])


@dataclass(frozen=True)
class Answer:
    """``status`` 0: the server hung up without one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection to the server that is kept while it can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, asked: Asked) -> Answer:
        """The answer to a request that is whole; TimeoutError from the watchdog."""
        for attempt in (0, 1):
            fresh = self._socket is None
            connection = self._socket = self._socket or self._connect()
            try:
                connection.sendall(asked.wire())
                return self._read(connection, asked.method)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if fresh or attempt:  # a kept connection may have been closed meanwhile
                    return Answer(0, {}, b"")
        raise AssertionError

    def throw(self, data: bytes) -> Answer:
        """What comes back for any bytes at all, on a connection of their own."""
        with self._connect() as connection:
            try:
                connection.sendall(data)
                if not select.select([connection], [], [], QUIET_SECONDS)[0]:
                    connection.shutdown(socket.SHUT_WR)
                return self._read(connection, "GET", keep=False)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, TimeoutError):
                    raise
                return Answer(0, {}, b"")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), WATCHDOG_SECONDS)

    def _read(self, connection: socket.socket, method: str, keep: bool = True) -> Answer:
        answer = http.client.HTTPResponse(connection, method=method)
        try:
            answer.begin()
            body = answer.read()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            if keep and answer.will_close:
                self.close()
            return Answer(answer.status, headers, body)
        finally:
            answer.close()


def signed(service: str) -> tuple[tuple[bytes, bytes], ...]:
    """Headers of a well-formed signature of now, which a server on loopback without keys does not verify."""
    now = datetime.now(UTC)
    scope = f"AKIDEXAMPLE/{now:%Y%m%d}/us-east-1/{SERVICES.get(service, service)}/aws4_request"
    claim = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return ((b"authorization", claim.encode()), (b"x-amz-date", f"{now:%Y%m%dT%H%M%SZ}".encode()))
