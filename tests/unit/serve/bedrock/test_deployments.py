from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sqlora.serve.aws.arns import Arns
from tests.unit.serve.bedrock.conftest import Wire
from tests.unit.serve.bedrock.test_jobs import refused

ARNS = Arns("us-east-1")


def arn_of(wire: Wire, name: str, text: str | None = None) -> str:
    return ARNS.model(wire.model(name, text).id)


def settled(wire: Wire, client: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
        busy = found["status"] == "Creating" or found.get("updateDetails", {}).get("updateStatus") == "Updating"
        return None if busy else found

    result: dict[str, Any] = wire.until(look)
    return result


def create(client: Any, model: str, name: str = "live", **more: Any) -> str:
    arn: str = client.create_custom_model_deployment(modelDeploymentName=name, modelArn=model, **more)[
        "customModelDeploymentArn"
    ]
    return arn


def test_a_deployment_from_the_call_to_its_end(wire: Wire, client: Any) -> None:
    model = arn_of(wire, "m")
    arn = create(client, model, description="for the shop", tags=[{"key": "a", "value": "1"}])
    found = settled(wire, client, arn)
    assert (found["status"], found["modelDeploymentName"], found["modelArn"]) == ("Active", "live", model)
    assert found["description"] == "for the shop"
    assert client.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "a", "value": "1"}]
    assert client.get_custom_model_deployment(customModelDeploymentIdentifier="live")["customModelDeploymentArn"] == arn
    client.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    for call in (client.get_custom_model_deployment, client.delete_custom_model_deployment):
        assert refused(call, customModelDeploymentIdentifier=arn)[0] == "ResourceNotFoundException"
    assert refused(client.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"
    assert client.get_custom_model(modelIdentifier=model)["modelStatus"] == "Active"


def test_an_adapter_that_is_damaged_fails_the_deployment(wire: Wire, client: Any) -> None:
    found = settled(wire, client, create(client, arn_of(wire, "m", "unfit")))
    assert found["status"] == "Failed"
    assert "does not fit" in found["failureMessage"]
    update = {"customModelDeploymentIdentifier": "live", "modelArn": arn_of(wire, "other")}
    assert refused(client.update_custom_model_deployment, **update)[0] == "ValidationException"


def test_the_model_must_be_there(wire: Wire, client: Any) -> None:
    wire.model("abcdefghijkl")
    for missing in ("abcdefghijkl", "000000000000"):  # one is the name of a model, and no id
        call = client.create_custom_model_deployment
        assert refused(call, modelDeploymentName="d", modelArn=ARNS.model(missing))[0] == "ResourceNotFoundException"


def test_names_are_unique_and_conflicts_not_declared(wire: Wire, client: Any) -> None:
    model = arn_of(wire, "m")
    create(client, model)
    call = client.create_custom_model_deployment
    for name in ("live", "base", "smollm2-135m"):
        assert refused(call, modelDeploymentName=name, modelArn=model)[0] == "ValidationException"


def test_a_token_makes_one_deployment(wire: Wire, client: Any) -> None:
    model = arn_of(wire, "m")
    arn = create(client, model, clientRequestToken="t")
    assert create(client, model, clientRequestToken="t") == arn
    call = client.create_custom_model_deployment
    other = {"modelDeploymentName": "other", "modelArn": model, "clientRequestToken": "t"}
    assert refused(call, **other)[0] == "ValidationException"
    assert len(wire.state.deployments.list()) == 1


def test_another_model_behind_the_same_name(wire: Wire, client: Any) -> None:
    old, new = arn_of(wire, "old"), arn_of(wire, "new")
    arn = create(client, old)
    settled(wire, client, arn)
    answer = client.update_custom_model_deployment(customModelDeploymentIdentifier=arn, modelArn=new)
    assert answer["customModelDeploymentArn"] == arn
    found = settled(wire, client, arn)
    assert (found["modelArn"], found["status"]) == (new, "Active")
    assert found["updateDetails"] == {"modelArn": new, "updateStatus": "UpdateCompleted"}
    client.delete_custom_model(modelIdentifier=old)


def test_an_update_to_a_damaged_model_leaves_the_old_one(wire: Wire, client: Any) -> None:
    old, new = arn_of(wire, "old"), arn_of(wire, "new", "unfit")
    arn = create(client, old)
    settled(wire, client, arn)
    client.update_custom_model_deployment(customModelDeploymentIdentifier="live", modelArn=new)
    found = settled(wire, client, arn)
    assert (found["modelArn"], found["status"]) == (old, "Active")
    assert found["updateDetails"] == {"modelArn": new, "updateStatus": "UpdateFailed"}


def test_what_was_under_way_goes_on_after_a_restart(wire: Wire, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = arn_of(wire, "old"), arn_of(wire, "new")
    updated = create(client, old)
    settled(wire, client, updated)
    with monkeypatch.context() as patched:
        patched.setattr(wire.activation, "resume", lambda: None)
        created = create(client, old, "second")
        client.update_custom_model_deployment(customModelDeploymentIdentifier=updated, modelArn=new)
        assert client.get_custom_model_deployment(customModelDeploymentIdentifier=created)["status"] == "Creating"
    wire.close()
    wire.open()
    assert settled(wire, client, created)["status"] == "Active"
    assert settled(wire, client, updated)["modelArn"] == new


def test_lists_are_filtered_and_name_what_get_names_otherwise(wire: Wire, client: Any) -> None:
    first, second = arn_of(wire, "first"), arn_of(wire, "second")
    for name, model in (("a1", first), ("a2", first), ("b1", second)):
        settled(wire, client, create(client, model, name))
    settled(wire, client, create(client, arn_of(wire, "bad", "unfit"), "c1"))

    def names(**filters: Any) -> list[str]:
        pages = client.get_paginator("list_custom_model_deployments").paginate(
            PaginationConfig={"PageSize": 2}, **filters
        )
        return sorted(row["customModelDeploymentName"] for page in pages for row in page["modelDeploymentSummaries"])

    assert names() == ["a1", "a2", "b1", "c1"]
    assert names(nameContains="a") == ["a1", "a2"]
    assert names(statusEquals="Failed") == ["c1"]
    assert names(modelArnEquals=second) == ["b1"]
    hour = timedelta(hours=1)
    assert names(createdBefore=datetime.now(UTC) - hour) == []
    assert names(createdAfter=datetime.now(UTC) - hour) == ["a1", "a2", "b1", "c1"]
