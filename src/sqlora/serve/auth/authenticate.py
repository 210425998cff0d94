"""Who is asking: a SigV4 signature or a bearer token, against the project's keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import Scope

from sqlora.errors import FinalError
from sqlora.platform.keys import ApiKey, Keys
from sqlora.serve.auth.sigv4 import Claim, Request, check_time, read_claim, verify
from sqlora.serve.aws.call import AwsError, Identity

# RFC 6750's token68; the longest that the AWS SDKs make, short-term keys around a presigned URL, have about 2,000.
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]{1,8192}=*)")


def _now() -> datetime:
    return datetime.now(UTC)


class Authenticate:
    """Decides who made a request; called in a worker thread, since it reads the keys' table.

    On loopback, while no key was ever made, any well-formed credentials open everything, signatures unverified: the
    caller is then the access key id, or "bearer". Otherwise only a live key does.
    """

    def __init__(self, keys: Keys, loopback: bool, clock: Callable[[], datetime] = _now) -> None:
        self._keys, self._loopback, self._clock = keys, loopback, clock

    def __call__(self, scope: Scope, body: bytes | None = b"") -> Identity:
        """The identity behind an ASGI ``scope`` and its whole ``body`` (None: see `sigv4.verify`).

        Raises AwsError: MissingAuthenticationTokenException without credentials, IncompleteSignatureException for
        malformed ones, UnrecognizedClientException for a key that is unknown, revoked or expired,
        InvalidSignatureException and RequestExpired.
        """
        request = Request.of(scope)
        credentials = read_credentials(request)
        if isinstance(credentials, Claim):
            return self._signed(credentials, request, body)
        return self._bearer(credentials)

    @property
    def _open(self) -> bool:
        return self._loopback and not self._keys.any()

    def _signed(self, claim: Claim, request: Request, body: bytes | None) -> Identity:
        check_time(claim, self._clock())
        if self._open:
            return Identity(claim.key_id, claim.key_id)
        try:
            found = self._keys.secret(claim.key_id)
        except FinalError as error:  # the file of the secrets is missing or damaged: no fault of the caller's
            raise RuntimeError("signatures cannot be verified") from error
        if found is None:
            raise _unknown()
        key, secret = found
        verify(claim, secret, request, body)
        return _identity(key)

    def _bearer(self, token: str) -> Identity:
        if self._open:
            return Identity("bearer", "bearer")
        key = self._keys.bearer(token)
        if key is None:
            raise _unknown()
        return _identity(key)


def read_credentials(request: Request) -> Claim | str:
    """The signature's claim, or the bearer token; errors as `Authenticate` has them. Nothing is verified."""
    authorization = request.headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        token = _BEARER.fullmatch(authorization)
        if token is None:
            raise AwsError("IncompleteSignatureException", "The bearer token is malformed.")
        return token[1]
    claim = read_claim(request)
    if claim is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    return claim


def _identity(key: ApiKey) -> Identity:
    return Identity(key.name, key.id, frozenset(key.scopes))


def _unknown() -> AwsError:
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
