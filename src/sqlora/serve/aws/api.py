"""The AWS services as one ASGI app: find the operation, know the caller, check the parameters, call, answer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from sqlora.serve.auth.authenticate import Authenticate, read_credentials
from sqlora.serve.auth.scopes import require
from sqlora.serve.auth.sigv4 import Claim
from sqlora.serve.aws import errors, eventstream
from sqlora.serve.aws.call import AwsError, Call, EventStream, Handler
from sqlora.serve.aws.connection import ClientGone, Connection
from sqlora.serve.aws.forward import admit
from sqlora.serve.aws.model import SIGNED_AS, Match, find, service
from sqlora.serve.aws.request import parse
from sqlora.serve.aws.response import OutputError, Response, respond, split_headers
from sqlora.serve.edge.limits import OTHER_BYTES, RUNTIME_BYTES
from sqlora.serve.edge.notes import note

logger = logging.getLogger("sqlora.serve.aws")

SECRET_HEADERS = frozenset({"authorization", "cookie", "x-amz-security-token"})  # no handler needs them
REGION = "us-east-1"  # of a caller with a bearer token, which names none


class AwsApi:
    """The app. ``handlers`` by (service, operation), as botocore names them; a name it does not know is a ValueError.

    ``fallback`` answers what was signed for other services (S3, IAM, STS, logs), once its caller is known. Operations
    of the models that have no handler are refused with UnknownOperationException, 404.
    """

    def __init__(
        self,
        handlers: Mapping[tuple[str, str], Handler],
        authenticate: Authenticate,
        fallback: ASGIApp | None = None,
        *,
        account: str = "123456789012",
    ) -> None:
        for name, operation in handlers:
            if operation not in service(name).model.operation_names:
                raise ValueError(f"{name} has no operation {operation}")
        self.handlers = dict(handlers)
        self.authenticate, self.fallback, self.account = authenticate, fallback, account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        exchange = _Exchange(self, scope, Connection(scope, receive, send))
        try:
            await exchange.answer()
        except ClientGone:
            pass  # nobody is left to tell; the handler was cancelled and has cleaned up
        except Exception as error:
            await exchange.fail(error)


class _Exchange:
    """One request on its way through."""

    def __init__(self, api: AwsApi, scope: Scope, connection: Connection) -> None:
        self._api, self._scope, self._connection = api, scope, connection
        self._note = note()
        self._match: Match | None = None
        self._operation: Any = None  # botocore's OperationModel of the match
        self._claim: Claim | None = None
        self._call: Call | None = None

    async def answer(self) -> None:
        request = self._connection.request
        credentials = read_credentials(request)
        self._claim = credentials if isinstance(credentials, Claim) else None
        if self._claim is not None and self._claim.service not in SIGNED_AS:
            await self._forward(self._claim)
            return
        signed_as = self._claim.service if self._claim else None
        self._match = find(signed_as, request.method, request.path, request.headers)
        self._operation = self._match and self._match.operation
        runtime = self._match is not None and self._match.service.name == "bedrock-runtime"
        body = await self._connection.body(RUNTIME_BYTES if runtime else OTHER_BYTES)
        async with self._connection.watching():
            handler, call = await self._connection.attended(run_in_threadpool(self._accept, body))
            output = await self._connection.attended(self._serve(handler, call))
        if output is None:
            await self._connection.write(b"", more=False)
        else:
            await self._respond(respond(self._operation, self._protocol, output))

    # in a worker thread -------------------------------------------------------------------------------------------

    def _accept(self, body: bytes) -> tuple[Handler, Call]:
        """The call and its handler, once it is known who calls, that she may, and that the parameters are right."""
        request, match = self._connection.request, self._match
        key = (match.service.name, match.operation.name) if match else ("", "")
        handler = self._api.handlers.get(key)
        if handler is not None:  # only these, so that the metrics' labels are few
            self._note.protocol, self._note.operation = key
        identity = self._api.authenticate(self._scope, body)
        self._note.caller = identity.caller
        if match is None:
            raise AwsError("UnknownOperationException", f"No operation is {request.method} {request.path[:200]}.")
        if handler is None:
            raise AwsError("UnknownOperationException", f"sqlora does not serve {' '.join(key)}.")
        require(identity, *key)
        params = parse(match.operation, match.service.protocol, match.path, request.query, request.headers, body)
        self._call = Call(
            service=match.service.name,
            operation=match.operation.name,
            params=params,
            identity=identity,
            region=self._claim.region if self._claim else REGION,
            account=self._api.account,
            request_id=self._note.request_id,
            headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
            disconnected=self._connection.disconnected,
        )
        return handler, self._call

    # on the event loop --------------------------------------------------------------------------------------------

    async def _serve(self, handler: Handler, call: Call) -> dict[str, Any] | None:
        """What the handler returns; None when it was a stream, which has then been sent but for its end."""
        answer: Any
        if inspect.iscoroutinefunction(handler):
            answer = await handler(call)
        else:
            answer = await run_in_threadpool(handler, call)
            if inspect.isawaitable(answer):
                answer = await answer
        if not isinstance(answer, EventStream):
            return dict(answer or {})
        try:
            await self._stream(answer)
        finally:
            close = getattr(answer.events, "aclose", None)
            if close is not None:
                await close()
        return None

    async def _stream(self, answer: EventStream) -> None:
        operation = self._operation
        shape = operation.get_event_stream_output()
        if shape is None:
            raise OutputError(f"{operation.name} does not answer in events")
        headers, rest = split_headers(operation.output_shape, answer.headers)
        if rest:
            raise OutputError(f"{operation.name} has no headers {', '.join(rest)}")
        headers["content-type"] = eventstream.CONTENT_TYPE
        try:
            async for name, members in answer.events:
                frame = eventstream.event(shape, name, members)
                if not self._connection.answered:
                    await self._start(headers)
                await self._connection.write(frame, more=True)
            if not self._connection.answered:
                await self._start(headers)
        except Exception as error:
            if not self._connection.answered:
                raise
            await self._connection.write(eventstream.exception(shape, self._translate(error)), more=True)

    async def _start(self, headers: dict[str, str]) -> None:
        await self._connection.start(self._operation.http.get("responseCode", 200), self._headers() | headers)

    async def _respond(self, response: Response) -> None:
        headers = self._headers() | response.headers
        await self._connection.respond(Response(response.status, headers, response.body))

    def _headers(self) -> dict[str, str]:
        own = self._call.response_headers if self._call else {}
        return {"x-amzn-requestid": self._note.request_id, **own}

    async def _forward(self, claim: Claim) -> None:
        if self._api.fallback is None:
            raise AwsError(
                "UnknownOperationException",
                f"{claim.service} is not served here; sqlora serve --aws has S3, IAM, STS, logs.",
            )
        identity, body = await admit(claim, self._scope, self._connection, self._api.authenticate)
        self._note.protocol, self._note.caller = "emulator", identity.caller
        await self._api.fallback(self._scope, body, self._connection.send)

    async def fail(self, error: Exception) -> None:
        """Answer with the error, if no answer has begun."""
        shown = self._translate(error)
        if self._connection.answered:
            return
        if self._claim is not None and self._claim.service not in SIGNED_AS:
            response = errors.respond_for_other(shown, self._claim.service, self._note.request_id)
        else:
            response = errors.respond(shown, self._protocol)
        self._call = None  # its headers go with what it returns
        await self._respond(response)

    def _translate(self, error: Exception) -> AwsError:
        shown = errors.translate(error, self._operation, self._note.request_id)
        logger.info("request %s: %s", self._note.request_id, shown.code)
        return shown

    @property
    def _protocol(self) -> str:
        if self._match is not None:
            return self._match.service.protocol
        return "json" if "x-amz-target" in self._connection.request.headers else "rest-json"
