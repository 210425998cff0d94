"""The judge finds what is wrong: it has to, since the wire suite believes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.serve.aws.running import client, running
from tests.wire.judge import validate_error, validate_event, validate_output

ID = "abcdefgh1234"
DEPLOYMENT: dict[str, Any] = {
    "customModelDeploymentArn": f"arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/{ID}",
    "modelDeploymentName": "larkql",
    "modelArn": f"arn:aws:bedrock:us-east-1:123456789012:custom-model/imported/{ID}",
    "createdAt": datetime(2026, 1, 1, tzinfo=UTC),
    "status": "Active",
    "ResponseMetadata": {"HTTPStatusCode": 200, "RequestId": "1"},
}


def test_an_answer_that_is_right() -> None:
    validate_output("bedrock", "GetCustomModelDeployment", DEPLOYMENT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": None}, "status: required and missing"),
        ({"status": "Sleeping"}, "'Sleeping' is none of"),
        ({"status": 3}, "3 is no string"),
        ({"modelDeploymentName": ""}, "0 is less than 1"),
        ({"modelDeploymentName": "x" * 64}, "64 is more than 63"),
        ({"customModelDeploymentArn": "arn:aws:bedrock:us-east-1:123456789012:deployment/x"}, "does not match"),
        ({"createdAt": datetime(2026, 1, 1)}, "has no time zone"),
        ({"createdAt": "2026-01-01"}, "is no timestamp"),
        ({"updateDetails": {"updateStatus": "Updating"}}, r"updateDetails\.modelArn: required and missing"),
        ({"updateDetails": []}, "is no structure"),
        ({"deploymentName": "x"}, "deploymentName: no such member"),
        ({"ResponseMetadata": {"HTTPStatusCode": 202, "RequestId": "1"}}, "status 202, the model says 200"),
        ({"ResponseMetadata": {"HTTPStatusCode": 200, "RequestId": ""}}, "no request id"),
    ],
)
def test_an_answer_that_is_wrong(changes: dict[str, Any], message: str) -> None:
    response = {name: value for name, value in {**DEPLOYMENT, **changes}.items() if value is not None}
    with pytest.raises(AssertionError, match=message):
        validate_output("bedrock", "GetCustomModelDeployment", response)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"text": "a", "image": {"format": "png", "source": {"bytes": b"x"}}}], "a union with 2 members"),
        ([{"SDK_UNKNOWN_MEMBER": {"name": "video2"}}], "no such member"),
        ([{"toolUse": {"toolUseId": "a b", "name": "x", "input": {"any": [1]}}}], "does not match"),
    ],
)
def test_deep_within(content: list[Any], message: str) -> None:
    response = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    }
    with pytest.raises(AssertionError, match=message):
        validate_output("bedrock-runtime", "Converse", response)


def test_a_client_that_is_watched_hears_of_an_answer_that_is_wrong() -> None:
    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-amzn-requestid", b"1")]})
        await send({"type": "http.response.body", "body": b"{}"})

    with running(wrong) as url, pytest.raises(AssertionError, match="modelArn: required and missing"):
        client("bedrock", url).get_custom_model(modelIdentifier="larkql")


def test_events() -> None:
    validate_event("bedrock-runtime", "ConverseStream", {"messageStop": {"stopReason": "end_turn"}})
    with pytest.raises(AssertionError, match="required and missing"):
        validate_event("bedrock-runtime", "ConverseStream", {"messageStop": {}})


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("ResourceNotFoundException", 404, None),
        ("MissingAuthenticationTokenException", 403, None),
        ("ResourceNotFoundException", 400, "the model says 404"),
        ("ConflictException", 400, "is not one of"),
        ("TeapotException", 418, "is not one of"),
    ],
)
def test_errors(code: str, status: int, message: str | None) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "1"},
    }
    error = ClientError(response, "GetCustomModelDeployment")
    if message is None:
        validate_error("bedrock", "GetCustomModelDeployment", error)
    else:
        with pytest.raises(AssertionError, match=message):
            validate_error("bedrock", "GetCustomModelDeployment", error)
