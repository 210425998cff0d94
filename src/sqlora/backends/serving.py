"""Deployment + conversation → engine + request: adapters and prefix caches are loaded when first asked for.

What is kept here does not grow with what clients send: the engine bounds its prefix caches in bytes, `Residency` the
adapters, and the tables here have a fixed number of entries. Of system texts, only the deployment's own has a file.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from sqlora.backends.context import check_characters, fit
from sqlora.backends.prefix import prefix_length, system_prefix
from sqlora.backends.systems import Systems
from sqlora.backends.target import Target
from sqlora.engines.base import Engine, Request, Sampling
from sqlora.engines.residency import Residency
from sqlora.project import Project
from sqlora.prompting import asked_in, encode, read_turns

PREFIX_FILE = "prefix.safetensors"
MOST_TEXTS = 64  # system texts whose tokens are kept; each fits the context, so they are some megabytes at most


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


def open_base(name: str) -> Served:
    """Load a base model into the reference engine (seconds, once it is converted)."""
    from sqlora.engines.torch import TorchEngine
    from sqlora.models.base import resolve_base_model

    engine = TorchEngine(resolve_base_model(name))
    return Served(engine, engine.tokenizer)


class Serving:
    """The base models in memory and what is loaded over them. Safe to use from several threads."""

    def __init__(
        self,
        project: Project,
        open_base: Callable[[str], Served] = open_base,
        residency: Residency | None = None,
    ) -> None:
        self.residency = residency or Residency()
        self.systems = Systems(project)
        self._project, self._open_base = project, open_base
        self._served: dict[str, Served] = {}
        self._opening = threading.Lock()  # a base model is opened once, whoever asks first
        self._warming = threading.Lock()  # and so is a prefix computed or read
        self._prefix = lru_cache(MOST_TEXTS)(self._prefix_of)

    @contextmanager
    def prepared(
        self, target: Target, conversations: Sequence[Mapping[str, Any]], sampling: Sampling | None
    ) -> Iterator[tuple[Engine, list[Request]]]:
        """The engine with the target's adapter and prefix at hand, and one request for each conversation.

        The adapter stays until the block is left, which another thread may do. ContextError for a conversation that
        is too long, DatasetError for what is none.
        """
        served = self._serve(target.base_model)
        asked = [self._ask(served, target, conversation, sampling or Sampling()) for conversation in conversations]
        with self._leased(served, target):
            for prefix, system in dict.fromkeys((request.prompt[: request.prefix], text) for request, text in asked):
                self._warm(served, target, prefix, system)
            yield served.engine, [request for request, _ in asked]

    def count(self, target: Target, conversation: Mapping[str, Any]) -> int:
        """The tokens of the prompt, the target's own system text among them where the conversation has none.

        ContextError only for a text so long that counting it would be work.
        """
        served = self._serve(target.base_model)
        return len(self._encode(served, target, conversation)[0])

    def forget(self, target: Target) -> None:
        """Take the target's adapter and prefix out of memory, at the end of its last request; the base model stays."""
        if target.adapter is not None:
            self.residency.evict(target.adapter)
            return
        served = self._served.get(target.base_model)
        if served is not None and isinstance(served.engine, Forgetting):
            served.engine.forget_prefixes()

    # inside ---------------------------------------------------------------------------------------------------

    def _serve(self, base_model: str) -> Served:
        with self._opening:
            if base_model not in self._served:
                self._served[base_model] = self._open_base(base_model)
            return self._served[base_model]

    def _leased(self, served: Served, target: Target) -> contextlib.AbstractContextManager[None]:
        if target.model is None:
            return contextlib.nullcontext()
        name, folder, engine = target.model.id, self._project.state / target.model.folder, served.engine
        return self.residency.lease(
            name, lambda: engine.load_adapter(name, folder), lambda: engine.unload_adapter(name)
        )

    def _ask(
        self, served: Served, target: Target, conversation: Mapping[str, Any], sampling: Sampling
    ) -> tuple[Request, str]:
        """The request, and the system text that it begins with."""
        prompt, system = self._encode(served, target, conversation)
        sampling = fit(len(prompt), sampling, served.engine.context)
        length = prefix_length(prompt, self._prefix(target.base_model, system))
        return Request(prompt, target.adapter, sampling, length), system

    def _encode(self, served: Served, target: Target, conversation: Mapping[str, Any]) -> tuple[tuple[int, ...], str]:
        system, turns = read_turns(conversation)
        if not system and target.model is not None:
            system = self.systems.known(target, asked_in(conversation)) or ""  # nobody's is better than no answer
            conversation = {**conversation, "system": [{"text": system}]} if system else conversation
        check_characters(system, turns, served.engine.context)
        return encode(served.tokenizer, conversation).prompt, system

    def _prefix_of(self, base_model: str, system: str) -> tuple[int, ...]:
        """The tokens of all questions with this system text."""
        return system_prefix(self._served[base_model].tokenizer, system)

    def _warm(self, served: Served, target: Target, prefix: tuple[int, ...], system: str) -> None:
        """The target's own prefix from its file, or computed and written to it; any other is the engine's alone."""
        engine, adapter = served.engine, target.adapter
        if not prefix or engine.has_prefix(adapter, prefix) or not self.systems.is_own(target, system):
            return
        with self._warming:
            file = target.folder / PREFIX_FILE
            if not engine.has_prefix(adapter, prefix) and not engine.load_prefix(adapter, prefix, file):
                with contextlib.suppress(OSError):  # a full disk costs the next start its time, not this answer
                    engine.save_prefix(adapter, prefix, file)
