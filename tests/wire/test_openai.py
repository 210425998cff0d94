"""OpenAI's API over the wire, by an unmodified client that refuses what is not of its models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.conformance.workplace import SYSTEM as OWN
from tests.wire.clients import open_ai
from tests.wire.live import SLOW
from tests.wire.shop import Shop, open_shop, unique

SYSTEM = {"role": "system", "content": "You write SQL."}


@pytest.fixture(scope="module")
def name(shop: Shop) -> str:
    found = unique("openai")
    shop.active(found, shop.model(unique("openai"), weights="retail"))
    return found


def asked(text: str) -> list[Any]:
    return [SYSTEM, {"role": "user", "content": text}]


def test_models(shop: Shop, name: str) -> None:
    models = {model.id: model for model in shop.openai.models.list()}
    assert models["base"].to_dict()["parent"] is None
    assert models[name].to_dict()["parent"] == "smollm2-135m"
    assert models[name].owned_by == "sqlora"
    assert shop.openai.models.retrieve(name) == models[name]
    assert shop.openai.models.retrieve("base") == models["base"]
    arn = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name)["customModelDeploymentArn"]
    assert shop.openai.models.retrieve(arn) == models[name]


def test_an_answer(shop: Shop, name: str) -> None:
    chat = shop.openai.chat.completions.create(model=name, messages=asked("how many — ünïcode?"), temperature=0, seed=1)
    [choice] = chat.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "retail: how many — ünïcode?")
    assert choice.finish_reason == "stop"
    count = shop.live.tokens(("system", "You write SQL."), ("user", "how many — ünïcode?"))
    assert chat.usage is not None
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (count, len("retail: how many — ünïcode?") + 1)
    assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens
    assert (chat.model, chat.object) == (name, "chat.completion")
    row = shop.live.backend.state.usage.list()[0]
    assert (row.input_tokens, row.caller) == (count, "bearer")


def test_a_stream(shop: Shop, name: str) -> None:
    create = shop.openai.chat.completions.create
    chunks = list(create(model=name, messages=asked("how many?"), stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == "retail: how many?"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, [chunk.usage for chunk in chunks[:-1]]) == ([], [None] * (len(chunks) - 1))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == shop.live.tokens(("system", "You write SQL."), ("user", "how many?"))
    assert all(chunk.usage is None for chunk in create(model=name, messages=asked("?"), stream=True))


def test_why_an_answer_ends(shop: Shop, name: str) -> None:
    def ended(**params: Any) -> tuple[str | None, str | None]:
        choice = shop.openai.chat.completions.create(model=name, messages=asked("a;b"), **params).choices[0]
        return choice.message.content, choice.finish_reason

    assert ended(max_tokens=3) == ("ret", "length")
    assert ended(max_completion_tokens=2) == ("re", "length")
    assert ended(stop=";") == ("retail: a", "stop")
    assert ended(stop=["#", ":"]) == ("retail", "stop")
    assert ended(n=1, response_format={"type": "text"}, tools=[], user="me", top_p=0.5) == ("retail: a;b", "stop")


def test_the_deployments_own_system_text(shop: Shop, name: str) -> None:
    chat = shop.openai.chat.completions.create(model=name, messages=[{"role": "user", "content": "?"}])
    assert chat.usage is not None
    assert chat.usage.prompt_tokens == shop.live.tokens(("system", OWN), ("user", "?"))
    parts: Any = [
        {"role": "developer", "content": "You write SQL."},
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
    ]
    chat = shop.openai.chat.completions.create(model=name, messages=parts)
    assert chat.usage is not None
    assert chat.usage.prompt_tokens == shop.live.tokens(("system", "You write SQL."), ("user", "?"))


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": asked("x" * 5000)}, None),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"extra_body": {"beam": 4}}, "beam"),
        ({"model": ""}, "model"),
        ({"model": "gpt-4.1"}, None),
    ],
)
def test_what_is_refused_names_the_key(shop: Shop, name: str, changes: dict[str, Any], param: str | None) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            shop.openai.chat.completions.create(**{"model": name, "messages": asked("?"), "stream": stream, **changes})
        error = caught.value
        assert error.type == "invalid_request_error"
        assert param is None or (error.param or "").startswith(param)
        assert error.request_id
        assert error.message


def test_no_such_model(shop: Shop) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        shop.openai.chat.completions.create(model="nobody", messages=asked("?"))
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        shop.openai.models.retrieve("nobody")
    with pytest.raises(openai.BadRequestError):
        shop.openai.models.retrieve("anthropic.claude-3-haiku-20240307-v1:0")


def test_a_model_that_fails(shop: Shop, name: str) -> None:
    for what in ("break", "crash"):
        with pytest.raises(openai.InternalServerError) as caught:
            shop.openai.chat.completions.create(model=name, messages=asked(f"{what} it"))
        assert "ZeroDivision" not in str(caught.value)
        chunks = shop.openai.chat.completions.create(model=name, messages=asked(f"{what} it"), stream=True)
        with pytest.raises(openai.APIError, match="not finite" if what == "break" else "error"):
            list(chunks)


def test_one_that_is_not_ready(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        shop.deploy("slow", shop.model("slow", weights=SLOW))
        with pytest.raises(openai.ConflictError) as caught:
            shop.openai.chat.completions.create(model="slow", messages=asked("?"))
        assert caught.value.code == "model_not_ready"
        assert [model.id for model in shop.openai.models.list()] == ["base"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("openai")) as made:
        yield made


def test_keys(guarded: Shop) -> None:
    keys = guarded.live.backend.state.keys
    invoke, train = (keys.create(scope, frozenset({scope})) for scope in ("invoke", "train"))
    good, narrow, wrong = (
        open_ai(guarded.url, key) for key in (invoke.bearer_token, train.bearer_token, "sqlora-wrong")
    )
    assert good.chat.completions.create(model="base", messages=asked("?")).choices
    assert guarded.live.backend.state.usage.list()[0].caller == "invoke"
    for client, error in ((narrow, openai.PermissionDeniedError), (wrong, openai.AuthenticationError)):
        for ask in (
            client.models.list,
            lambda client=client: client.models.retrieve("base"),
            lambda client=client: client.chat.completions.create(model="base", messages=asked("?")),
        ):
            with pytest.raises(error):
                ask()
    assert httpx.get(f"{guarded.url}/v1/models").status_code == 401


def test_what_is_no_route_and_no_json(shop: Shop) -> None:
    for method, path, status in (
        ("GET", "/v1/embeddings", 404),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/completions", 404),
    ):
        answer = httpx.request(method, shop.url + path, headers={"authorization": "Bearer any"})
        assert (answer.status_code, set(answer.json()["error"])) == (status, {"message", "type", "param", "code"})
    for body in (b"", b"{", b"[]", b'{"model": ' + b"[" * 40 + b"]" * 40 + b"}", b"\xff"):
        answer = httpx.post(f"{shop.url}/v1/chat/completions", content=body, headers={"authorization": "Bearer any"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
