"""One request's connection: its body within bounds, and word of a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Message, Receive, Scope, Send

from sqlora.serve.auth.sigv4 import Request
from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.response import Response

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class Connection:
    """What ASGI hands over, read and written in order: `body`, then work within `watching`, then an answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request = Request.of(scope)
        self.receive, self._send = receive, send
        self._gone = asyncio.Event()
        self.answered = False

    async def body(self, most: int) -> bytes:
        """The whole body; AwsError (413) over ``most`` bytes, ClientGone."""
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
            size += len(chunks[-1])
            if size > most:
                raise AwsError("RequestEntityTooLargeException", f"The request's body has more than {most:,} bytes.")
        return b"".join(chunks)

    async def disconnected(self) -> bool:
        """Whether the client has gone, as far as `watching` has heard."""
        return self._gone.is_set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Listen for the client going away; the body has been read."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            await _end(watch)

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def attended(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; when the client goes first, it is cancelled and ClientGone raised."""
        task = asyncio.create_task(work)
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGone
            return task.result()
        finally:
            await _end(gone)
            await _end(task)

    async def respond(self, response: Response) -> None:
        """Send a whole response."""
        await self.start(response.status, {**response.headers, "content-length": str(len(response.body))})
        await self.write(response.body, more=False)

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """Send status and headers; `write` follows."""
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def send(self, message: Message) -> None:
        """ASGI's ``send``, which notes that an answer has begun."""
        self.answered = self.answered or message["type"] == "http.response.start"
        await self._send(message)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel the task unless it is done, and wait until it is: what it must still do, it does."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
