"""Errors in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``, by one table."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import JSONResponse

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
from sqlora.serve.answering import ClientGoneError, StoppingError
from sqlora.serve.aws.call import AwsError

logger = logging.getLogger("sqlora.serve")

# first match counts
_TABLE: tuple[tuple[type[SqloraError], int, str, str | None], ...] = (
    (ClientGoneError, 499, "server_error", None),  # as web servers log it; nobody is left to read it
    (StoppingError, 503, "server_error", "service_unavailable"),
    (BusyError, 429, "rate_limit_error", "rate_limit_exceeded"),
    (NotFoundError, 404, "invalid_request_error", "model_not_found"),
    (ConfigError, 400, "invalid_request_error", None),
    (DatasetError, 400, "invalid_request_error", None),
    (ConflictError, 409, "invalid_request_error", "model_not_ready"),
    (ModelError, 500, "server_error", "model_error"),
    (ContextError, 400, "invalid_request_error", None),
)


class OpenAIError(Exception):
    """An error as the client sees it; ``param`` is the request's key at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.type = status, message, param, code, type

    def body(self) -> dict[str, Any]:
        """The JSON of it."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        return JSONResponse(self.body(), self.status)


def translate(error: Exception, request_id: str) -> OpenAIError:
    """What the client is told of an error; a fault of sqlora itself is told by the request's id, and logged."""
    if isinstance(error, OpenAIError):
        return error
    if isinstance(error, AwsError):  # what `Authenticate` says: the same keys open both protocols
        if "AccessDenied" in error.code:
            return OpenAIError(403, error.message, code="insufficient_permissions")
        return OpenAIError(401, error.message, code="invalid_api_key")
    for kind, status, name, code in _TABLE:
        if isinstance(error, kind):
            return OpenAIError(status, error.message, None, code, name)
    logger.error("request %s failed", request_id, exc_info=error)
    return OpenAIError(500, f"The server had an error (request {request_id}).", type="server_error")
