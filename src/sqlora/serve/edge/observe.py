"""The outermost layer: a note for every request, counted in the metrics and logged in one line when it has ended."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sqlora.serve.edge import notes
from sqlora.serve.edge.metrics import Metrics
from sqlora.serve.edge.notes import Note

logger = logging.getLogger("sqlora.serve.access")

GONE = 499  # as web servers log a client that closed the connection; it is never sent


class Observe:
    """ASGI middleware; the line has no header, body, path or query: those may carry secrets and questions."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and see what becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = notes.begin()
        started = time.perf_counter()
        status = GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.requested(note, status)
            _log(note, status, time.perf_counter() - started)


def _log(note: Note, status: int, seconds: float) -> None:
    logger.info(
        "request=%s service=%s operation=%s status=%d ms=%d caller=%s",
        note.request_id,
        note.protocol or "-",
        note.operation or "-",
        status,
        round(seconds * 1000),
        note.caller or "-",
    )
