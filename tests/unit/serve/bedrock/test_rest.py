"""Foundation models, tags and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sqlora.serve.aws.arns import Arns
from sqlora.serve.bedrock.paging import page
from tests.unit.serve.bedrock.conftest import Wire
from tests.unit.serve.bedrock.test_jobs import refused


def test_foundation_models_say_what_they_are_here(client: Any) -> None:
    found = client.list_foundation_models()["modelSummaries"]
    assert {model["modelName"] for model in found} == {"smollm2-135m"}
    assert {model["modelId"] for model in found} == {
        f"amazon.nova-{size}-v1:0{context}"
        for size, longest in (("micro", ":128k"), ("lite", ":300k"), ("pro", ":300k"))
        for context in ("", longest)
    }


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"byProvider": "Amazon"}, 6),
        ({"byProvider": "Meta"}, 0),
        ({"byCustomizationType": "FINE_TUNING"}, 3),
        ({"byCustomizationType": "DISTILLATION"}, 0),
        ({"byInferenceType": "ON_DEMAND"}, 3),
        ({"byOutputModality": "TEXT"}, 6),
        ({"byOutputModality": "IMAGE"}, 0),
    ],
)
def test_foundation_models_are_filtered(client: Any, filters: dict[str, str], count: int) -> None:
    assert len(client.list_foundation_models(**filters)["modelSummaries"]) == count


def test_a_foundation_model_by_id_and_arn(client: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"
    for identifier in (arn, "amazon.nova-micro-v1:0:128k"):
        details = client.get_foundation_model(modelIdentifier=identifier)["modelDetails"]
        assert (details["modelArn"], details["customizationsSupported"]) == (arn, ["FINE_TUNING"])
    assert refused(client.get_foundation_model, modelIdentifier="meta.llama3")[0] == "ResourceNotFoundException"


def test_tags_come_and_go(wire: Wire, client: Any) -> None:
    arn = Arns("us-east-1").model(wire.model("m").id)
    client.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    client.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "3"}])
    client.untag_resource(resourceARN=arn, tagKeys=["b", "never"])
    assert client.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "a", "value": "3"}]
    many = [{"key": f"k{number}", "value": ""} for number in range(200)]
    assert refused(client.tag_resource, resourceARN=arn, tags=many)[0] == "TooManyTagsException"
    assert len(client.list_tags_for_resource(resourceARN=arn)["tags"]) == 1


def test_tags_of_nothing(wire: Wire, client: Any) -> None:
    arns = Arns("us-east-1")
    for arn in (arns.job("0" * 12), arns.model("0" * 12), arns.deployment("0" * 12)):
        assert refused(client.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"
        tag = [{"key": "a", "value": "b"}]
        assert refused(client.tag_resource, resourceARN=arn, tags=tag)[0] == "ResourceNotFoundException"
    assert wire.state.rows("SELECT * FROM tags") == []


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        (
            "create_provisioned_model_throughput",
            {"modelUnits": 1, "provisionedModelName": "p", "modelId": "amazon.nova-micro-v1:0"},
        ),
        ("get_provisioned_model_throughput", {"provisionedModelId": "p"}),
        ("list_provisioned_model_throughputs", {}),
        ("update_provisioned_model_throughput", {"provisionedModelId": "p"}),
        ("delete_provisioned_model_throughput", {"provisionedModelId": "p"}),
    ],
)
def test_provisioned_throughput_is_refused_in_one_sentence(client: Any, operation: str, params: dict[str, Any]) -> None:
    code, message = refused(getattr(client, operation), **params)
    assert code == "ValidationException"
    assert "Use CreateCustomModelDeployment instead" in message


def test_rows_of_the_same_moment_are_on_one_page_each() -> None:
    rows = [("2026-11-24T00:00:00.000Z", f"{number:012}") for number in range(5)]
    seen: list[tuple[str, str]] = []
    params: dict[str, Any] = {"maxResults": 2}
    while True:
        found, token = page(rows, params, lambda row: row)
        seen += found
        if token is None:
            break
        params["nextToken"] = token
    assert seen == rows[::-1]
