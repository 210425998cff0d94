"""What an engine is: tokens in, tokens out, with exchangeable adapters over one base model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

StopReason = Literal["end_turn", "max_tokens", "stop_sequence"]


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 1 keep all candidates.

    ``beams`` over 1 searches for the most probable answers as a whole (temperature, top-k and top-p don't apply):
    the completion is the best of them and carries the others.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    beams: int = 1


@dataclass(frozen=True)
class Request:
    """One prompt. Its first ``prefix`` tokens belong to the deployment, not to the question: their key/value
    cache is computed once and kept. ``adapter`` None asks the base model."""

    prompt: tuple[int, ...]
    adapter: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    prefix: int = 0


@dataclass(frozen=True)
class Delta:
    """A piece of an answer; ``tokens`` counts what it was made of."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Completion:
    """A whole answer. Times in seconds since the request began; ``cached_tokens`` of the input were not computed.

    ``alternatives``: the texts of the other beams, the most probable first; their tokens are in ``output_tokens``.
    """

    text: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    stop_reason: StopReason
    first_token_seconds: float
    seconds: float
    alternatives: tuple[str, ...] = ()


class Engine(Protocol):
    """Runs tokens over one base model with any number of loaded adapters. Safe to use from several threads.

    Who unloads an adapter sees to it that no request with it runs (`sqlora.engines.residency`).
    """

    @property
    def context(self) -> int:
        """The most tokens that a prompt and its answer may have together."""

    def load_adapter(self, name: str, folder: Path) -> int:
        """Make an adapter (PEFT format) available under ``name``; the bytes it takes in memory.

        `ModelError` when it does not fit the base.
        """

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter and its prefix caches; unknown names are ignored."""

    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, computing together those that share adapter and prefix."""

    def stream(self, request: Request) -> Iterator[Delta | Completion]:
        """Deltas as they come, then the `Completion`."""

    def has_prefix(self, adapter: str | None, prefix: Sequence[int]) -> bool:
        """Whether the prefix's key/value cache is in memory; asking counts as a use of it."""

    def save_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> None:
        """Write the prefix's key/value cache (computing it if needed), aside and renamed."""

    def load_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> bool:
        """Take the cache from disk; False when the file is of another prefix, adapter or base."""
