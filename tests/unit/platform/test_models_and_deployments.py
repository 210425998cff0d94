"""Custom models and what uses them."""

from __future__ import annotations

import pytest

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.state import State


def test_a_model_lies_in_a_folder_of_its_own_id(state: State) -> None:
    model = state.models.create("retail", base_model="tiny")
    assert model.folder == f"models/{model.id}"
    assert state.models.get(model.id) == state.models.get("retail") == model
    assert state.models.list(base_model="tiny") == [model]
    assert state.models.list(base_model="other") == state.models.list(name_contains="x") == []


def test_a_name_that_is_anothers_id_means_the_id(state: State) -> None:
    first = state.models.create("retail", base_model="tiny")
    state.models.create(first.id, base_model="tiny")
    assert state.models.get(first.id) == first


def test_rename(state: State) -> None:
    state.models.create("taken", base_model="tiny")
    model = state.models.create("retail", base_model="tiny")
    assert state.models.rename(model.id, "larkspur").name == "larkspur"
    with pytest.raises(ConflictError, match="'taken' exists"):
        state.models.rename(model.id, "taken")


def test_a_model_in_use_cannot_be_deleted(state: State) -> None:
    model = state.models.create("retail", base_model="tiny")
    state.deployments.create("shop", model.id)
    state.deployments.create("office", model.id)
    with pytest.raises(ConflictError, match="'retail' is deployed as office, shop") as caught:
        state.models.delete("retail")
    assert caught.value.next_step == "sqlora deployments rm office"
    state.deployments.delete("shop")
    state.deployments.delete("office")
    assert state.models.delete("retail") == model
    with pytest.raises(NotFoundError, match="no custom model 'retail'"):
        state.models.get("retail")


def test_a_deployment_becomes_active_or_fails_with_a_message(state: State) -> None:
    model = state.models.create("retail", base_model="tiny")
    deployment = state.deployments.create("shop", model.id)
    assert deployment.status == "Creating"
    assert state.deployments.update("shop", status="Failed", failure_message="no file").failure_message == "no file"
    active = state.deployments.update("shop", status="Active")
    assert (active.status, active.failure_message) == ("Active", None)
    assert state.deployments.list(status="Active", model_id=model.id) == [active]


def test_another_model_behind_the_same_name(state: State) -> None:
    old, new = (state.models.create(name, base_model="tiny") for name in ("old", "new"))
    state.deployments.create("shop", old.id)
    assert state.deployments.update("shop", model_id=new.id).model_id == new.id
    assert state.models.delete("old") == old
    with pytest.raises(NotFoundError):
        state.deployments.update("shop", model_id=old.id)


def test_deployment_names_are_taken_once_and_the_model_must_be_there(state: State) -> None:
    model = state.models.create("retail", base_model="tiny")
    state.deployments.create("shop", model.id)
    with pytest.raises(ConflictError, match="'shop' exists"):
        state.deployments.create("shop", model.id)
    with pytest.raises(NotFoundError, match="no custom model"):
        state.deployments.create("other", "nowhere")
    with pytest.raises(NotFoundError, match="no deployment 'other'"):
        state.deployments.get("other")
