"""Chat completions: one answer, whole or as server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlora.engines.base import Completion, Delta
from sqlora.serve.openai.errors import OpenAIError
from sqlora.serve.openai.request import ChatRequest

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


@dataclass(frozen=True)
class Chat:
    """One request's answer. ``id`` is its request id."""

    id: str
    request: ChatRequest
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, completion: Completion) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        message = {"role": "assistant", "content": completion.text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": FINISH[completion.stop_reason],
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage(completion)}

    async def events(
        self, pieces: AsyncIterator[Delta | Completion], translate: Callable[[Exception], OpenAIError]
    ) -> AsyncGenerator[str]:
        """``data:`` lines; a failure on the way is an event with ``error``, which ends the stream."""
        try:
            yield self._chunk({"role": "assistant", "content": "", "refusal": None})
            async for piece in pieces:
                if isinstance(piece, Delta):
                    yield self._chunk({"content": piece.text})
                    continue
                yield self._chunk({}, FINISH[piece.stop_reason])
                if self.request.include_usage:
                    yield _event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage(piece)})
        except Exception as error:
            yield _event(translate(error).body())
            return
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if self.request.include_usage:
            chunk["usage"] = None
        return _event(chunk)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "service_tier": "default",
            "system_fingerprint": None,
        }


def usage(completion: Completion) -> dict[str, Any]:
    """Tokens by the model's own tokenizer; the cached ones are part of the prompt."""
    return {
        "prompt_tokens": completion.input_tokens,
        "completion_tokens": completion.output_tokens,
        "total_tokens": completion.input_tokens + completion.output_tokens,
        "prompt_tokens_details": {"cached_tokens": completion.cached_tokens, "audio_tokens": 0},
    }


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
