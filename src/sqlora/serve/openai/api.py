"""The routes under ``/v1``: who asks, what is asked, and errors in OpenAI's shape for everything that goes wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sqlora.engines.base import Completion, Delta
from sqlora.serve.auth.who import Who
from sqlora.serve.edge.notes import note
from sqlora.serve.openai import models
from sqlora.serve.openai.chat import Chat
from sqlora.serve.openai.errors import OpenAIError, translate
from sqlora.serve.openai.request import parse
from sqlora.serve.place import Place

Answer = Callable[[Request], Awaitable[Response]]
Pieces = AsyncGenerator[Delta | Completion]
SCOPE = "invoke"


def openai_api(place: Place, who: Who) -> Starlette:
    """The ASGI app; ``who`` knows a caller by the request."""
    api = OpenAIApi(place, who)
    routes = [
        Route("/v1/models", api.guarded("ListModels", api.list_models), methods=["GET"]),
        Route("/v1/models/{id:path}", api.guarded("RetrieveModel", api.model), methods=["GET"]),
        Route("/v1/chat/completions", api.guarded("ChatCompletions", api.chat), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


class OpenAIApi:
    """The endpoints, one method each."""

    def __init__(self, place: Place, who: Who) -> None:
        self._place, self._who = place, who

    def guarded(self, operation: str, answer: Answer) -> Answer:
        """The endpoint for those who may use it; its errors in OpenAI's shape, its request id on every answer."""

        async def endpoint(request: Request) -> Response:
            noted = note()
            noted.operation = operation
            started = time.perf_counter()
            try:
                request.state.identity = await self._who(request.scope, b"", SCOPE)
                noted.caller = request.state.identity.caller
                response = await answer(request)
            except Exception as error:
                response = translate(error, noted.request_id).response()
            response.headers["x-request-id"] = noted.request_id
            response.headers["openai-processing-ms"] = str(round((time.perf_counter() - started) * 1000))
            return response

        return endpoint

    async def list_models(self, request: Request) -> Response:
        """The base model and every deployment."""
        return JSONResponse({"object": "list", "data": await run_in_threadpool(models.all_models, self._place)})

    async def model(self, request: Request) -> Response:
        """One of them."""
        return JSONResponse(await run_in_threadpool(models.model, self._place, request.path_params["id"]))

    async def chat(self, request: Request) -> Response:
        """An answer; the first piece is waited for, so that what is refused has its own status."""
        asked = await run_in_threadpool(parse, await request.body())  # megabytes, at times
        answering = self._place.answering
        name = answering.resolve(asked.model)
        chat = Chat(note().request_id, asked)
        caller, gone = request.state.identity.caller, request.is_disconnected
        pieces = answering.stream(name, asked.conversation(), asked.sampling(), caller, gone, chat.id)
        if not asked.stream:
            return JSONResponse(chat.whole(await _last(pieces)))
        pieces = _from(await anext(pieces), pieces)
        events = chat.events(pieces, lambda error: translate(error, chat.id))
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(_closing(events, pieces), 200, headers, "text/event-stream")


async def _last(pieces: Pieces) -> Completion:
    completion: Completion | None = None
    async for piece in pieces:
        if isinstance(piece, Completion):
            completion = piece
    assert completion is not None  # `Answering.stream` ends with it or raises
    return completion


async def _from(first: Delta | Completion, pieces: Pieces) -> Pieces:
    try:
        yield first
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()


async def _closing(events: AsyncGenerator[str], pieces: Pieces) -> AsyncIterator[str]:
    """Events, and the end of the generation with them: a client that goes away must not leave it running."""
    try:
        async for event in events:
            yield event
    finally:
        await events.aclose()
        await pieces.aclose()


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = OpenAIError(error.status_code, f"{error.detail}: {request.method} {request.url.path}", code="not_found")
    return JSONResponse(refused.body(), error.status_code, headers=error.headers)
