"""Custom models over the wire: imports, lists, deletion."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wire.clients import code_of, refused
from tests.wire.live import UNFIT, until
from tests.wire.shop import ACCOUNT, BASE, BUCKET, MODEL, ROLE, Shop, unique, user

IMPORTED = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:custom-model/imported/"
FILES = {
    "adapter_model.safetensors": b"imported",
    "adapter_config.json": b"{}",
    "manifest.json": b'{"system": "You write SQL."}',
}


def adapter(shop: Shop, **files: bytes | None) -> str:
    """The URI of a folder of objects that is an adapter; a file that is None is missing."""
    folder = unique("adapter")
    for name, content in {**FILES, **files}.items():
        if content is not None:
            shop.put(f"{folder}/{name}", content)
    return f"s3://{BUCKET}/{folder}/"


def request(name: str, uri: str, **changes: Any) -> dict[str, Any]:
    return {"modelName": name, "roleArn": ROLE, "modelSourceConfig": {"s3DataSource": {"s3Uri": uri}}, **changes}


def imported(shop: Shop, arn: str) -> dict[str, Any]:
    """The model, once it is no more Creating."""

    def look() -> dict[str, Any] | None:
        got: dict[str, Any] = shop.bedrock.get_custom_model(modelIdentifier=arn)
        return None if got["modelStatus"] == "Creating" else got

    found: dict[str, Any] = until(look)
    return found


def test_an_adapter_in_a_bucket_becomes_a_model_that_answers(shop: Shop) -> None:
    name, tags = unique("imported"), [{"key": "from", "value": "peft"}]
    arn = shop.bedrock.create_custom_model(**request(name, adapter(shop), modelTags=tags))["modelArn"]
    assert arn.startswith(IMPORTED)
    model = imported(shop, arn)
    assert (model["modelStatus"], model["customizationType"], model["modelName"]) == ("Active", "IMPORTED", name)
    assert shop.bedrock.get_custom_model(modelIdentifier=name)["modelArn"] == arn
    assert shop.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == tags
    answer = shop.runtime.converse(modelId=shop.active(unique("imported"), arn), messages=user("how many?"))
    assert answer["output"]["message"]["content"][0]["text"] == "imported: how many?"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"adapter_model.safetensors": None, "adapter_model.bin": b"\x80\x04pickle"}, "pickled"),
        ({"adapter_config.json": None}, "adapter_config.json"),
        ({"adapter_model.safetensors": UNFIT.encode()}, "does not fit"),
    ],
)
def test_an_import_that_fails_says_why(shop: Shop, files: dict[str, bytes | None], said: str) -> None:
    model = imported(
        shop, shop.bedrock.create_custom_model(**request(unique("bad"), adapter(shop, **files)))["modelArn"]
    )
    assert model["modelStatus"] == "Failed"
    assert said in model["failureMessage"]
    code, _ = refused(
        shop.bedrock, "CreateCustomModelDeployment", modelDeploymentName=unique("bad"), modelArn=model["modelArn"]
    )
    assert code == "ValidationException"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modelName": "a.b"}, "modelName"),
        ({"modelName": "../x"}, "modelName"),
        ({"modelSourceConfig": {}}, "modelSourceConfig"),
        ({"modelSourceConfig": {"s3DataSource": {"s3Uri": "https://example.org"}}}, "s3Uri"),
        (
            {
                "modelSourceConfig": {
                    "s3DataSource": {"s3Uri": f"s3://customer-escrow-{ACCOUNT}-x/job/abcdefghijkl/step_1"}
                }
            },
            "checkpoint",
        ),
        (
            {"modelSourceConfig": {"s3DataSource": {"s3Uri": f"s3://customer-escrow-{ACCOUNT}-x/../../etc"}}},
            "checkpoint",
        ),
        ({"modelKmsKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{'a' * 36}"}, "KMS"),
        ({"modelTags": [{"key": f"k{n}", "value": ""} for n in range(201)]}, "modelTags"),
    ],
)
def test_what_is_wrong_with_the_call_is_refused(shop: Shop, changes: dict[str, Any], said: str) -> None:
    params = {**request(unique("wrong"), f"s3://{BUCKET}/adapter/"), **changes}
    code, message = refused(shop.bedrock, "CreateCustomModel", **params)
    assert (code, said in message) == ("ValidationException", True), message


def test_tokens_and_names(shop: Shop) -> None:
    name, uri, token = unique("model"), adapter(shop), unique("token")
    arn = shop.bedrock.create_custom_model(**request(name, uri, clientRequestToken=token))["modelArn"]
    assert shop.bedrock.create_custom_model(**request(name, uri, clientRequestToken=token))["modelArn"] == arn
    for params in (
        request(unique("other"), uri, clientRequestToken=token),
        request(name, uri),
        request("base", uri),
    ):
        assert code_of(shop.bedrock, "CreateCustomModel", **params) == "ConflictException"
    assert imported(shop, arn)["modelStatus"] == "Active"


def test_deleting(shop: Shop) -> None:
    name = unique("deleted")
    arn = shop.model(name)
    deployment = shop.active(unique("deleted"), arn)
    assert code_of(shop.bedrock, "DeleteCustomModel", modelIdentifier=arn) == "ConflictException"
    shop.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=deployment)
    shop.bedrock.delete_custom_model(modelIdentifier=name)
    for identifier in (name, arn):
        for operation in ("GetCustomModel", "DeleteCustomModel"):
            assert code_of(shop.bedrock, operation, modelIdentifier=identifier) == "ResourceNotFoundException"
    assert shop.bedrock.list_custom_models(nameContains=name)["modelSummaries"] == []


def test_who_is_not_there(shop: Shop) -> None:
    for operation in ("GetCustomModel", "DeleteCustomModel"):
        for identifier in (
            "nobody",
            MODEL + "abcdefghijkl",
            (MODEL + "abcdefghijkl").replace(ACCOUNT, "1" * 12),
            "amazon.nova-micro-v1:0",
            BASE,
        ):
            assert code_of(shop.bedrock, operation, modelIdentifier=identifier) == "ResourceNotFoundException"
        for identifier in ("a b", "..", "x" * 2049, f"arn:aws:s3:::{BUCKET}"):
            assert code_of(shop.bedrock, operation, modelIdentifier=identifier) == "ValidationException"


def test_a_list_in_pages_by_every_filter(shop: Shop) -> None:
    word = unique("listed")
    began = datetime.now(UTC) - timedelta(milliseconds=2)
    arns = [shop.model(f"{word}-{n}") for n in range(4)]
    failed = shop.bedrock.create_custom_model(**request(f"{word}-failed", f"s3://{BUCKET}/nothing/"))["modelArn"]
    assert imported(shop, failed)["modelStatus"] == "Failed"
    everything = [failed, *arns[::-1]]

    def listed(**params: Any) -> list[str]:
        pages = shop.bedrock.get_paginator("list_custom_models").paginate(nameContains=word, **params)
        return [model["modelArn"] for page in pages for model in page["modelSummaries"]]

    assert sorted(listed()) == sorted(everything)  # some of the same millisecond
    assert listed(sortOrder="Ascending", PaginationConfig={"PageSize": 2}) == listed()[::-1]
    assert listed(modelStatus="Failed") == [failed]
    assert sorted(listed(modelStatus="Active")) == sorted(arns)
    assert listed(modelStatus="Creating") == []
    assert sorted(listed(isOwned=True)) == sorted(everything)
    assert listed(isOwned=False) == []
    assert sorted(listed(baseModelArnEquals=BASE)) == sorted(everything)
    assert listed(foundationModelArnEquals=BASE.replace("micro", "lite")) == []
    assert sorted(listed(creationTimeAfter=began)) == sorted(everything)
    assert listed(creationTimeBefore=began) == []
    for params in ({"nextToken": "x"}, {"maxResults": 0}, {"modelStatus": "Deleted"}, {"isOwned": "maybe"}):
        assert code_of(shop.bedrock, "ListCustomModels", **params) == "ValidationException"


def test_weights_never_leave_with_what_is_said_of_a_model(shop: Shop) -> None:
    arn = shop.model(unique("secret"), weights="the-weights-themselves")
    for answer in (shop.bedrock.get_custom_model(modelIdentifier=arn), shop.bedrock.list_custom_models()):
        assert "the-weights-themselves" not in json.dumps(answer, default=str)
