"""S3, IAM and STS: requests that are authenticated here, and answered by another app behind it."""

from __future__ import annotations

import hashlib
import hmac
import re

from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope

from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.auth.scopes import require
from sqlora.serve.auth.sigv4 import Claim
from sqlora.serve.aws.call import AwsError, Identity
from sqlora.serve.aws.connection import Connection
from sqlora.serve.edge.limits import OTHER_BYTES

_SHA256 = re.compile(r"[0-9a-f]{64}")


async def admit(
    claim: Claim, scope: Scope, connection: Connection, authenticate: Authenticate
) -> tuple[Identity, Receive]:
    """Who asks, and the ``receive`` from which the other app reads the body; AwsError.

    S3's bodies are not held in memory: a hash that the signature covers is checked as they pass, and one that differs
    is an AwsError instead of the last part, so that nothing comes of it.
    """
    if claim.service == "s3":
        identity = await run_in_threadpool(authenticate, scope, None)
        stated = connection.request.headers.get("x-amz-content-sha256", "")
        passed: Receive = _Hashed(connection.receive, stated) if _SHA256.fullmatch(stated) else connection.receive
    else:
        body = await connection.body(OTHER_BYTES)
        identity = await run_in_threadpool(authenticate, scope, body)
        passed = _Read(body, connection.receive)
    require(identity, claim.service, "*")
    return identity, passed


class _Hashed:
    """``receive`` of a body whose hash was signed."""

    def __init__(self, receive: Receive, stated: str) -> None:
        self._receive, self._stated = receive, stated
        self._hash = hashlib.sha256()

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._hash.update(message.get("body", b""))
            if not message.get("more_body") and not hmac.compare_digest(self._hash.hexdigest(), self._stated):
                raise AwsError("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header is wrong.", 400)
        return message


class _Read:
    """``receive`` of a body that has been read."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return message or await self._receive()
