"""Outputs: what the model does not allow is found before it is sent, and what it allows is what botocore reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.parsers import create_parser

from sqlora.serve.aws.model import service
from sqlora.serve.aws.response import OutputError, respond

AT = datetime(2026, 4, 16, 18, 15, 35, 744000, UTC)
MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/imported/abcdefgh1234"
GOT: dict[str, Any] = {"modelArn": MODEL, "modelName": "larkql", "creationTime": AT}


def sent(name: str, operation: str, output: dict[str, Any]) -> Any:
    """What botocore's own parser makes of the response."""
    found = service(name)
    model = found.operation(operation)
    response = respond(model, found.protocol, output)
    wire = {"status_code": response.status, "headers": response.headers, "body": response.body}
    parsed = create_parser(found.protocol).parse(wire, model.output_shape)
    parsed.pop("ResponseMetadata")
    return parsed


def test_what_is_written_is_what_botocore_reads() -> None:
    output = {
        **GOT,
        "hyperParameters": {"epochCount": "2"},
        "trainingMetrics": {"trainingLoss": 0.25},
        "validationMetrics": [{"validationLoss": 1}],
        "trainingDataConfig": {"s3Uri": "s3://bucket/train.jsonl"},
        "failureMessage": None,
    }
    assert sent("bedrock", "GetCustomModel", output) == {
        name: value for name, value in output.items() if value is not None
    }


@pytest.mark.parametrize(
    "time",
    [AT, "2026-04-16T18:15:35.744Z", AT.astimezone(timezone(timedelta(hours=2))), AT.replace(tzinfo=None),
     AT.replace(microsecond=744_999)],
)  # fmt: skip
def test_times_are_utc_to_the_millisecond(time: Any) -> None:
    response = respond(service("bedrock").operation("GetCustomModel"), "rest-json", {**GOT, "creationTime": time})
    assert json.loads(response.body)["creationTime"] == "2026-04-16T18:15:35.744Z"


def test_json_1_1_has_times_in_seconds() -> None:
    quota = {"RequestedQuota": {"Created": AT}}
    model = service("service-quotas").operation("RequestServiceQuotaIncrease")
    assert json.loads(respond(model, "json", quota).body) == {"RequestedQuota": {"Created": 1776363335.744}}
    assert sent("service-quotas", "RequestServiceQuotaIncrease", quota) == quota


def test_an_operation_without_members_answers_an_empty_object() -> None:
    response = respond(service("bedrock").operation("DeleteCustomModel"), "rest-json", {})
    assert (response.status, response.body) == (200, b"{}")


def test_an_operation_without_an_output() -> None:
    response = respond(service("sagemaker").operation("StopTrainingJob"), "json", {})
    assert response.status == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modelName": None}, "modelName is required in GetCustomModelResponse"),
        ({"modelNme": "x"}, "there is no .modelNme"),
        ({"modelName": 5}, "modelName cannot be int"),
        ({"creationTime": "yesterday"}, "creationTime cannot be 'yesterday'"),
        ({"creationTime": 5}, "creationTime cannot be int"),
        ({"customizationType": "TUNED"}, "customizationType cannot be 'TUNED'"),
        ({"trainingMetrics": {"trainingLoss": float("nan")}}, "trainingLoss cannot be nan"),
        ({"trainingMetrics": {"trainingLoss": True}}, "trainingLoss cannot be True"),
        ({"trainingMetrics": []}, "trainingMetrics cannot be list"),
        ({"validationMetrics": {}}, "validationMetrics cannot be dict"),
        ({"outputDataConfig": {}}, "s3Uri is required"),
        ({"hyperParameters": {"epochCount": 2}}, "epochCount cannot be int"),
    ],
)
def test_what_the_model_does_not_allow(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputError, match=message):
        respond(service("bedrock").operation("GetCustomModel"), "rest-json", {**GOT, **changes})
