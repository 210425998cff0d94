"""The body of POST /v1/chat/completions → a conversation and how to answer it.

What this server cannot do is refused where a client asks for it, and accepted where it names the default: a program
that says ``n=1`` or ``response_format={"type": "text"}`` asks for nothing special.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from sqlora.engines.base import Sampling
from sqlora.prompting import SCHEMA_VERSION
from sqlora.serve.json_text import read_json
from sqlora.serve.openai.errors import OpenAIError

DEFAULT_MAX_TOKENS = 5_000  # as Bedrock's; what fits the model's context, if that is less

# key → what it may say without asking for something; anything else is refused
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "service_tier": ("auto", "default"),
    "store": (False,),
}
_SYSTEM = ("system", "developer")
# Keys that change nothing about an answer here.
_IGNORED = (
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Part(_Section):
    type: Literal["text"]
    text: str


class _Message(_Section):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    name: str | None = None
    refusal: str | None = None
    annotations: list[Any] = []

    def text(self) -> str:
        """Its parts as lines."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _StreamOptions(_Section):
    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(_Section):
    """A request that can be answered."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    messages: list[_Message] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    stop: Annotated[list[str], BeforeValidator(_as_list), Field(max_length=4)] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self) -> Sampling:
        """OpenAI's defaults: temperature 1, all candidates."""
        return Sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens or DEFAULT_MAX_TOKENS,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            stop=tuple(stop for stop in self.stop or () if stop),
            seed=self.seed,
        )

    def conversation(self) -> dict[str, Any]:
        """The record; the system's texts come first, wherever they stood."""
        system = [message.text() for message in self.messages if message.role in _SYSTEM]
        turns = [message for message in self.messages if message.role not in _SYSTEM]
        if not turns or turns[0].role != "user" or turns[-1].role != "user":
            raise OpenAIError(400, "the conversation must begin and end with a message of the user", "messages")
        return {
            "schemaVersion": SCHEMA_VERSION,
            "system": [{"text": text} for text in system if text.strip()],
            "messages": [{"role": turn.role, "content": [{"text": turn.text()}]} for turn in turns],
        }


def parse(body: bytes) -> ChatRequest:
    """The request; OpenAIError 400 that names the key at fault."""
    try:
        value = read_json(body)
    except ValueError as error:
        raise OpenAIError(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise OpenAIError(400, "the body must be a JSON object")
    for key, allowed in _UNSUPPORTED.items():
        asked = value.pop(key, None)
        if asked is not None and asked not in allowed:
            raise OpenAIError(
                400, f"{key} = {str(asked)[:80]} is not supported by this server", key, "unsupported_value"
            )
    for key in _IGNORED:
        value.pop(key, None)
    try:
        return ChatRequest.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> OpenAIError:
    first = error.errors()[0]
    param = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return OpenAIError(400, f"Unrecognized request argument supplied: {param}", param, "unknown_parameter")
    if first["type"] == "missing":
        return OpenAIError(400, f"you must provide {param}", param, "missing_required_parameter")
    return OpenAIError(400, f"{param}: {first['msg']}", param, "invalid_value")
