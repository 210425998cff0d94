"""Who asks, for the protocols that are not AWS's: the same keys, by their bearer token."""

from __future__ import annotations

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.call import AwsError, Identity

OWN = Identity("sqlora ps", "own")


class Who:
    """The caller of a request. ``token`` opens what is the operator's (`sqlora.serve.running`)."""

    def __init__(self, authenticate: Authenticate, token: str) -> None:
        self._authenticate, self._token = authenticate, token.encode()

    async def __call__(self, scope: Scope, body: bytes, required: str) -> Identity:
        """The identity; AwsError when there is none, or when its key lacks the scope ``required``."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if required == "admin" and hmac.compare_digest(given, b"Bearer " + self._token):
            return OWN
        identity = await run_in_threadpool(self._authenticate, scope, body)
        if required not in identity.scopes and "admin" not in identity.scopes:
            raise AwsError("AccessDeniedException", f"the key {identity.key_id} has no scope {required!r}", status=403)
        return identity
