"""Whatever strangers send is either a request or refused: nothing else is ever raised."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.engines.base import Sampling
from sqlora.errors import SqloraError
from sqlora.serve.auth.signed import signed_service
from sqlora.serve.aws.call import AwsError
from sqlora.serve.bedrock import nova
from sqlora.serve.bedrock.messages import conversation
from sqlora.serve.json_text import LARGE, read_json
from sqlora.serve.model_ids import is_foreign, is_nova, parse_arn
from sqlora.serve.openai import request as openai_request
from sqlora.serve.openai.errors import OpenAIError

WORDS = [
    *("role", "content", "text", "user", "assistant", "system", "messages", "model", "type", "name", "tools", "n"),
    *("inferenceConfig", "maxTokens", "temperature", "topP", "topK", "stop", "stopSequences", "schemaVersion"),
    *("messages-v1", "cachePoint", "image", "stream", "stream_options", "include_usage"),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
requests = st.dictionaries(st.sampled_from(WORDS), values, max_size=8)


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(st.binary(max_size=200) | requests.map(body))
def test_novas_bodies(content: bytes) -> None:
    with contextlib.suppress(AwsError):
        record, sampling = nova.parse(content)
        assert record["messages"][-1]["role"] == "user"
        assert isinstance(sampling, Sampling)


@given(requests, values)
def test_converses_sampling(config: dict[str, Any], fields: Any) -> None:
    with contextlib.suppress(AwsError):
        assert 0 <= nova.converse_sampling(config, fields).temperature <= 1


@given(st.binary(max_size=200) | requests.map(body))
def test_openais_bodies(content: bytes) -> None:
    with contextlib.suppress(OpenAIError):
        asked = openai_request.parse(content)
        assert asked.conversation()["messages"][-1]["role"] == "user"
        assert asked.sampling().max_tokens >= 1


blocks = st.lists(st.dictionaries(st.sampled_from(["text", "image", "cachePoint"]), st.text(max_size=3)), max_size=3)
turns = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": blocks}), max_size=4)


@given(blocks, turns)
def test_conversations(system: list[Any], messages: list[Any]) -> None:
    with contextlib.suppress(AwsError):
        record = conversation(system, messages)
        assert all(turn["content"][0]["text"].encode() for turn in record["messages"])


@given(st.text(max_size=100) | st.from_regex(r"arn:aws:bedrock:[a-z0-9-]+:[0-9]{12}:[a-z-]+/.*", fullmatch=True))
def test_model_ids(text: str) -> None:
    with contextlib.suppress(SqloraError):
        parse_arn(text)
        assert not is_nova(text) or is_foreign(text)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_signatures(authorization: bytes, query: bytes) -> None:
    scope = {"headers": [(b"authorization", b"AWS4-HMAC-SHA256 " + authorization)], "query_string": query}
    assert signed_service(scope) is None or signed_service(scope)


def test_a_large_body_of_many_small_values_is_not_even_read() -> None:
    many = b"[" + b"[]," * (LARGE // 3) + b"[]]"
    assert len(many) > LARGE
    with pytest.raises(ValueError, match="more than 200,000 values"):
        read_json(many)
    assert read_json(b'"' + b"x" * 2 * LARGE + b'"') == "x" * 2 * LARGE
