"""Errors on the wire: one table from sqlora's own to the service's, and the two forms in which they are sent.

Only codes go out that the operation's model declares, or that every AWS service may answer (`COMMON`): clients branch
on them, and one that the model does not know is a plain ClientError there.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from xml.sax.saxutils import escape

from sqlora.errors import (
    BusyError,
    ConfigError,
    ConflictError,
    ContextError,
    DatasetError,
    ModelError,
    NotFoundError,
    SqloraError,
)
from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.response import JSON_TYPES, Response

logger = logging.getLogger("sqlora.serve.aws")

COMMON = {
    "AccessDeniedException": 403,
    "IncompleteSignatureException": 403,
    "InternalFailure": 500,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "RequestEntityTooLargeException": 413,
    "RequestExpired": 400,
    "SerializationException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnknownOperationException": 404,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
    "XAmzContentSHA256Mismatch": 400,  # S3's
}
"""Code to HTTP status, where the operation's own model says nothing."""

_INTERNAL = ("InternalServerException", "ServiceException", "InternalFailure")
_INVALID = ("ValidationException", "IllegalArgumentException")

# The first code that the operation declares, else the first common one: services name the same thing differently.
_TABLE: tuple[tuple[type[SqloraError], tuple[str, ...]], ...] = (
    (NotFoundError, ("ResourceNotFoundException", "ResourceNotFound", "NoSuchResourceException", *_INVALID)),
    (ConflictError, ("ConflictException", "ResourceInUse", "ResourceAlreadyExistsException", *_INVALID)),
    (BusyError, ("ThrottlingException", "TooManyRequestsException")),
    (ConfigError, _INVALID),
    (DatasetError, _INVALID),
    (ContextError, _INVALID),
    (ModelError, ("ModelErrorException", *_INVALID)),
)


def translate(error: BaseException, operation: Any, request_id: str) -> AwsError:
    """``error`` as the client of ``operation`` (botocore's OperationModel, or None) is told of it, with its status.

    What is no fault of the caller's is logged with its traceback, and named to her by the request's id alone.
    """
    declared = _declared(operation)
    if isinstance(error, AwsError):
        code, status = error.code, error.status
        if code not in declared and code not in COMMON:
            logger.warning("request %s: %s is no error of %s", request_id, code, operation and operation.name)
            code = _choose(_INVALID if (status or 400) < 500 else _INTERNAL, declared)
            status = None
        return AwsError(code, error.message, status or declared.get(code) or COMMON.get(code), error.members)
    for kind, codes in _TABLE:
        if isinstance(error, kind):
            code = _choose(codes, declared)
            return AwsError(code, _sentence(error), declared.get(code) or COMMON.get(code))
    logger.error("request %s failed", request_id, exc_info=error)
    code = _choose(_INTERNAL, declared)
    return AwsError(code, f"The server failed to answer request {request_id}; its log says why.", 500)


def _declared(operation: Any) -> dict[str, int]:
    """The operation's own error codes, its stream's too, with their HTTP statuses (JSON 1.1 has none: 400)."""
    if operation is None:
        return {}
    stream = operation.get_event_stream_output()
    streamed = [shape for shape in stream.members.values() if shape.metadata.get("exception")] if stream else []
    return {
        shape.error_code or shape.name: shape.metadata.get("error", {}).get("httpStatusCode", 400)
        for shape in [*operation.error_shapes, *streamed]
    }


def _choose(codes: tuple[str, ...], declared: dict[str, int]) -> str:
    return next((code for code in codes if code in declared), next(code for code in codes if code in COMMON))


def _sentence(error: SqloraError) -> str:
    return f"{error.message} (next: {error.next_step})" if error.next_step else error.message


def respond(error: AwsError, protocol: str) -> Response:
    """The error response of a rest-json or json service; ``error`` as `translate` gives it."""
    body: dict[str, Any] = {"message": error.message, **error.members}
    if protocol == "json":
        body = {"__type": error.code, **body}
    headers = {"content-type": JSON_TYPES[protocol], "x-amzn-errortype": error.code}
    return Response(error.status or 400, headers, json.dumps(body, ensure_ascii=False).encode())


def respond_for_other(error: AwsError, service: str, request_id: str) -> Response:
    """The error response of S3 (rest-xml), of IAM and STS (query), or of CloudWatch's logs (json)."""
    if service == "logs":
        return respond(error, "json")
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if service == "s3":
        body = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Response(error.status or 400, {"content-type": "text/xml"}, xml.encode())
