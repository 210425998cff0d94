"""Models and deployments in any order of commands: what is allowed, what follows, and that nothing is left over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.state import State

MODELS = st.sampled_from(["red", "green", "blue"])
DEPLOYMENTS = st.sampled_from(["shop", "office"])


@dataclass
class Deployed:
    """What a deployment should be."""

    status: str
    model: str
    update: str | None = None
    update_to: str | None = None


class LifeCycles(RuleBasedStateMachine):
    """Two dictionaries and the database agree."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.state = State(Path(self.folder.name) / "state.db")
        # fsync of every step would be most of the test's time
        self.state.execute("PRAGMA synchronous = OFF")
        self.models: dict[str, str] = {}
        self.deployments: dict[str, Deployed] = {}

    def teardown(self) -> None:
        self.state.close()
        self.folder.cleanup()

    def try_it(self, error: type[Exception] | None, command: Callable[[], object]) -> bool:
        """Whether it was to be allowed, and was; otherwise exactly this error comes."""
        if error is None:
            command()
            return True
        with pytest.raises(error):
            command()
        return False

    def unfit(self, model: str) -> type[Exception] | None:
        """Why the model cannot be deployed."""
        if model not in self.models:
            return NotFoundError
        return None if self.models[model] == "Active" else ConflictError

    @initialize(updating=st.booleans())
    def begin_in_the_middle(self, updating: bool) -> None:
        """From nothing, few runs would come as far as an update."""
        for name in ("red", "green"):
            self.create_model(name, "Active")
        self.create_deployment("shop", "red")
        self.end_of_deployment("shop", True)
        if updating:
            self.begin_update("shop", "green")

    @rule(name=MODELS, status=st.sampled_from(["Creating", "Active"]))
    def create_model(self, name: str, status: str) -> None:
        def create() -> None:
            model = self.state.models.create(name, base_model="tiny", status=status)
            self.state.tags.put(f"model/{model.id}", {"colour": name})

        if self.try_it(ConflictError if name in self.models else None, create):
            self.models[name] = status

    @rule(name=MODELS, works=st.booleans())
    def end_of_creation(self, name: str, works: bool) -> None:
        found = self.models.get(name)
        error = NotFoundError if found is None else None if found == "Creating" else ConflictError
        models = self.state.models
        if self.try_it(error, lambda: models.activate(name) if works else models.fail(name, "no luck")):
            self.models[name] = "Active" if works else "Failed"

    @rule(name=MODELS)
    def delete_model(self, name: str) -> None:
        used = any(
            d.model == name or (d.update == "Updating" and d.update_to == name) for d in self.deployments.values()
        )
        error = NotFoundError if name not in self.models else ConflictError if used else None
        if self.try_it(error, lambda: self.state.models.delete(name)):
            del self.models[name]

    @rule(name=DEPLOYMENTS, model=MODELS)
    def create_deployment(self, name: str, model: str) -> None:
        def create() -> None:
            created = self.state.deployments.create(name, self.state.models.get(model).id)
            self.state.tags.put(f"deployment/{created.id}", {"of": model})

        error = self.unfit(model) or (ConflictError if name in self.deployments else None)
        if self.try_it(error, create):
            self.deployments[name] = Deployed("Creating", model)

    @rule(name=DEPLOYMENTS, works=st.booleans())
    def end_of_deployment(self, name: str, works: bool) -> None:
        found = self.deployments.get(name)
        if found is None or found.status != "Creating":
            return
        self.state.deployments.update(
            name, status="Active" if works else "Failed", failure_message=None if works else "no luck"
        )
        found.status = "Active" if works else "Failed"

    @rule(name=DEPLOYMENTS, model=MODELS)
    def begin_update(self, name: str, model: str) -> None:
        found = self.deployments.get(name)
        error: type[Exception] | None
        if found is None:
            error = NotFoundError
        elif found.status != "Active" or found.update == "Updating":
            error = ConflictError
        else:
            error = self.unfit(model)
        if self.try_it(error, lambda: self.state.deployments.begin_update(name, model)):
            assert found is not None
            found.update, found.update_to = "Updating", model

    @rule(name=DEPLOYMENTS, works=st.booleans())
    def end_of_update(self, name: str, works: bool) -> None:
        found = self.deployments.get(name)
        error = NotFoundError if found is None else None if found.update == "Updating" else ConflictError
        deployments = self.state.deployments
        if self.try_it(error, lambda: deployments.complete_update(name) if works else deployments.fail_update(name)):
            assert found is not None
            found.update = "UpdateCompleted" if works else "UpdateFailed"
            found.model = found.update_to or "" if works else found.model

    @rule(name=DEPLOYMENTS)
    def delete_deployment(self, name: str) -> None:
        error = None if name in self.deployments else NotFoundError
        if self.try_it(error, lambda: self.state.deployments.delete(name)):
            del self.deployments[name]

    @invariant()
    def both_tell_the_same(self) -> None:
        models = self.state.models.list()
        names = {model.id: model.name for model in models}
        assert {model.name: model.status for model in models} == self.models
        found = self.state.deployments.list()
        assert {d.name: (d.status, names[d.model_id], d.update_status) for d in found} == {
            name: (d.status, d.model, d.update) for name, d in self.deployments.items()
        }

    @invariant()
    def only_what_there_is_has_tags(self) -> None:
        resources = {f"model/{model.id}" for model in self.state.models.list()}
        resources |= {f"deployment/{deployment.id}" for deployment in self.state.deployments.list()}
        assert {row["resource"] for row in self.state.rows("SELECT resource FROM tags")} == resources


TestLifeCycles = LifeCycles.TestCase
TestLifeCycles.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
