"""What the suite has seen: which operation was asked for, and how each answer ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OK = "success"
OPENAI = "openai"

Outcome = tuple[str, str, str]
"""Service, operation, and `OK` or the error's code."""

SEEN: set[Outcome] = set()
RECORD_FILE = "SQLORA_WIRE_RECORD"  # the environment's name of a file that it is written to at the end

# What the ``openai`` client raises for an HTTP status.
OPENAI_ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


def note(service: str, operation: str, outcome: str) -> None:
    """It has happened."""
    SEEN.add((service, operation, outcome))


def attach(client: Any) -> None:
    """Note every answer that the boto3 ``client`` gets from now on."""
    service = client.meta.service_model.service_name

    def seen(parsed: Mapping[str, Any], model: Any, **others: Any) -> None:
        note(service, model.name, parsed["Error"]["Code"] if "Error" in parsed else OK)

    client.meta.events.register("after-call.*.*", seen)


def openai_hook(response: Any) -> None:
    """The same for the httpx client of an ``openai`` client."""
    status = response.status_code
    error = OPENAI_ERRORS.get(status, "InternalServerError")
    note(OPENAI, openai_operation(response.request), OK if status < 400 else error)


def openai_operation(request: Any) -> str:
    """As the client's method is called."""
    path = request.url.path
    if path.endswith("/chat/completions"):
        return "chat.completions.create"
    return "models.list" if path.endswith("/models") else "models.retrieve"
