"""Slow and huge clients, over real sockets: they are refused or dropped, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Message, Receive, Scope, Send

from sqlora.serve.auth.signed import is_object_store
from sqlora.serve.edge.connection import HEAD_BYTES, Connection
from sqlora.serve.edge.limits import OTHER_BYTES, RUNTIME_BYTES, Limits, body_limit
from tests.unit.serve.live import serving, until


class Counting:
    """An app that reads the body and answers with its length."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message: Message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        self.sizes.append(size)
        body = str(size).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as opened:
        yield opened


def ask(url: str, head: str, body: bytes = b"") -> tuple[int, bytes]:
    with connected(url) as opened:
        try:
            opened.sendall(head.encode() + b"\r\n\r\n" + body)
        except OSError:
            pass  # refused before all was sent
        return read(opened)


def read(opened: socket.socket) -> tuple[int, bytes]:
    answer = b""
    while chunk := opened.recv(65536):
        answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]) if head else 0), body


def post(path: str, length: int | str, *more: str) -> str:
    size = f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", size, *more])


@pytest.fixture
def app() -> Counting:
    return Counting()


def test_limits_are_by_path() -> None:
    assert body_limit("/model/x/invoke") == RUNTIME_BYTES == 25_000_000
    assert body_limit("/model-customization-jobs") == body_limit("/v1/models") == OTHER_BYTES == 1_000_000
    assert body_limit("/v1/chat/completions") == RUNTIME_BYTES


def test_a_body_within_the_limit_passes_and_one_byte_more_does_not(app: Counting) -> None:
    with serving(Limits(app)) as url:
        assert ask(url, post("/x", OTHER_BYTES), b"x" * OTHER_BYTES) == (200, str(OTHER_BYTES).encode())
        status, body = ask(url, post("/x", OTHER_BYTES + 1), b"x" * (OTHER_BYTES + 1))
        assert status == 413
        assert b"RequestEntityTooLargeException" in body
        assert ask(url, post("/model/m/invoke", OTHER_BYTES + 1), b"x" * (OTHER_BYTES + 1))[0] == 200
    assert app.sizes == [OTHER_BYTES, OTHER_BYTES + 1]


def test_a_body_that_grows_over_the_limit_without_saying_so(app: Counting) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with serving(Limits(app)) as url:
        assert ask(url, post("/x", "chunked"), chunk * 20 + b"0\r\n\r\n")[0] == 413
        assert ask(url, post("/x", "chunked"), chunk * 2 + b"0\r\n\r\n") == (200, b"131072")
    assert app.sizes == [131072]


def test_a_body_that_does_not_come_is_given_up(app: Counting) -> None:
    with serving(Limits(app, body_seconds=0.1)) as url:
        assert ask(url, post("/x", 100), b"only this")[0] == 408
    assert app.sizes == []


def test_all_bodies_together_are_bounded_and_given_back(app: Counting) -> None:
    limited = Limits(app, bodies_bytes=1000)
    with serving(limited) as url:
        assert ask(url, post("/x", 1001), b"x" * 1001)[0] == 503
        for _ in range(3):
            assert ask(url, post("/x", 1000), b"x" * 1000)[0] == 200
    assert limited._held == 0


def test_a_request_too_many_is_refused(app: Counting) -> None:
    with serving(Limits(app, requests=1)) as url, connected(url) as slow:
        slow.sendall((post("/x", 5) + "\r\n\r\n").encode())
        until(lambda: ask(url, post("/x", 1), b"x")[0] == 503)
        slow.sendall(b"12345")
        assert read(slow) == (200, b"5")
        assert ask(url, post("/x", 1), b"x")[0] == 200


S3 = (
    "Authorization: AWS4-HMAC-SHA256 Credential=AK/20261124/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
)


def test_objects_are_passed_on_as_they_come_whatever_their_size(app: Counting) -> None:
    size = OTHER_BYTES * 3
    with serving(Limits(app, is_object_store, bodies_bytes=1)) as url:
        assert ask(url, post("/bucket/key", size, S3), b"x" * size) == (200, str(size).encode())


def test_a_client_that_goes_before_its_body_has_come_leaves_nothing(app: Counting) -> None:
    limited = Limits(app)
    with serving(limited) as url:
        with connected(url) as opened:
            opened.sendall((post("/x", 100) + "\r\n\r\nhalf").encode())
            until(lambda: limited._held)
        until(lambda: limited._running == 0)
    assert (limited._held, app.sizes) == (0, [])


# connections --------------------------------------------------------------------------------------------------------


class Hasty(Connection):
    head_seconds = 0.1
    read_seconds = 0.1
    most = 3


def test_a_head_that_does_not_come_ends_the_connection(app: Counting) -> None:
    with serving(app, Hasty) as url:
        with connected(url) as silent:
            assert read(silent)[0] == 408
        with connected(url) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
            assert read(slow)[0] == 408
    assert app.sizes == []


def test_the_second_head_of_a_connection_has_no_more_time(app: Counting) -> None:
    with serving(app, Hasty) as url, connected(url) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
        status, rest = read(opened)
        assert status == 200
        assert b"408" in rest
    assert app.sizes == [0]


def test_a_body_may_take_longer_than_a_head(app: Counting) -> None:
    with serving(app, Hasty) as url, connected(url) as opened:
        opened.sendall((post("/x", 2) + "\r\n\r\n1").encode())
        time.sleep(0.3)
        opened.sendall(b"2")
        assert read(opened) == (200, b"2")


def test_a_head_that_is_too_long_is_431(app: Counting) -> None:
    with serving(Limits(app)) as url:
        assert ask(url, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "x" * (2 * HEAD_BYTES))[0] == 431
        with connected(url) as opened:
            opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (2 * HEAD_BYTES))
            assert read(opened)[0] == 431
        assert ask(url, "GET / HTTP/1.1\r\nHost: x\r\nno header")[0] == 400
    assert app.sizes == []


def test_connections_are_bounded(app: Counting) -> None:
    with serving(app, Hasty) as url:
        with connected(url) as one, connected(url) as two, connected(url) as three:
            for opened in (one, two, three):
                opened.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            until(lambda: dropped(url))
        until(lambda: ask(url, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close") == (200, b"0"))


def dropped(url: str) -> bool:
    try:
        return ask(url, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close")[0] == 0
    except OSError:
        return True


def test_a_reader_that_stalls_is_dropped() -> None:
    ended: list[Any] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while (await _now(receive)) != "http.disconnect":
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        finally:
            ended.append(True)

    with serving(endless, Hasty) as url, connected(url) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: ended)


async def _now(receive: Receive) -> str:
    try:
        async with asyncio.timeout(0.001):
            return str((await receive())["type"])
    except TimeoutError:
        return ""
