"""One connection: uvicorn's HTTP/1.1 protocol, which also ends those that stall.

Uvicorn waits for ever for the rest of a request's head and for a client that does not read its answer, so that a few
thousand idle sockets would keep everybody else out (slowloris, CVE-2007-6750 and its kin).
"""

from __future__ import annotations

import asyncio
import sys

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

HEAD_SECONDS = 10.0  # from the first byte of a request's head, or the connection's start, to the head's end
HEAD_BYTES = 32 * 2**10  # a presigned URL has about 2 KiB
READ_SECONDS = 60.0  # the longest that a client may leave its answer unread while more waits to be sent
FAREWELL_SECONDS = 0.5
CONNECTIONS = 1024


class Connection(H11Protocol):
    """Give it to uvicorn as ``http``, with ``h11_max_incomplete_event_size=HEAD_BYTES``."""

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS
    most = CONNECTIONS

    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; a connection too many is dropped at once."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Wait no longer when the head is there; begin to wait when the next one has begun."""
        super().data_received(data)
        self._look_for_head()

    def on_response_complete(self) -> None:
        """The next head may have begun while this answer was on its way."""
        super().on_response_complete()
        self._look_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget_head()
        self._forget_reader()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends. An idle client need not agree to it, as TLS would have it for half a minute."""
        idle = self.cycle is None or self.cycle.response_complete
        super().shutdown()
        if idle and self.scheme == "https":
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The client is not reading: not for ever."""
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._forget_reader()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """With the status that h11 hints at, 431 for a head that is too long."""
        error = sys.exc_info()[1]
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.transport.close()  # an answer is on its way already
            return
        self._refuse(status, msg)

    def _look_for_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self.conn.trailing_data[0] and self._head_timer is None:
            self._wait_for_head()

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _forget_reader(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            self._refuse(408, "The request's head did not come.")

    def _refuse(self, status: int, message: str) -> None:
        body = message.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        head = h11.Response(
            status_code=status, headers=[*headers, (b"connection", b"close")], reason=STATUS_PHRASES[status]
        )
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
