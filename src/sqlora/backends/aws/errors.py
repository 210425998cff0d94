"""botocore's errors → sqlora's: what was being done, what AWS said, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlora.errors import (
    AccountError,
    ConfigError,
    ConflictError,
    ContextError,
    NotFoundError,
    ServiceError,
    SqloraError,
)

SIGN_IN = "sign in again (aws sso login, or new keys), then run the same command; it goes on where it was"
CHECK_NETWORK = "check the network (and AWS_ENDPOINT_URL), then run the same command"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_EXPIRED_HERE = {"TokenRetrievalError", "SSOError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}  # botocore's own
_UNKNOWN = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "InvalidSignatureException", "AuthFailure"}  # fmt: skip
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AllAccessDisabled"}
_MISSING = {"ResourceNotFoundException", "ResourceNotFound", "NoSuchBucket", "NoSuchKey", "NoSuchEntity",
            "NoSuchResourceException", "404"}  # fmt: skip
_CONFLICT = {"ConflictException", "ResourceInUse", "ResourceInUseException", "EntityAlreadyExists", "DeleteConflict",
             "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "ResourceAlreadyExistsException"}  # fmt: skip
_QUOTA = {"ServiceQuotaExceededException", "ResourceLimitExceeded", "LimitExceeded", "TooManyTagsException",
          "QuotaExceededException"}  # fmt: skip
_LATER = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
          "ModelNotReadyException", "ModelTimeoutException", "ModelErrorException",
          "ModelStreamErrorException", "ServiceUnavailable", "ServiceUnavailableException",
          "InternalServerException", "InternalFailure", "InternalError", "RequestTimeout", "503", "500"}  # fmt: skip

# Bedrock has no error of its own for it; the last is how sqlora's server says it.
_TOO_LONG = re.compile(r"too long|maximum context|input tokens exceed|the model reads [0-9,]+", re.IGNORECASE)


@contextmanager
def aws_errors(doing: str, next_step: str | None = None) -> Iterator[None]:
    """Calls to AWS go in here. ``doing`` completes "cannot …"; ``next_step`` where AWS's answer suggests no better."""
    try:
        yield
    except SqloraError:
        raise
    except Exception as error:
        found = translate(error, doing, next_step)
        if found is None:
            raise
        raise found from error


def code(error: BaseException) -> str:
    """AWS's name of the error; empty for one that is not AWS's."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    name = str(response.get("Error", {}).get("Code", ""))
    return name[:1].upper() + name[1:]  # an event stream spells it throttlingException


def is_expired(error: BaseException) -> bool:
    """Whether it was raised because the credentials have expired: waiting does not help, signing in does."""
    cause = error.__cause__ or error
    return code(cause) in _EXPIRED or type(cause).__name__ in _EXPIRED_HERE


def is_missing(error: BaseException) -> bool:
    """Whether AWS says that the thing is not there."""
    return code(error) in _MISSING or "Requested resource not found" in str(error)


def translate(error: Exception, doing: str, next_step: str | None = None) -> SqloraError | None:
    """The error to show; None for one that is neither AWS's nor botocore's."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # no BotoCoreError: a proxy answers with a page of its own

    if isinstance(error, ClientError):
        return _of_service(error, doing, next_step)
    if isinstance(error, BotoCoreError):
        return _of_client(error, doing, next_step)
    if isinstance(error, ResponseParserError):
        return ServiceError(f"cannot {doing}: the answer is not AWS's ({_first_line(error)})", CHECK_NETWORK)
    return None


def _of_service(error: Any, doing: str, next_step: str | None) -> SqloraError:
    name, status = code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = str(error.response.get("Error", {}).get("Message", "")) or str(error)
    message = f"cannot {doing}: {said} ({name})"
    if name in _EXPIRED:
        return ServiceError(f"cannot {doing}: the AWS credentials have expired", SIGN_IN)
    if name in _UNKNOWN:
        return AccountError(f"cannot {doing}: AWS does not accept the credentials ({name})", SIGN_IN)
    if name in _DENIED or status == 403:
        return AccountError(message, next_step or "sqlora doctor says which permission is missing")
    if is_missing(error):
        return NotFoundError(message, next_step)
    if name in _CONFLICT:
        return ConflictError(message, next_step)
    if name in _QUOTA:
        return AccountError(message, next_step or "sqlora doctor --fix asks for a higher quota")
    if name in _LATER or status == 429 or status >= 500:
        return ServiceError(message, "try again; AWS was asked several times")
    if _TOO_LONG.search(said):
        return ContextError(message, "a shorter question, or fewer tables in the schema")
    return ConfigError(message, next_step)


def _of_client(error: Any, doing: str, next_step: str | None) -> SqloraError:
    from botocore import exceptions as known

    message = f"cannot {doing}: {error}"
    if isinstance(error, known.NoCredentialsError | known.PartialCredentialsError | known.CredentialRetrievalError):
        return AccountError(f"cannot {doing}: there are no AWS credentials", "aws configure, or set AWS_PROFILE")
    if isinstance(error, known.TokenRetrievalError | known.SSOError):
        return ServiceError(f"cannot {doing}: the AWS credentials have expired", SIGN_IN)
    if isinstance(error, known.ProfileNotFound):
        return ConfigError(message, "correct [aws] profile in sqlora.toml, or AWS_PROFILE")
    if isinstance(error, known.NoRegionError | known.UnknownEndpointError | known.InvalidRegionError):
        return ConfigError(message, "correct [aws] region in sqlora.toml")
    if isinstance(error, known.HTTPClientError):
        return ServiceError(message, CHECK_NETWORK)
    if isinstance(error, known.ParamValidationError):
        return ConfigError(message, next_step)
    return ServiceError(message, next_step)


def _first_line(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return text if len(text) <= 200 else f"{text[:199]}…"
