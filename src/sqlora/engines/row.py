"""One request being answered, token by token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from sqlora.engines.base import Completion, Delta, Request, StopReason
from sqlora.engines.sampling import cut, may_stop


@dataclass
class Row:
    """``shown`` tokens have their text given out; ``generator`` None is greedy."""

    request: Request
    generator: torch.Generator | None
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    shown: int = 0
    first_token_seconds: float = 0.0
    stop_reason: StopReason | None = None

    def take(self, token: int, tokenizer: Any, ends: set[int]) -> Delta | None:
        """Add a token; returns the new text that can be shown, if there is any."""
        sampling = self.request.sampling
        self.tokens.append(token)
        text: str = tokenizer.decode(self.tokens, skip_special_tokens=True)
        if (end := cut(text, sampling.stop)) is not None:
            text, self.stop_reason = text[:end], "stop_sequence"
        elif token in ends:
            self.stop_reason = "end_turn"
        elif len(self.tokens) >= sampling.max_tokens:
            self.stop_reason = "max_tokens"
        elif text.endswith("\ufffd") or may_stop(text, sampling.stop):
            return None  # half a character, or what may become a stop sequence, waits for the next token
        delta, self.text = text[len(self.text) :], text
        if not delta:
            return None
        made_of, self.shown = len(self.tokens) - self.shown, len(self.tokens)
        return Delta(delta, made_of)

    def completion(self, cached: int, seconds: float) -> Completion:
        """The whole answer, once it has a reason to end."""
        assert self.stop_reason is not None
        return Completion(
            text=self.text,
            input_tokens=len(self.request.prompt),
            output_tokens=len(self.tokens),
            cached_tokens=cached,
            stop_reason=self.stop_reason,
            first_token_seconds=self.first_token_seconds,
            seconds=seconds,
        )
