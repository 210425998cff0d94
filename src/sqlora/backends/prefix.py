"""The tokens that all questions of a deployment begin with, so that their key/value cache is computed once."""

from __future__ import annotations

from typing import Any

from sqlora.prompting import encode, record, shared_prefix

# First characters that a tokenizer may merge differently with what precedes them.
_PROBES = ("How many?", "0", " x", "\n", "Übersicht", "?", '"')


def system_prefix(tokenizer: Any, system: str) -> tuple[int, ...]:
    """Token ids common to every prompt with this system text, whatever the question."""
    prompts = [encode(tokenizer, record(system, question)).prompt for question in _PROBES]
    return prompts[0][: shared_prefix(prompts)]


def prefix_length(prompt: tuple[int, ...], prefix: tuple[int, ...]) -> int:
    """How many tokens of ``prompt`` the cache of ``prefix`` may stand for: all of the prefix, or none."""
    return len(prefix) if len(prompt) > len(prefix) and prompt[: len(prefix)] == prefix else 0
