"""Limits against slow and huge clients: size and time of a request's body, and how many requests run at once.

Bodies are read whole before an adaptor sees them (a signature covers all of it, and JSON is read at once anyway), each
within its limit and all together within `BODIES_BYTES`. Only S3's are passed on as they come. Connections, headers and
readers that stall are `sqlora.serve.edge.connection`'s.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sqlora.serve.aws.call import AwsError
from sqlora.serve.edge.connection import HEAD_BYTES
from sqlora.serve.edge.notes import note

RUNTIME_BYTES = 25_000_000  # InvokeModel's body
OTHER_BYTES = 1_000_000
OBJECT_BYTES = 5 * 2**30  # the most that S3 takes in one PUT
BODIES_BYTES = 256 * 2**20  # of all requests in memory together
BODY_SECONDS = 60.0
DRAIN_SECONDS = 5.0
REQUESTS = 512

_RUNTIME_PATHS = ("/model/", "/guardrail/", "/v1/chat/")


class _Refused(AwsError):
    """An `AwsError`, so that an adaptor which is reading the body answers with it in its own form.

    ``coming``: whether more of the body may be on its way.
    """

    def __init__(self, status: int, code: str, message: str, coming: bool = True) -> None:
        super().__init__(code, message, status)
        self.coming = coming


class _Gone(Exception):
    """The client went before its body had come."""


class Limits:
    """ASGI middleware. ``streams`` tells the requests whose bodies are passed on as they come (S3's)."""

    def __init__(
        self,
        app: ASGIApp,
        streams: Callable[[Scope], bool] = lambda scope: False,
        *,
        body_seconds: float = BODY_SECONDS,
        requests: int = REQUESTS,
        bodies_bytes: int = BODIES_BYTES,
    ) -> None:
        self._app, self._streams = app, streams
        self._body_seconds, self._requests, self._bodies_bytes = body_seconds, requests, bodies_bytes
        self._running = self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 408, 413, 431 or 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        self._running += 1
        try:
            await self._pass(scope, receive, watched)
        except _Gone:
            pass
        except _Refused as refused:
            if started:  # too late to say so: a server that sees this ends the connection
                raise
            if refused.coming:
                await self._drain(scope, receive)
            await _answer(refused, send)
        finally:
            self._running -= 1

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _head_bytes(scope) > HEAD_BYTES:
            raise _Refused(431, "RequestHeaderSectionTooLarge", f"the head has more than {HEAD_BYTES:,} bytes")
        if self._running > self._requests:
            raise _Refused(503, "ServiceUnavailableException", f"{self._requests} requests are running already")
        if self._streams(scope):
            await self._app(scope, _Stream(receive, self._body_seconds), send)
            return
        body = await self._read(receive, body_limit(scope["path"]), _content_length(scope))
        size = len(body)
        try:
            await self._app(scope, _Replay(body, receive), send)
        finally:
            self._held -= size

    async def _read(self, receive: Receive, limit: int, declared: int) -> bytes:
        """The body; its bytes are counted as held from now on, until its request is done."""
        if declared > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                more = True
                while more:
                    chunk, more = await _chunk(receive)
                    chunks.append(chunk)
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > limit:
                        raise _too_large(limit, more)
                    if self._held > self._bodies_bytes:
                        raise _Refused(503, "ServiceUnavailableException", "too many requests with large bodies", more)
        except TimeoutError:
            self._held -= size
            raise _too_slow(self._body_seconds) from None
        except BaseException:
            self._held -= size
            raise
        return b"".join(chunks)

    async def _drain(self, scope: Scope, receive: Receive) -> None:
        """Throw away what is still coming, within reason: an answer to a client that is sending often gets lost."""
        if any(name == b"expect" for name, _ in scope["headers"]):
            return  # it waits to be told to send
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                left, more = RUNTIME_BYTES, True
                while more and left > 0:
                    chunk, more = await _chunk(receive)
                    left -= len(chunk)
        except (TimeoutError, _Gone, _Refused):
            pass


class _Replay:
    """``receive`` of a request whose body has been read."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Stream:
    """``receive`` of an object being uploaded: of any size that S3 takes, but never stalling."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive, self._seconds = receive, seconds
        self._left, self._more = OBJECT_BYTES, True

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()
        try:
            async with asyncio.timeout(self._seconds):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(self._seconds) from None
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(OBJECT_BYTES)
        return message


def body_limit(path: str) -> int:
    """The most bytes that the body of a request to this path may have."""
    return RUNTIME_BYTES if path.startswith(_RUNTIME_PATHS) else OTHER_BYTES


def _head_bytes(scope: Scope) -> int:
    """The HTTP parser bounds a head that is not complete yet; one that comes in one piece it takes at any size."""
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])


async def _chunk(receive: Callable[[], Awaitable[Message]]) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise _Gone
    return message.get("body", b""), message.get("more_body", False)


def _content_length(scope: Scope) -> int:
    """What the client says; the HTTP parser has checked that it is a number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _too_large(limit: int, coming: bool = True) -> _Refused:
    return _Refused(413, "RequestEntityTooLargeException", f"the body has more than {limit:,} bytes", coming)


def _too_slow(seconds: float) -> _Refused:
    return _Refused(408, "RequestTimeoutException", f"the body did not come within {seconds:g} seconds", False)


async def _answer(refused: _Refused, send: Send) -> None:
    """In a shape that both AWS's and OpenAI's clients read: nobody has looked yet which protocol it is."""
    error = {"message": refused.message, "type": "invalid_request_error", "param": None, "code": refused.code}
    body = json.dumps({"__type": refused.code, "message": refused.message, "error": error}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", refused.code.encode()),
        (b"x-amzn-requestid", note().request_id.encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refused.status or 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
