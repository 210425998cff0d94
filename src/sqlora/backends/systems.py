"""The system text that a target is asked with: that of the data which its model was trained on."""

from __future__ import annotations

import json
import threading
import time
from functools import lru_cache

from sqlora.backends.target import Target
from sqlora.errors import SqloraError
from sqlora.platform.models import CustomModel
from sqlora.prepare.dataset import Dataset, list_datasets
from sqlora.project import Project
from sqlora.prompting import SchemaPrompt, parts

MOST_MODELS = 256  # whose texts are kept in memory
FRESH_SECONDS = 60.0  # for which a schema that was read counts as the database's


class Systems:
    """The system texts of a project's models. Safe to use from several threads."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._of_model = lru_cache(MOST_MODELS)(self._read_model)
        self._of_dataset = lru_cache(MOST_MODELS)(dataset_system)
        self._known = lru_cache(MOST_MODELS)(self._read_known)
        self._reading = threading.Lock()
        self._prompt: SchemaPrompt | None = None
        self._read_at = 0.0

    def of(self, target: Target, question: str = "") -> str:
        """That of the data the target was trained on; for the base model, of the newest dataset.

        Without one, and where the data shows each question what it needs of a wide schema, what the project's own
        dialect and schema give; the error of the project's database when it has none that can be read.
        """
        if target.model is not None:
            trained = self._of_model(target.model)
        else:
            newest = self._newest()  # datasets come and go while the base model is served
            trained = self._of_dataset(newest) if newest else None
        return trained or self._project_prompt().system(question)

    def known(self, target: Target, question: str = "") -> str | None:
        """The same; None where there is none, as of an adapter from elsewhere in a project without a database."""
        prompt = self._known(target, self._newest() if target.model is None else None)
        return prompt.system(question) if isinstance(prompt, SchemaPrompt) else prompt

    def is_own(self, target: Target, text: str) -> bool:
        """Whether ``text`` is the one that the target's questions come with, so that its prefix is worth a file.

        Told by what was known when it was first asked about this model and dataset: a client that sends a new text
        with every request must not have the project's database opened each time.
        """
        return text == self.known(target)

    def _read_known(self, target: Target, newest: Dataset | None) -> str | SchemaPrompt | None:
        try:
            if target.model is not None:
                return self._of_model(target.model) or self._project_prompt()
            return (newest and self._of_dataset(newest)) or self._project_prompt()
        except SqloraError:  # no dataset and no database: it cannot be told
            return None

    def _newest(self) -> Dataset | None:
        return next(iter(list_datasets(self._project.state)), None)

    def _read_model(self, model: CustomModel) -> str | None:
        manifest = self._project.state / model.folder / "manifest.json"
        try:
            system = json.loads(manifest.read_text(encoding="utf-8")).get("system")
        except (FileNotFoundError, json.JSONDecodeError):
            system = None
        return system if isinstance(system, str) and system else None

    def _project_prompt(self) -> SchemaPrompt:
        """That of the database as it is, or was a short while ago: a wide schema takes long to read."""
        with self._reading:
            if self._prompt is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._prompt, self._read_at = self._project.schema_prompt(), time.monotonic()
            return self._prompt


def dataset_system(dataset: Dataset) -> str | None:
    """The system text that all training records of a dataset share; None when they differ (several schemas)."""
    systems: set[str] = set()
    for conversation in dataset.records("train"):
        systems.add(parts(conversation)[0])
        if len(systems) > 1:
            return None
    return systems.pop() if systems else None
