"""What passes between the AWS wire and a handler: the call, who makes it, and the ways to answer it.

A handler is a function of one `Call`, registered by ``(service, operation)`` (botocore's names: ``("bedrock",
"GetCustomModel")``). It returns the output's members as the model's output shape names them, or an `EventStream`; it
raises `AwsError`, or a `SqloraError`, which `sqlora.serve.aws.errors` translates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCOPES = frozenset({"invoke", "train", "admin"})


@dataclass(frozen=True)
class Identity:
    """Who is asking. ``caller`` is the name on the usage bill, ``key_id`` the id of the key (an access key id)."""

    caller: str
    key_id: str
    scopes: frozenset[str] = SCOPES


async def _stays() -> bool:
    return False


@dataclass(frozen=True)
class Call:
    """One operation asked for, its parameters checked against everything the service model says.

    ``params`` are named as the input shape's members are, timestamps as aware `datetime`, blobs as `bytes`; what the
    client left out is not in it. ``region`` is the one the client signed for; ``headers`` have lower-case names, and
    those with credentials are not among them; ``disconnected`` tells whether the client has gone. ``service`` is the
    model's name: bedrock, bedrock-runtime, sagemaker or service-quotas. A handler may put headers that the model does
    not know into ``response_headers`` (InvokeModel's token counts); they are sent with what it returns, not with an
    error.
    """

    service: str
    operation: str
    params: dict[str, Any]
    identity: Identity
    region: str = "us-east-1"
    account: str = "123456789012"
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    disconnected: Callable[[], Awaitable[bool]] = _stays
    response_headers: dict[str, str] = field(default_factory=dict)


class AwsError(Exception):
    """An error as the client sees it.

    ``code`` is the service's name of it (``ValidationException``); ``status`` is the HTTP status, by default the one
    of the service model's error shape (400 where the model gives none). ``members`` are further members of the error's
    shape (``originalStatusCode`` of ``ModelStreamErrorException``).
    """

    def __init__(
        self, code: str, message: str, status: int | None = None, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


@dataclass(frozen=True)
class EventStream:
    """An answer in events: ``(event name, members of the event's shape)``, such as ``("messageStart", {"role": …})``.

    ``headers`` are members of the output shape that travel as HTTP headers, by their member name (``contentType``).
    An `AwsError` or `SqloraError` raised by the first ``__anext__`` becomes an ordinary error response; one raised
    later, an exception frame. The iterator's ``aclose`` is called when the client goes away.
    """

    events: AsyncIterator[tuple[str, dict[str, Any]]]
    headers: Mapping[str, Any] = field(default_factory=dict)


Answer = dict[str, Any] | EventStream
Handler = Callable[[Call], Answer | Awaitable[Answer]]
"""A coroutine function runs on the event loop; a plain function runs in a worker thread, so that it may wait."""
