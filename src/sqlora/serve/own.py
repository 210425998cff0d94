"""The server's own endpoints: is it alive, is it ready, what does it hold in memory, and Prometheus' metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sqlora import __version__
from sqlora.engines.residency import Resident
from sqlora.errors import NotFoundError, SqloraError
from sqlora.serve.auth.who import Who
from sqlora.serve.aws.call import AwsError
from sqlora.serve.edge.metrics import CONTENT_TYPE, Metrics
from sqlora.serve.edge.notes import note
from sqlora.serve.place import Place

PATHS = ("/health", "/ready", "/metrics", "/sqlora/residency")


def own_api(place: Place, metrics: Metrics, who: Who, open_to_all: bool) -> Starlette:
    """The ASGI app. ``open_to_all``: on loopback; elsewhere all but /health need a key with the scope admin."""

    def guarded(operation: str, answer: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            noted = note()
            noted.protocol, noted.operation = "sqlora", operation
            if not open_to_all:
                try:
                    noted.caller = (await who(request.scope, b"", "admin")).caller
                except AwsError as error:
                    return JSONResponse({"message": error.message}, error.status or 403)
            return await run_in_threadpool(answer)

        return endpoint

    async def health(request: Request) -> Response:
        noted = note()
        noted.protocol, noted.operation = "sqlora", "health"
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", guarded("ready", lambda: _ready(place))),
            Route("/metrics", guarded("metrics", lambda: Response(metrics.text(), media_type=CONTENT_TYPE))),
            Route("/sqlora/residency", guarded("residency", lambda: JSONResponse(residency(place)))),
        ]
    )


def _ready(place: Place) -> Response:
    """Whether a request would be taken now: the state can be read and the server is not stopping."""
    try:
        deployments = len(place.backend.state.deployments.list(status="Active"))
    except SqloraError as error:
        return JSONResponse({"status": "failed", "message": error.message}, 503)
    if place.answering.stopping:
        return JSONResponse({"status": "stopping"}, 503)
    return JSONResponse({"status": "ready", "deployments": deployments})


def residency(place: Place) -> dict[str, Any]:
    """What ``sqlora ps`` shows: the adapters in memory, with the deployments that use them, and the queue."""
    answering, kept = place.answering, place.backend.residency
    now = time.monotonic()  # the clock that `Residency` has by default
    return {
        "version": __version__,
        "base_model": place.backend.project.train.base_model,
        "budget_bytes": kept.budget_bytes,
        "idle_seconds": kept.idle_seconds,
        "waiting": answering.queue.waiting,
        "running": answering.queue.running,
        "loads": kept.loads,
        "evictions": kept.evictions,
        "adapters": [_resident(place, resident, now) for resident in kept.table()],
    }


def _resident(place: Place, resident: Resident, now: float) -> dict[str, Any]:
    state = place.backend.state
    try:
        model = state.models.get(resident.key).name
    except NotFoundError:  # deleted while it is being unloaded
        model = resident.key
    return {
        "model": model,
        "model_id": resident.key,
        "deployments": sorted(found.name for found in state.deployments.list(model_id=resident.key)),
        "bytes": resident.bytes,
        "leases": resident.leases,
        "pinned": resident.pinned,
        "idle_seconds": round(now - resident.last_used, 3),
        "loads": resident.loads,
    }
