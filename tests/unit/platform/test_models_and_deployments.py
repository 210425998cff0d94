"""Custom models and what uses them."""

from __future__ import annotations

import sqlite3

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


def test_an_imported_model_is_created_before_its_files_are_there(state: State) -> None:
    model = state.models.create("retail", base_model="tiny", origin="imported", status="Creating")
    assert state.models.list(status="Creating", origin="imported") == [model]
    assert state.models.list(status="Active") == state.models.list(origin="trained") == []
    with pytest.raises(ConflictError, match="'retail' is Creating"):
        state.deployments.create("shop", model.id)
    assert state.models.activate("retail").status == "Active"
    assert state.deployments.create("shop", model.id, description="of Leeds").description == "of Leeds"
    with pytest.raises(ConflictError, match="is Active and cannot become Failed"):
        state.models.fail("retail", "too late")
    assert state.models.get("retail").failure_message is None


def test_a_failed_import_says_why_and_can_only_be_deleted(state: State) -> None:
    state.models.create("retail", base_model="tiny", status="Creating")
    failed = state.models.fail("retail", "no safetensors in it")
    assert (failed.status, failed.failure_message) == ("Failed", "no safetensors in it")
    with pytest.raises(ConflictError, match="is Failed and cannot become Active"):
        state.models.activate("retail")
    with pytest.raises(ConflictError, match="'retail' is Failed: no safetensors in it"):
        state.deployments.create("shop", "retail")
    assert state.models.delete("retail") == failed


@pytest.mark.parametrize(
    "change",
    ["status = 'Creating'", "status = 'Active'", "status = 'Deleting'", "failure_message = 'x'", "origin = 'stolen'"],
)
def test_the_database_itself_holds_the_rules_of_models(state: State, change: str) -> None:
    state.models.create("retail", base_model="tiny")
    with pytest.raises(sqlite3.IntegrityError):
        state.execute(f"UPDATE custom_models SET {change}")


def test_an_update_changes_the_model_when_it_is_complete(state: State) -> None:
    old, new = (state.models.create(name, base_model="tiny") for name in ("old", "new"))
    state.deployments.create("shop", old.id)
    with pytest.raises(ConflictError, match="'shop' is Creating and cannot be updated"):
        state.deployments.begin_update("shop", new.id)
    state.deployments.update("shop", status="Active")
    updating = state.deployments.begin_update("shop", "new")
    assert (updating.model_id, updating.update_status, updating.update_model_id) == (old.id, "Updating", new.id)
    with pytest.raises(ConflictError, match="'shop' is Updating and cannot be updated"):
        state.deployments.begin_update("shop", old.id)
    with pytest.raises(ConflictError, match="'new' is deployed as shop"):
        state.models.delete("new")
    done = state.deployments.complete_update("shop")
    assert (done.model_id, done.update_status, done.update_model_id) == (new.id, "UpdateCompleted", new.id)
    with pytest.raises(ConflictError, match="'shop' is not being updated"):
        state.deployments.fail_update("shop")
    assert state.models.delete("old") == old


def test_a_failed_update_leaves_the_old_model_answering_and_the_new_one_free(state: State) -> None:
    old, new = (state.models.create(name, base_model="tiny") for name in ("old", "new"))
    state.deployments.create("shop", old.id)
    state.deployments.update("shop", status="Active")
    state.deployments.begin_update("shop", new.id)
    failed = state.deployments.fail_update("shop")
    assert (failed.status, failed.model_id, failed.update_status) == ("Active", old.id, "UpdateFailed")
    assert state.models.delete("new") == new
    assert state.deployments.get("shop").update_model_id == new.id
    with pytest.raises(NotFoundError):
        state.deployments.begin_update("shop", new.id)
