"""Another model behind the same name, models from elsewhere, and what is deleted while it answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.backends.answer import Answer
from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion
from sqlora.errors import ConflictError, ModelError, NotFoundError
from sqlora.platform.models import CustomModel
from sqlora.prompting import record
from tests.conformance.echo import EchoEngine, echo_adapter
from tests.conformance.workplace import SYSTEM, add_model, open_backend, write_project


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[LocalBackend, EchoEngine]]:
    write_project(tmp_path)
    backend, engine = open_backend(tmp_path)
    with backend:
        for name in ("old", "new"):
            add_model(backend, name)
        backend.create_deployment("old", "shop")
        yield backend, engine


@pytest.fixture
def backend(place: tuple[LocalBackend, EchoEngine]) -> LocalBackend:
    return place[0]


@pytest.fixture
def engine(place: tuple[LocalBackend, EchoEngine]) -> EchoEngine:
    return place[1]


def begin(backend: LocalBackend) -> Answer:
    return backend.converse("shop", record(SYSTEM, "q"))


def text_of(answer: Answer) -> str:
    *_, last = answer
    assert isinstance(last, Completion)
    return last.text


def weights(backend: LocalBackend, model: str) -> Path:
    return backend.paths.path / backend.state.models.get(model).folder / "adapter_model.safetensors"


# updates --------------------------------------------------------------------------------------------------------


def test_the_old_adapter_goes_when_nothing_uses_it(backend: LocalBackend, engine: EchoEngine) -> None:
    text_of(begin(backend))
    backend.update_deployment("shop", "new")
    assert engine.adapters() == ()


def test_answers_that_have_begun_end_with_the_model_they_began_with(backend: LocalBackend, engine: EchoEngine) -> None:
    not_yet, running = begin(backend), begin(backend)
    next(running)
    updated = backend.update_deployment("shop", "new")
    assert (updated.model_id, updated.update_status) == (backend.state.models.get("new").id, "UpdateCompleted")
    assert text_of(begin(backend)) == "new: q"
    backend.delete_model("old")  # its files go; what is in memory stays until the answers end
    assert (text_of(running), text_of(not_yet)) == ("old: q", "old: q")
    assert engine.adapters() == (updated.model_id,)
    assert {row.deployment for row in backend.state.usage.list()} == {"shop"}


def test_the_old_adapter_stays_while_another_deployment_has_it(backend: LocalBackend, engine: EchoEngine) -> None:
    backend.create_deployment("old", "office")
    text_of(begin(backend))
    backend.update_deployment("shop", "new")
    assert engine.adapters() == (backend.state.models.get("old").id,)


def test_the_prefix_on_disk_is_the_new_models(backend: LocalBackend, engine: EchoEngine) -> None:
    text_of(begin(backend))
    backend.update_deployment("shop", "new")
    text_of(begin(backend))
    backend.unload("shop")
    text_of(begin(backend))
    assert [call for call in engine.calls if "prefix" in call] == ["save prefix", "save prefix", "load prefix"]


def test_an_adapter_that_does_not_fit_changes_nothing(backend: LocalBackend) -> None:
    weights(backend, "new").write_text("unfit")
    with pytest.raises(ModelError, match="does not fit"):
        backend.update_deployment("shop", "new")
    deployment = backend.deployment("shop")
    assert (deployment.update_status, deployment.status) == ("UpdateFailed", "Active")
    assert text_of(begin(backend)) == "old: q"


def test_an_update_that_was_cut_off_is_finished_later(backend: LocalBackend) -> None:
    backend.state.deployments.begin_update("shop", "new")
    assert text_of(begin(backend)) == "old: q"
    assert backend.finish_update("shop").update_status == "UpdateCompleted"
    assert text_of(begin(backend)) == "new: q"
    with pytest.raises(ConflictError):
        backend.finish_update("shop")


def test_what_is_not_there_cannot_be_updated(backend: LocalBackend) -> None:
    for deployment, model in (("shop", "nowhere"), ("nowhere", "new")):
        with pytest.raises(NotFoundError, match="nowhere"):
            backend.update_deployment(deployment, model)


def test_an_update_and_a_deletion_between_look_up_and_load_go_unnoticed(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = backend._target

    def late(deployment: str) -> object:
        target = look_up(deployment)
        monkeypatch.undo()
        backend.update_deployment("shop", "new")
        backend.delete_model("old")
        return target

    monkeypatch.setattr(backend, "_target", late)
    assert text_of(begin(backend)) == "new: q"


def test_a_deployment_deleted_while_it_answers(backend: LocalBackend, engine: EchoEngine) -> None:
    running = begin(backend)
    next(running)
    folder = backend.paths.deployment(backend.deployment("shop").id)
    backend.delete_deployment("shop")
    backend.delete_model("old")
    assert text_of(running) == "old: q"
    assert engine.adapters() == ()
    assert [row.deployment for row in backend.state.usage.list()] == ["shop"]
    folder.mkdir()  # as an answer leaves it that writes its prefix cache too late
    backend.sweep()
    assert not folder.exists()


def test_sweeping_leaves_the_folders_of_deployments_and_of_the_base_model(backend: LocalBackend) -> None:
    kept = [backend.paths.deployment(id) for id in ("base", backend.deployment("shop").id)]
    for folder in kept:
        folder.mkdir(exist_ok=True)
    backend.sweep()
    assert all(folder.is_dir() for folder in kept)


# imports --------------------------------------------------------------------------------------------------------


def test_an_imported_model_is_its_own_copy(backend: LocalBackend, tmp_path: Path) -> None:
    source = echo_adapter(tmp_path / "elsewhere", "far", system=SYSTEM, job_id="j")
    (source / "adapter_model.bin").write_bytes(b"pickle")
    model = backend.import_model("imported", source)
    assert (model.origin, model.status, model.base_model) == ("imported", "Active", "smollm2-135m")
    shutil.rmtree(source)
    folder = backend.paths.path / model.folder
    assert sorted(file.name for file in folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json",
    ]  # fmt: skip
    backend.create_deployment("imported")
    *_, last = backend.converse("imported", record("", "q"))
    assert isinstance(last, Completion)
    assert last.text == "far: q"
    assert backend.system("imported") == SYSTEM


def test_weights_of_the_project_itself_are_linked(backend: LocalBackend) -> None:
    source = backend.paths.path / backend.state.models.get("old").folder
    model = backend.import_model("again", source)
    assert weights(backend, "again").stat().st_ino == weights(backend, "old").stat().st_ino
    backend.delete_deployment("shop")
    backend.delete_model("old")
    assert weights(backend, model.id).read_text() == "old"


def test_weights_from_elsewhere_are_copied_also_through_a_link(backend: LocalBackend, tmp_path: Path) -> None:
    source = echo_adapter(tmp_path / "elsewhere", "far")
    linked = source / "adapter_model.safetensors"
    linked.rename(tmp_path / "blob")
    linked.symlink_to(tmp_path / "blob")
    model = backend.import_model("imported", source)
    copy = weights(backend, model.id)
    assert (copy.read_text(), copy.is_symlink()) == ("far", False)
    assert copy.stat().st_ino != (tmp_path / "blob").stat().st_ino


def test_what_does_not_fit_makes_no_model(backend: LocalBackend, tmp_path: Path) -> None:
    before = sorted(path.name for path in (backend.paths.path / "models").iterdir())
    with pytest.raises(ModelError, match="does not fit"):
        backend.import_model("imported", echo_adapter(tmp_path / "elsewhere", "unfit"))
    with pytest.raises(ModelError):
        backend.import_model("imported", tmp_path / "nowhere")
    with pytest.raises(ConflictError, match="'old' exists already"):
        backend.import_model("old", echo_adapter(tmp_path / "elsewhere", "far"))
    assert sorted(path.name for path in (backend.paths.path / "models").iterdir()) == before
    assert sorted(model.name for model in backend.state.models.list()) == ["new", "old"]


def creating(backend: LocalBackend) -> CustomModel:
    return backend.state.models.create("imported", base_model="smollm2-135m", origin="imported", status="Creating")


def test_a_model_is_filled_that_has_its_name_already(backend: LocalBackend, tmp_path: Path) -> None:
    source = echo_adapter(tmp_path / "elsewhere", "far")
    model = creating(backend)
    with pytest.raises(ConflictError, match="is Creating"):
        backend.create_deployment("imported")
    assert backend.fill_model(model.id, source).status == "Active"
    other = echo_adapter(tmp_path / "other", "other")
    with pytest.raises(ConflictError, match="'imported' is Active"):
        backend.fill_model(model.id, other)
    assert weights(backend, model.id).read_text() == "far"


def test_a_model_that_could_not_be_filled_has_failed(backend: LocalBackend, tmp_path: Path) -> None:
    model = creating(backend)
    with pytest.raises(ModelError):
        backend.fill_model(model.id, echo_adapter(tmp_path / "elsewhere", "unfit"))
    failed = backend.state.models.get(model.id)
    assert (failed.status, "does not fit" in (failed.failure_message or "")) == ("Failed", True)


def test_a_model_deleted_while_it_is_filled_leaves_no_files(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = creating(backend)
    monkeypatch.setattr(backend, "_check_adapter", lambda *_: backend.delete_model(model.id) or {})
    with pytest.raises(NotFoundError):
        backend.fill_model(model.id, echo_adapter(tmp_path / "elsewhere", "far"))
    assert not (backend.paths.path / model.folder).exists()
