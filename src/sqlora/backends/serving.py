"""Deployment + conversation → engine + request: adapters and prefix caches are loaded when first asked for."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sqlora.backends.base import BASE
from sqlora.backends.prefix import prefix_length, system_prefix
from sqlora.engines.base import Engine, Request, Sampling
from sqlora.errors import SqloraError
from sqlora.platform.models import CustomModel
from sqlora.prepare.dataset import Dataset, list_datasets
from sqlora.project import Project
from sqlora.prompting import encode, parts, record, system_text

PREFIX_FILE = "prefix.safetensors"


@dataclass(frozen=True)
class Served:
    """A base model in memory: the engine that runs it and the tokenizer that counts for it."""

    engine: Engine
    tokenizer: Any


@runtime_checkable
class Forgetting(Protocol):
    """An engine that can drop its prefix caches, the base model's among them."""

    def forget_prefixes(self) -> None:
        """Drop those in memory."""


@dataclass(frozen=True)
class Target:
    """What a deployment's name stands for. ``model`` None is the untuned base; ``folder`` keeps its prefix cache."""

    name: str
    base_model: str
    model: CustomModel | None
    folder: Path

    @property
    def adapter(self) -> str | None:
        """The adapter's name in the engine: deployments of one model share it."""
        return self.model.id if self.model else None


def open_base(name: str) -> Served:
    """Load a base model into the reference engine (seconds, once it is converted)."""
    from sqlora.engines.torch import TorchEngine
    from sqlora.models.base import resolve_base_model

    engine = TorchEngine(resolve_base_model(name))
    return Served(engine, engine.tokenizer)


class Serving:
    """The base models in memory and what is loaded over them. Safe to use from several threads."""

    def __init__(self, project: Project, open_base: Callable[[str], Served] = open_base) -> None:
        self._project, self._open_base = project, open_base
        self._served: dict[str, Served] = {}
        self._prefixes: dict[tuple[str, str], tuple[int, ...]] = {}  # of (base model, system text)
        self._warm: set[tuple[str, str | None, tuple[int, ...]]] = set()  # (base model, adapter, prefix) on disk
        self._systems: dict[str | None, str] = {}
        self._lock = threading.RLock()

    def prepare(
        self, target: Target, conversations: Sequence[Mapping[str, Any]], sampling: Sampling | None
    ) -> tuple[Engine, list[Request]]:
        """The engine with the target's adapter and prefix at hand, and one request for each conversation."""
        with self._lock:  # the engine computes one thing at a time anyway, and nothing is to be loaded twice
            served = self._serve(target)
            return served.engine, [
                self._request(served, target, conversation, sampling or Sampling()) for conversation in conversations
            ]

    def _serve(self, target: Target) -> Served:
        if target.base_model not in self._served:
            self._served[target.base_model] = self._open_base(target.base_model)
        served = self._served[target.base_model]
        if target.model is not None and target.model.id not in served.engine.adapters():
            served.engine.load_adapter(target.model.id, self._project.state / target.model.folder)
        return served

    def _request(self, served: Served, target: Target, conversation: Mapping[str, Any], sampling: Sampling) -> Request:
        system, question, _ = parts(conversation)
        if not system and target.model is not None:
            system = self.system(target)
        prompt = encode(served.tokenizer, record(system, question)).prompt
        length = prefix_length(prompt, self._prefix(served, target, system))
        return Request(prompt, target.adapter, sampling, length)

    def _prefix(self, served: Served, target: Target, system: str) -> tuple[int, ...]:
        """The prefix of all questions with this system text; the target's own is kept on disk as well."""
        key = (target.base_model, system)
        if key not in self._prefixes:
            self._prefixes[key] = system_prefix(served.tokenizer, system)
        prefix = self._prefixes[key]
        warm = (target.base_model, target.adapter, prefix)
        if prefix and warm not in self._warm and system == self._known_system(target):
            file = target.folder / PREFIX_FILE
            if not served.engine.load_prefix(target.adapter, prefix, file):
                with contextlib.suppress(OSError):  # a full disk costs the next start its time, not this answer
                    served.engine.save_prefix(target.adapter, prefix, file)
            self._warm.add(warm)
        return prefix

    def forget(self, target: Target) -> None:
        """Take the target's adapter and prefix out of memory; the base model itself stays."""
        with self._lock:
            served = self._served.get(target.base_model)
            if served is not None and target.adapter is not None:
                served.engine.unload_adapter(target.adapter)
            elif served is not None and isinstance(served.engine, Forgetting):
                served.engine.forget_prefixes()
            self._warm = {warm for warm in self._warm if warm[:2] != (target.base_model, target.adapter)}

    # what it is asked with ------------------------------------------------------------------------------------

    def system(self, target: Target) -> str:
        """The system text of the data the target was trained on; for the base model, of the newest dataset.

        Without one, what the project's own dialect and schema give.
        """
        with self._lock:
            if target.model is None:  # datasets come and go while the base model is served
                return self._newest_system() or self._project_system()
            if target.adapter not in self._systems:
                self._systems[target.adapter] = self._trained_system(target.model) or self._project_system()
            return self._systems[target.adapter]

    def _known_system(self, target: Target) -> str | None:
        """The target's own system text, or None when it cannot be told (no dataset, no database)."""
        try:
            return self.system(target)
        except SqloraError:
            return None

    def _newest_system(self) -> str | None:
        datasets = list_datasets(self._project.state)
        return dataset_system(datasets[0]) if datasets else None

    def _trained_system(self, model: CustomModel) -> str | None:
        manifest = self._project.state / model.folder / "manifest.json"
        try:
            system = json.loads(manifest.read_text(encoding="utf-8")).get("system")
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return system if isinstance(system, str) else None

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


def target_of_base(project: Project) -> Target:
    """The untuned base model of the project."""
    return Target(BASE, project.train.base_model, None, project.paths.deployment(BASE))
