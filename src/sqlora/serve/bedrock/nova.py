"""Nova's own request and answer, schema ``messages-v1``: what InvokeModel carries in its body.

Defaults and limits are Nova's (https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html), and
hold for Converse too, so that a call means the same in either form.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from sqlora.engines.base import Completion, Sampling
from sqlora.serve.aws.call import AwsError
from sqlora.serve.bedrock.messages import conversation, invalid
from sqlora.serve.json_text import read_json

MOST_TOKENS = 10_000  # the schema page says 5k, the model page 10k; the longer is allowed
DEFAULT_MAX_TOKENS = 5_000
TEMPERATURE, TOP_P, TOP_K = 0.7, 0.9, 50


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InferenceConfig(_Strict):
    """How to choose tokens; the snake-case names are those of Nova's first documentation."""

    max_tokens: int = Field(
        DEFAULT_MAX_TOKENS, ge=1, le=MOST_TOKENS, validation_alias=AliasChoices("maxTokens", "max_new_tokens")
    )
    temperature: float = Field(TEMPERATURE, ge=0, le=1)
    top_p: float = Field(TOP_P, ge=0, le=1, validation_alias=AliasChoices("topP", "top_p"))
    top_k: int = Field(TOP_K, ge=0, le=128, validation_alias=AliasChoices("topK", "top_k"))
    stop: list[str] = Field([], max_length=2500, validation_alias=AliasChoices("stopSequences", "stop_sequences"))

    def sampling(self) -> Sampling:
        """The engine's words for it; temperature 0 is greedy."""
        stops = tuple(stop for stop in self.stop if stop)
        return Sampling(self.max_tokens, self.temperature, self.top_p, self.top_k, stops)


class _Message(_Strict):
    role: Literal["user", "assistant"]
    content: list[dict[str, Any]] = Field(min_length=1)


class _Request(_Strict):
    schema_version: Literal["messages-v1"] = Field("messages-v1", validation_alias="schemaVersion")
    system: list[dict[str, Any]] = []
    messages: list[_Message]
    inference: InferenceConfig = Field(default_factory=InferenceConfig, validation_alias="inferenceConfig")
    tools: dict[str, Any] | None = Field(None, validation_alias="toolConfig")


def parse(body: bytes) -> tuple[dict[str, Any], Sampling]:
    """The conversation and how to answer it; ValidationException says which key is at fault."""
    try:
        value = read_json(body)
    except ValueError as error:
        raise _malformed("#", f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise _malformed("#", "expected an object")
    request = _checked(_Request, value)
    if request.tools is not None:
        raise invalid("This model doesn't support tool use.")
    messages = [message.model_dump() for message in request.messages]
    return conversation(request.system, messages), request.inference.sampling()


def converse_sampling(config: dict[str, Any], fields: Any) -> Sampling:
    """How Converse says it: ``inferenceConfig``, and top-k in ``additionalModelRequestFields``."""
    further = {} if fields is None else fields
    if not isinstance(further, dict) or not set(further) <= {"inferenceConfig"}:
        raise _malformed("#", f"extraneous key {sorted(further) if isinstance(further, dict) else further!r}")
    inference = further.get("inferenceConfig", {})
    if not isinstance(inference, dict):
        raise _malformed("#/inferenceConfig", "expected an object")
    checked: InferenceConfig = _checked(InferenceConfig, {**config, **inference})
    return checked.sampling()


def answer(completion: Completion) -> dict[str, Any]:
    """The body of an answer."""
    return {
        "output": {"message": {"content": [{"text": completion.text}], "role": "assistant"}},
        "stopReason": completion.stop_reason,
        "usage": usage(completion),
    }


def usage(completion: Completion) -> dict[str, int]:
    """Tokens by the model's own tokenizer; those read from the prefix cache are part of the input."""
    return {
        "inputTokens": completion.input_tokens,
        "outputTokens": completion.output_tokens,
        "totalTokens": completion.input_tokens + completion.output_tokens,
        "cacheReadInputTokens": completion.cached_tokens,
        "cacheWriteInputTokens": 0,
    }


def _checked(model: type[Any], value: dict[str, Any]) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(["#", *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            raise _malformed("/".join(where.split("/")[:-1]), f"extraneous key [{first['loc'][-1]}]") from None
        raise _malformed(where, first["msg"].replace("Input should", "it should")) from None


def _malformed(where: str, what: str) -> AwsError:
    if what.startswith("extraneous"):
        what += " is not permitted"
    return invalid(f"Malformed input request: {where}: {what}, please reformat your input and try again.")
