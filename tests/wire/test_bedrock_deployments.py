"""Custom model deployments over the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wire.clients import code_of, refused
from tests.wire.live import SLOW, UNFIT, until
from tests.wire.shop import ACCOUNT, DEPLOYMENT, MODEL, Shop, open_shop, unique, user

CREATE, GET, UPDATE, DELETE = (f"{verb}CustomModelDeployment" for verb in ("Create", "Get", "Update", "Delete"))


def test_from_creating_to_gone(shop: Shop) -> None:
    name, model = unique("life"), shop.model(unique("life"))
    tags = [{"key": "team", "value": "retail"}]
    arn = shop.deploy(name, model, description="for the shop", tags=tags)
    deployment = shop.settled(arn)
    assert deployment["status"] == "Active"
    assert (deployment["modelArn"], deployment["description"]) == (model, "for the shop")
    assert deployment["createdAt"] <= deployment["lastUpdatedAt"]
    assert "updateDetails" not in deployment
    by_name = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name)
    assert by_name["customModelDeploymentArn"] == arn
    assert shop.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == tags
    shop.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=name)
    for operation in (GET, DELETE):
        assert code_of(shop.bedrock, operation, customModelDeploymentIdentifier=arn) == "ResourceNotFoundException"
    assert code_of(shop.bedrock, "ListTagsForResource", resourceARN=arn) == "ResourceNotFoundException"
    assert code_of(shop.runtime, "Converse", modelId=arn, messages=user("?")) == "ResourceNotFoundException"
    assert shop.bedrock.get_custom_model(modelIdentifier=model)["modelStatus"] == "Active"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modelDeploymentName": "a b"}, "modelDeploymentName"),
        ({"modelDeploymentName": "../x"}, "modelDeploymentName"),
        ({"modelDeploymentName": "base"}, "base model"),
        ({"modelDeploymentName": "smollm2-135m"}, "base model"),
        ({"modelArn": "x"}, "modelArn"),
        ({"description": ""}, "description"),
        ({"description": "x" * 2049}, "description"),
        ({"tags": [{"key": "a", "value": ""}] * 2}, "Duplicate"),
        ({"tags": [{"key": f"k{n}", "value": ""} for n in range(201)]}, "tags"),
        ({"clientRequestToken": "a b"}, "clientRequestToken"),
    ],
)
def test_what_is_wrong_with_the_call_is_refused(shop: Shop, changes: dict[str, Any], said: str) -> None:
    params = {"modelDeploymentName": unique("wrong"), "modelArn": shop.model(unique("wrong")), **changes}
    code, message = refused(shop.bedrock, CREATE, **params)
    assert (code, said in message) == ("ValidationException", True), message


def test_tokens_and_names(shop: Shop) -> None:
    name, model, token = unique("token"), shop.model(unique("token")), unique("token")
    arn = shop.deploy(name, model, clientRequestToken=token)
    assert shop.deploy(name, model, clientRequestToken=token) == arn
    # The operation declares no conflict, so these are ValidationExceptions.
    for params in (
        {"modelDeploymentName": unique("other"), "modelArn": model, "clientRequestToken": token},
        {"modelDeploymentName": name, "modelArn": model},
    ):
        assert code_of(shop.bedrock, CREATE, **params) == "ValidationException"
    unknown = {"modelDeploymentName": unique("other"), "modelArn": MODEL + "abcdefghijkl"}
    assert code_of(shop.bedrock, CREATE, **unknown) == "ResourceNotFoundException"


def test_who_is_not_there(shop: Shop) -> None:
    model = shop.model(unique("there"))
    arn = DEPLOYMENT + "abcdefghijkl"
    for identifier in ("nobody", arn, arn.replace(ACCOUNT, "1" * 12)):
        for operation, more in ((GET, {}), (DELETE, {}), (UPDATE, {"modelArn": model})):
            code = code_of(shop.bedrock, operation, customModelDeploymentIdentifier=identifier, **more)
            assert code == "ResourceNotFoundException"
    for operation, more in ((GET, {}), (DELETE, {}), (UPDATE, {"modelArn": model})):
        code = code_of(shop.bedrock, operation, customModelDeploymentIdentifier="../x", **more)
        assert code == "ValidationException"


def test_an_adapter_that_does_not_fit_fails_the_deployment(shop: Shop) -> None:
    arn = shop.deploy(unique("unfit"), shop.model(unique("unfit"), weights=UNFIT))
    failed = shop.settled(arn)
    assert (failed["status"], "does not fit" in failed["failureMessage"]) == ("Failed", True)
    summary = shop.bedrock.list_custom_model_deployments(nameContains=failed["modelDeploymentName"])
    assert summary["modelDeploymentSummaries"][0]["failureMessage"] == failed["failureMessage"]
    assert code_of(shop.runtime, "Converse", modelId=arn, messages=user("?")) == "ValidationException"
    code = code_of(shop.bedrock, UPDATE, customModelDeploymentIdentifier=arn, modelArn=shop.model(unique("good")))
    assert code == "ValidationException"


def test_another_model_behind_the_same_name(shop: Shop) -> None:
    old, new = shop.model(unique("old"), weights="old"), shop.model(unique("new"), weights="new")
    arn = shop.active(unique("updated"), old)

    def says() -> str:
        answer = shop.runtime.converse(modelId=arn, messages=user("who?"))
        text: str = answer["output"]["message"]["content"][0]["text"]
        return text

    assert says() == "old: who?"
    made = shop.bedrock.update_custom_model_deployment(customModelDeploymentIdentifier=arn, modelArn=new)
    assert made["customModelDeploymentArn"] == arn
    updated = shop.settled(arn)
    assert updated["updateDetails"] == {"modelArn": new, "updateStatus": "UpdateCompleted"}
    assert (updated["modelArn"], says()) == (new, "new: who?")
    unfit = shop.model(unique("unfit"), weights=UNFIT)
    shop.bedrock.update_custom_model_deployment(customModelDeploymentIdentifier=arn, modelArn=unfit)
    kept = shop.settled(arn)
    assert kept["updateDetails"] == {"modelArn": unfit, "updateStatus": "UpdateFailed"}
    assert (kept["status"], kept["modelArn"], says()) == ("Active", new, "new: who?")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with open_shop(tmp_path_factory.mktemp("slow")) as made:
        yield made


def test_until_it_was_checked_it_is_not_ready(slow: Shop) -> None:
    arn = slow.deploy("slow", slow.model("slow-model", weights=SLOW))
    assert slow.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["status"] == "Creating"
    body = {"body": b'{"messages": [{"role": "user", "content": [{"text": "?"}]}]}'}
    for operation, params in (
        ("Converse", {"messages": user("?")}),
        ("ConverseStream", {"messages": user("?")}),
        ("InvokeModel", body),
        ("InvokeModelWithResponseStream", body),
    ):
        assert code_of(slow.runtime, operation, modelId=arn, **params) == "ModelNotReadyException"
    listed = slow.bedrock.list_custom_model_deployments(statusEquals="Creating")["modelDeploymentSummaries"]
    assert [each["customModelDeploymentArn"] for each in listed] == [arn]
    ready = slow.active("ready")
    update = {"customModelDeploymentIdentifier": ready, "modelArn": slow.model("slower", weights=SLOW)}
    slow.bedrock.update_custom_model_deployment(**update)
    busy = slow.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=ready)
    assert busy["updateDetails"]["updateStatus"] == "Updating"
    assert code_of(slow.bedrock, UPDATE, **update) == "ValidationException"
    slow.live.may_check.set()
    assert slow.settled(arn)["status"] == "Active"
    assert slow.settled(ready)["updateDetails"]["updateStatus"] == "UpdateCompleted"
    until(lambda: slow.runtime.converse(modelId=arn, messages=user("?"))["stopReason"] == "end_turn")


def test_a_list_in_pages_by_every_filter(shop: Shop) -> None:
    word, model = unique("listed"), shop.model(unique("listed"))
    began = datetime.now(UTC) - timedelta(milliseconds=2)
    arns = [shop.active(f"{word}-{n}", model) for n in range(4)]

    def listed(**params: Any) -> list[str]:
        pages = shop.bedrock.get_paginator("list_custom_model_deployments")
        found = pages.paginate(nameContains=word, **params)
        return [each["customModelDeploymentArn"] for page in found for each in page["modelDeploymentSummaries"]]

    assert sorted(listed()) == sorted(arns)
    assert listed(sortOrder="Ascending", PaginationConfig={"PageSize": 1}) == listed()[::-1]
    assert sorted(listed(modelArnEquals=model)) == sorted(arns)
    assert listed(modelArnEquals=MODEL + "abcdefghijkl") == []
    assert sorted(listed(statusEquals="Active")) == sorted(arns)
    assert listed(statusEquals="Failed") == []
    assert sorted(listed(createdAfter=began)) == sorted(arns)
    assert listed(createdBefore=began) == []
    summary = shop.bedrock.list_custom_model_deployments(nameContains=word)["modelDeploymentSummaries"][0]
    assert summary["customModelDeploymentName"].startswith(word)  # another name for the member than Get's
    for params in ({"nextToken": "x"}, {"maxResults": 1001}, {"statusEquals": "Gone"}):
        assert code_of(shop.bedrock, "ListCustomModelDeployments", **params) == "ValidationException"
