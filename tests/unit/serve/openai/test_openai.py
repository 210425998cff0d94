"""OpenAI's API through the openai client: models, answers whole and streamed, and errors in its shape."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai as sdk
import pytest

from sqlora.engines.base import Delta
from sqlora.errors import ModelError
from sqlora.platform.quota import Quota
from tests.conformance.workplace import SYSTEM
from tests.unit.serve.live import Served, openai, served, serving

QUESTION = "how many regions?"
MESSAGES: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as made:
        yield made


@pytest.fixture
def client(shop: Served) -> sdk.OpenAI:
    return openai(shop.url)


def create(client: sdk.OpenAI, **params: Any) -> Any:
    return client.chat.completions.create(**{"model": "retail-shop", "messages": MESSAGES, **params})


def test_models_are_the_base_and_its_adapters_with_their_parent(client: sdk.OpenAI, shop: Served) -> None:
    models = {model.id: model.model_dump() for model in client.models.list()}
    assert list(models) == ["base", "wholesale-shop", "retail-shop"]
    assert models["base"]["parent"] is None
    assert models["base"]["root"] == "smollm2-135m"
    assert models["retail-shop"]["parent"] == "smollm2-135m"
    assert models["retail-shop"]["root"] == "retail"
    assert client.models.retrieve("retail-shop").model_dump() == models["retail-shop"]
    assert client.models.retrieve(shop.deployment_arn()).id == "retail-shop"
    with pytest.raises(sdk.NotFoundError, match="nobody"):
        client.models.retrieve("nobody")


def test_an_answer_and_its_usage(client: sdk.OpenAI, shop: Served) -> None:
    raw = client.chat.completions.with_raw_response.create(model="retail-shop", messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == f"retail: {QUESTION}"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.object, answer.model) == ("chat.completion", "retail-shop")
    row = shop.rows()[0]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (row.input_tokens, row.output_tokens)
    assert row.caller == "bearer"
    assert answer.id == f"chatcmpl-{raw.headers['x-request-id']}"


def test_a_stream_ends_with_its_reason_and_with_usage_if_asked(client: sdk.OpenAI, shop: Served) -> None:
    chunks = list(create(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    joined = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert joined == f"retail: {QUESTION}"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == shop.rows()[0].output_tokens
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in create(client, stream=True))


def test_limits_and_stops(client: sdk.OpenAI) -> None:
    cut = create(client, max_completion_tokens=3).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("ret", "length")
    assert create(client, max_tokens=3).choices[0].message.content == "ret"
    assert create(client, stop="how").choices[0].message.content == "retail: "
    assert create(client, stop=["regions", "many"]).choices[0].message.content == "retail: how "


def test_turns_and_parts(client: sdk.OpenAI) -> None:
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": "3"},
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "why?"}, {"type": "text", "text": "how?"}]},
    ]
    answer = create(client, messages=messages)
    assert answer.choices[0].message.content == "retail: why?\nhow?"
    prompt = f"<system>{SYSTEM}\nbe brief<user>{QUESTION}<assistant>3<user>why?\nhow?<answer>"
    assert answer.usage.prompt_tokens == len(prompt)


def test_what_names_only_the_default_is_accepted(client: sdk.OpenAI) -> None:
    answer = create(
        client,
        n=1,
        temperature=0,
        top_p=1,
        seed=7,
        user="ann",
        logprobs=False,
        presence_penalty=0,
        frequency_penalty=0,
        response_format={"type": "text"},
        store=False,
        metadata={"a": "b"},
    )
    assert answer.choices[0].message.content.startswith("retail")


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"n": 2}, "n", "not supported"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "json_object"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "not supported"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "4 items"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "begin and end"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role", "Input should"),
        ({"extra_body": {"beams": 4}}, "beams", "Unrecognized request argument"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(
    client: sdk.OpenAI, shop: Served, params: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(sdk.BadRequestError, match=words) as raised:
        create(client, **params)
    assert str(raised.value.param).startswith(param)
    assert raised.value.type == "invalid_request_error"
    assert shop.rows() == []


def test_a_prompt_that_does_not_fit_is_a_bad_request(client: sdk.OpenAI) -> None:
    with pytest.raises(sdk.BadRequestError, match="tokens"):
        create(client, messages=[{"role": "user", "content": "x" * 70_000}])


def test_an_unknown_model_is_not_found(client: sdk.OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError) as raised:
        create(client, model="nobody")
    assert raised.value.code == "model_not_found"


def test_over_the_quota_it_is_a_rate_limit(tmp_path: Path) -> None:
    with served(tmp_path, quota=Quota(requests_per_minute=1)) as shop:
        create(openai(shop.url))
        with pytest.raises(sdk.RateLimitError) as raised:
            create(openai(shop.url), stream=True)
        assert raised.value.code == "rate_limit_exceeded"


def test_a_failure_amid_a_stream_is_an_error_event(client: sdk.OpenAI, shop: Served, monkeypatch: Any) -> None:
    def broken(request: Any) -> Any:
        yield Delta("SEL", 1)
        raise ModelError("the weights are gone")

    monkeypatch.setattr(shop.engine, "stream", broken)
    stream = create(client, stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(2)] == ["", "SEL"]
    with pytest.raises(sdk.APIError, match="weights are gone"):
        next(stream)
    with pytest.raises(sdk.InternalServerError, match="weights are gone"):
        create(client)


def test_a_fault_of_ours_is_told_by_its_request_only(client: sdk.OpenAI, shop: Served, monkeypatch: Any) -> None:
    def broken(request: Any) -> Any:
        raise ZeroDivisionError("secret detail")
        yield

    monkeypatch.setattr(shop.engine, "stream", broken)
    with pytest.raises(sdk.InternalServerError) as raised:
        create(client)
    assert "secret detail" not in str(raised.value)
    assert raised.value.request_id in str(raised.value)


def raw(url: str, content: bytes | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, content, {"authorization": "Bearer x", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b'{"model": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_request(shop: Served, content: bytes) -> None:
    status, answer = raw(f"{shop.url}/v1/chat/completions", content)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_paths_and_methods_that_are_not_there(shop: Served) -> None:
    assert raw(f"{shop.url}/v1/embeddings", b"{}")[0] == 404
    status, answer = raw(f"{shop.url}/v1/chat/completions")
    assert (status, answer["error"]["type"]) == (405, "invalid_request_error")


def test_credentials_are_asked_for_even_on_loopback(shop: Served) -> None:
    status, answer = raw(f"{shop.url}/v1/models", authorization="")
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


def test_with_keys_only_theirs_open_it_and_only_for_their_scope(shop: Served) -> None:
    invoke = shop.backend.state.keys.create("app", frozenset({"invoke"}))
    train = shop.backend.state.keys.create("lab", frozenset({"train"}))
    create(openai(shop.url, invoke.bearer_token))
    assert shop.rows()[0].caller == "app"
    with pytest.raises(sdk.AuthenticationError):
        create(openai(shop.url, "sk-guess"))
    with pytest.raises(sdk.PermissionDeniedError, match="invoke"):
        create(openai(shop.url, train.bearer_token))
    shop.backend.state.keys.revoke("app")
    with pytest.raises(sdk.AuthenticationError):
        create(openai(shop.url, invoke.bearer_token))


def test_away_from_loopback_nothing_opens_without_a_key(tmp_path: Path) -> None:
    made = Served(tmp_path)
    with made.backend, serving(made.app(loopback=False)) as url:
        with pytest.raises(sdk.AuthenticationError):
            create(openai(url))
        assert raw(f"{url}/health")[0] == 200
        assert raw(f"{url}/metrics")[0] == 403
        admin = made.backend.state.keys.create("ops", frozenset({"admin"}))
        status, answer = raw(f"{url}/sqlora/residency", authorization=f"Bearer {admin.bearer_token}")
        assert (status, answer["adapters"]) == (200, [])
