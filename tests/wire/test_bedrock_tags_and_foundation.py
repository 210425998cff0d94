"""Tags, foundation models, and the operations that are refused: Provisioned Throughput."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.clients import call, code_of, refused
from tests.wire.shop import ACCOUNT, BASE, BUCKET, DEPLOYMENT, MODEL, Shop, unique

TAGGING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("TagResource", {"tags": [{"key": "a", "value": "1"}]}),
    ("UntagResource", {"tagKeys": ["a"]}),
    ("ListTagsForResource", {}),
)
PROVISIONED: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "CreateProvisionedModelThroughput",
        {"modelUnits": 1, "provisionedModelName": "x", "modelId": "amazon.nova-micro-v1:0"},
    ),
    ("GetProvisionedModelThroughput", {"provisionedModelId": "abcdefghijkl"}),
    ("ListProvisionedModelThroughputs", {}),
    ("UpdateProvisionedModelThroughput", {"provisionedModelId": "abcdefghijkl"}),
    ("DeleteProvisionedModelThroughput", {"provisionedModelId": "abcdefghijkl"}),
)


def test_tags_of_all_that_has_some(shop: Shop) -> None:
    gone = {"s3Uri": f"s3://{BUCKET}/gone.jsonl"}
    model = shop.model(unique("tags"))
    for arn in (shop.job(unique("tags"), trainingDataConfig=gone), model, shop.deploy(unique("tags"), model)):

        def tags(arn: str = arn) -> dict[str, str]:
            found = shop.bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
            return {tag["key"]: tag["value"] for tag in found}

        assert tags() == {}
        shop.bedrock.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": ""}])
        shop.bedrock.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "2"}])
        assert tags() == {"a": "2", "b": ""}
        shop.bedrock.untag_resource(resourceARN=arn, tagKeys=["b", "never"])
        assert tags() == {"a": "2"}
        shop.bedrock.tag_resource(resourceARN=arn, tags=[{"key": f"k{n}", "value": ""} for n in range(199)])
        code = code_of(shop.bedrock, "TagResource", resourceARN=arn, tags=[{"key": "one", "value": "too many"}])
        assert code == "TooManyTagsException"
        assert len(tags()) == 200


@pytest.mark.parametrize(("operation", "params"), TAGGING)
def test_tags_of_what_is_not_there_and_is_nothing(shop: Shop, operation: str, params: dict[str, Any]) -> None:
    for arn in (
        MODEL + "abcdefghijkl",
        DEPLOYMENT + "abcdefghijkl",
        DEPLOYMENT.replace(ACCOUNT, "1" * 12) + "abcdefghijkl",
    ):
        assert code_of(shop.bedrock, operation, resourceARN=arn, **params) == "ResourceNotFoundException"
    for arn in (f"arn:aws:bedrock:us-east-1:{ACCOUNT}:guardrail/abc", "x", MODEL + "../../../etc", BASE):
        assert code_of(shop.bedrock, operation, resourceARN=arn, **params) == "ValidationException"


def test_foundation_models(shop: Shop) -> None:
    models = shop.bedrock.list_foundation_models()["modelSummaries"]
    ids = [model["modelId"] for model in models]
    assert {"amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0:128k", "amazon.nova-lite-v1:0"} <= set(ids)
    assert {model["modelName"] for model in models} == {"smollm2-135m"}
    tunable = shop.bedrock.list_foundation_models(byCustomizationType="FINE_TUNING")["modelSummaries"]
    assert all(model["modelId"].endswith((":128k", ":300k")) for model in tunable)
    on_demand = shop.bedrock.list_foundation_models(byInferenceType="ON_DEMAND", byProvider="amazon")["modelSummaries"]
    assert sorted(ids) == sorted(model["modelId"] for model in tunable + on_demand)
    assert shop.bedrock.list_foundation_models(byOutputModality="IMAGE")["modelSummaries"] == []
    assert shop.bedrock.list_foundation_models(byProvider="Anthropic")["modelSummaries"] == []
    for model in models:
        for identifier in (model["modelId"], model["modelArn"]):
            assert shop.bedrock.get_foundation_model(modelIdentifier=identifier)["modelDetails"] == model
    assert code_of(shop.bedrock, "ListFoundationModels", byInferenceType="FREE") == "ValidationException"
    assert code_of(shop.bedrock, "GetFoundationModel", modelIdentifier="no model") == "ValidationException"
    unknown = "anthropic.claude-3-haiku-20240307-v1:0"
    assert code_of(shop.bedrock, "GetFoundationModel", modelIdentifier=unknown) == "ResourceNotFoundException"


@pytest.mark.parametrize(("operation", "params"), PROVISIONED)
def test_provisioned_throughput_is_refused_with_a_sentence(shop: Shop, operation: str, params: dict[str, Any]) -> None:
    code, message = refused(shop.bedrock, operation, **params)
    assert code == "ValidationException"
    assert "CreateCustomModelDeployment" in message


def test_a_client_that_checks_its_own_parameters_is_answered_alike(shop: Shop) -> None:
    strict = shop.client("bedrock", parameter_validation=True)
    assert call(strict, "ListFoundationModels")["modelSummaries"]
