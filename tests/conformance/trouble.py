"""What can go wrong between us and AWS, or with the process itself, at one chosen operation.

An operation is an HTTP request that boto3 is about to send, or a write to the state. The faults of requests:

    throttled, failed     the service answers 429 or 500, and does nothing
    unreachable           the request never arrives
    lost                  the service does it, and the answer never arrives
    expired, denied       403 for the credentials, or for a permission
    dies, dies_after      the process ends before or after it
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from sqlora.platform.state import State

DEATHS = ("dies", "dies_after")
FAULTS = ("throttled", "failed", "unreachable", "lost", "expired", "denied", *DEATHS)
# Status, and the error's name where errors are JSON and where they are XML (S3, STS).
ANSWERS = {
    "throttled": (429, "ThrottlingException", "SlowDown"),
    "failed": (500, "InternalServerException", "InternalError"),
    "expired": (403, "ExpiredTokenException", "ExpiredToken"),
    "denied": (403, "AccessDeniedException", "AccessDenied"),
}


class Died(BaseException):
    """The process is no more; nothing in it may catch this."""


class Trouble:
    """``plan``: the number of the operation, from 0 → its fault. Each happens once; `arm` begins to count anew."""

    def __init__(self) -> None:
        self._plan: dict[int, str] = {}
        self.count = 0

    def arm(self, plan: Mapping[int, str]) -> None:
        self._plan, self.count = dict(plan), 0

    def die(self) -> NoReturn:
        """The end of the process; one that is a process of its own ends for real (`tests.conformance.killed`)."""
        raise Died

    def next(self) -> str | None:
        """The fault of the operation that comes now."""
        self.count += 1
        return self._plan.pop(self.count - 1, None)

    def attach(self, client: Any) -> None:
        """To a boto3 client: every request goes through here."""
        protocol = client.meta.service_model.metadata["protocol"]
        client.meta.events.register("before-send", lambda request, **_: self._request(request, protocol))

    def _request(self, request: Any, protocol: str) -> AWSResponse | None:
        fault = self.next()
        if fault is None:
            return None
        if fault == "dies":
            self.die()
        if fault == "unreachable":
            raise ConnectTimeoutError(endpoint_url=request.url)
        if fault in ("lost", "dies_after"):
            session = URLLib3Session()
            try:
                session.send(request)
            finally:
                session.close()
            if fault == "dies_after":
                self.die()
            raise ReadTimeoutError(endpoint_url=request.url)
        status, name, xml_name = ANSWERS[fault]
        body = _body(protocol, name, xml_name)
        return AWSResponse(request.url, status, {"x-amzn-ErrorType": name}, _Raw(body.encode()))


def _body(protocol: str, name: str, xml_name: str) -> str:
    if "json" in protocol:
        return json.dumps({"message": "so it is", "__type": name})
    error = f"<Error><Code>{xml_name}</Code><Message>so it is</Message></Error>"
    return error if protocol == "rest-xml" else f"<ErrorResponse>{error}</ErrorResponse>"


class _Raw(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


class MortalState(State):
    """A state whose process may die at any write."""

    def __init__(self, path: Any, trouble: Trouble) -> None:
        self._trouble: Trouble | None = None
        super().__init__(path)
        self._trouble = trouble

    def execute(self, sql: str, values: Any = ()) -> int:
        if self._trouble is None:  # the file is being made
            return super().execute(sql, values)
        fault = self._trouble.next()
        if fault == "dies":
            self._trouble.die()
        changed = super().execute(sql, values)
        if fault == "dies_after":
            self._trouble.die()
        return changed
