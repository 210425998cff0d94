"""Unmodified boto3 and openai clients. Every answer that they get is judged by its model, and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
import openai
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from tests.wire import record
from tests.wire.judge import validate_event, watch

JUDGED = ("bedrock", "bedrock-runtime", "sagemaker", "service-quotas")
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI-example"
REGION = "us-east-1"
MANY = 64  # connections of one client

_open: list[tuple[str, Any]] = []  # with the URL of its server


@cache
def _session() -> Any:
    """One, so that the service models are read once."""
    return boto3.Session()


def boto(url: str, service: str, key: str = KEY, secret: str = SECRET, region: str = REGION, **config: Any) -> Any:
    """A client that tries once, unless told otherwise, and leaves it to the server to check parameters."""
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 60, "max_pool_connections": MANY}
    made = _session().client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(**{**settings, "parameter_validation": False, **config}),
    )
    return known(made)


def known(client: Any) -> Any:
    """The client, from now on judged and recorded, and closed at the end."""
    if client.meta.service_model.service_name in JUDGED:
        watch(client)
        record.attach(client)
    _open.append((client.meta.endpoint_url, client))
    return client


def open_ai(url: str, key: str = "any", tries: int = 1) -> openai.OpenAI:
    """A client that refuses an answer which is not of the model that it expects."""
    http = openai.DefaultHttpxClient(event_hooks={"response": [record.openai_hook]})
    made = openai.OpenAI(
        base_url=f"{url}/v1",
        api_key=key,
        max_retries=tries - 1,
        timeout=60,
        http_client=http,
        _strict_response_validation=True,
    )
    _open.append((url, made))
    return made


class Session(boto3.Session):
    """boto3's own, its clients judged and recorded; what the notebooks are given."""

    def client(self, service: str, **settings: Any) -> Any:
        return known(super().client(service, **settings))


def hang_up(url: str) -> None:
    """Close the clients of a server; they keep their connections otherwise, and it waits for those."""
    for at, client in [each for each in _open if each[0] == url]:
        client.close()
        _open.remove((at, client))


def call(client: Any, operation: str, **params: Any) -> dict[str, Any]:
    """The operation by its name in the model."""
    answer: dict[str, Any] = getattr(client, xform_name(operation))(**params)
    return answer


def code_of(client: Any, operation: str, **params: Any) -> str:
    """The error's code; also of one that comes amid a stream."""
    return refused(client, operation, **params)[0]


def refused(client: Any, operation: str, **params: Any) -> tuple[str, str]:
    """The error's code and message."""
    with pytest.raises(ClientError) as caught:
        call(client, operation, **params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def events(client: Any, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
    """The events of a stream, each judged; EventStreamError (a ClientError), recorded, where one is an exception."""
    service = client.meta.service_model.service_name
    answer = call(client, operation, **params)
    stream = answer["stream" if "stream" in answer else "body"]
    try:
        for event in stream:
            validate_event(service, operation, event)
            yield event
    except EventStreamError as error:
        code = error.response["Error"]["Code"]
        record.note(service, operation, code[0].upper() + code[1:])
        raise
    finally:
        stream.close()


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """A ClientError of this code."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code, caught.value
