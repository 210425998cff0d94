from __future__ import annotations

import pytest
from botocore import exceptions as known
from botocore.exceptions import ClientError, EventStreamError
from botocore.parsers import ResponseParserError

from sqlora.backends.aws.errors import SIGN_IN, aws_errors, code, is_expired, is_missing, translate
from sqlora.errors import (
    AccountError,
    ConfigError,
    ConflictError,
    ContextError,
    NotFoundError,
    ServiceError,
    SqloraError,
)


def said(name: str, message: str = "so it is", status: int = 400) -> ClientError:
    response = {"Error": {"Code": name, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetThing")


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("ThrottlingException", 429, ServiceError),
        ("InternalServerException", 500, ServiceError),
        ("ModelErrorException", 424, ServiceError),
        ("SomethingNew", 503, ServiceError),
        ("ExpiredTokenException", 403, ServiceError),
        ("UnrecognizedClientException", 403, AccountError),
        ("AccessDeniedException", 403, AccountError),
        ("ServiceQuotaExceededException", 400, AccountError),
        ("ResourceNotFoundException", 404, NotFoundError),
        ("404", 404, NotFoundError),
        ("ConflictException", 400, ConflictError),
        ("ValidationException", 400, ConfigError),
    ],
)
def test_aws_says_and_we_say(name: str, status: int, expected: type[SqloraError]) -> None:
    found = translate(said(name, status=status), "look")
    assert type(found) is expected
    assert found.message.startswith("cannot look")


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "Input Tokens Exceeded: 130000",
        "the model reads 4,096, prompt and all",
    ],
)
def test_a_conversation_too_long_is_no_mistake_in_the_settings(message: str) -> None:
    assert isinstance(translate(said("ValidationException", message), "ask"), ContextError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (known.NoCredentialsError(), AccountError),
        (known.ProfileNotFound(profile="x"), ConfigError),
        (known.NoRegionError(), ConfigError),
        (known.ConnectTimeoutError(endpoint_url="https://x"), ServiceError),
        (known.EndpointConnectionError(endpoint_url="https://x"), ServiceError),
        (known.SSOTokenLoadError(error_msg="gone"), ServiceError),
        (ResponseParserError("no XML: a proxy's page\n<html>"), ServiceError),
    ],
)
def test_what_fails_on_our_side(error: Exception, expected: type[SqloraError]) -> None:
    assert type(translate(error, "ask")) is expected


def test_an_event_stream_spells_names_its_own_way() -> None:
    error = EventStreamError({"Error": {"Code": "modelStreamErrorException", "Message": "broke"}}, "ConverseStream")
    assert code(error) == "ModelStreamErrorException"
    assert isinstance(translate(error, "ask"), ServiceError)


def test_expired_credentials_are_told_from_other_troubles() -> None:
    with pytest.raises(ServiceError) as caught, aws_errors("look"):
        raise said("ExpiredTokenException", "The security token AKIA123 included in the request is expired", 403)
    assert is_expired(caught.value)
    assert caught.value.next_step == SIGN_IN
    assert "AKIA123" not in str(caught.value)
    with pytest.raises(ServiceError) as other, aws_errors("look"):
        raise said("ThrottlingException", status=429)
    assert not is_expired(other.value)


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(ZeroDivisionError), aws_errors("look"):
        raise ZeroDivisionError


def test_missing_by_any_name() -> None:
    assert is_missing(said("NoSuchBucket"))
    assert is_missing(said("ValidationException", "Requested resource not found."))
    assert not is_missing(said("AccessDenied"))
