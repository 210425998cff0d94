"""Whether a conversation fits into what a model can read, and how long its answer may then be."""

from __future__ import annotations

from dataclasses import replace

from sqlora.engines.base import Sampling
from sqlora.errors import ContextError
from sqlora.prompting import Turn

# No vocabulary has longer tokens (the longest are 128 spaces), so a text of more characters than that for each token
# of the context is refused before the seconds which it would take to count it.
LONGEST_TOKEN = 256


def check_characters(system: str, turns: list[Turn], context: int) -> None:
    """ContextError when the text cannot fit, whatever its tokens are."""
    characters = len(system) + sum(len(turn.text) for turn in turns)
    if characters > context * LONGEST_TOKEN:
        raise too_long(f"at least {characters // LONGEST_TOKEN:,}", characters // LONGEST_TOKEN, context)


def fit(prompt: int, sampling: Sampling, context: int) -> Sampling:
    """The sampling, its ``max_tokens`` cut to what the context has left beside ``prompt`` tokens.

    ContextError when not one token is left.
    """
    room = context - prompt
    if room < 1:
        raise too_long(f"{prompt:,}", prompt, context)
    return sampling if sampling.max_tokens <= room else replace(sampling, max_tokens=room)


def too_long(count: str, tokens: int, context: int) -> ContextError:
    """The error, with both numbers."""
    return ContextError(
        f"the conversation has {count} tokens; the model reads {context:,}, prompt and answer together",
        "ask with a shorter system text, schema or conversation",
        tokens=tokens,
        context=context,
    )
