"""The system text that a target is asked with: that of the data which its model was trained on."""

from __future__ import annotations

import json
from functools import lru_cache

from sqlora.backends.target import Target
from sqlora.errors import SqloraError
from sqlora.platform.models import CustomModel
from sqlora.prepare.dataset import Dataset, list_datasets
from sqlora.project import Project
from sqlora.prompting import parts, system_text

MOST_MODELS = 256  # whose texts are kept in memory


class Systems:
    """The system texts of a project's models. Safe to use from several threads."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._of_model = lru_cache(MOST_MODELS)(self._read_model)
        self._of_dataset = lru_cache(MOST_MODELS)(dataset_system)
        self._known = lru_cache(MOST_MODELS)(self._read_known)

    def of(self, target: Target) -> str:
        """That of the data the target was trained on; for the base model, of the newest dataset.

        Without one, what the project's own dialect and schema give; the error of the project's database when it has
        none that can be read.
        """
        if target.model is not None:
            return self._of_model(target.model)
        newest = self._newest()  # datasets come and go while the base model is served
        return (newest and self._of_dataset(newest)) or self._project_system()

    def known(self, target: Target) -> str | None:
        """The same; None where there is none, as of an adapter from elsewhere in a project without a database."""
        return self._known(target, self._newest() if target.model is None else None)

    def is_own(self, target: Target, text: str) -> bool:
        """Whether ``text`` is the one that the target's questions come with, so that its prefix is worth a file.

        Told by what was known when it was first asked about this model and dataset: a client that sends a new text
        with every request must not have the project's database opened each time.
        """
        return text == self.known(target)

    def _read_known(self, target: Target, newest: Dataset | None) -> str | None:
        try:
            return self.of(target)
        except SqloraError:  # no dataset and no database: it cannot be told
            return None

    def _newest(self) -> Dataset | None:
        return next(iter(list_datasets(self._project.state)), None)

    def _read_model(self, model: CustomModel) -> str:
        manifest = self._project.state / model.folder / "manifest.json"
        try:
            system = json.loads(manifest.read_text(encoding="utf-8")).get("system")
        except (FileNotFoundError, json.JSONDecodeError):
            system = None
        return system if isinstance(system, str) and system else self._project_system()

    def _project_system(self) -> str:
        dialect, schema = self._project.dialect(), self._project.schema()
        return system_text(dialect.name, schema.to_prompt(self._project.prepare.schema_style, dialect))


def dataset_system(dataset: Dataset) -> str | None:
    """The system text that all training records of a dataset share; None when they differ (several schemas)."""
    systems: set[str] = set()
    for conversation in dataset.records("train"):
        systems.add(parts(conversation)[0])
        if len(systems) > 1:
            return None
    return systems.pop() if systems else None
