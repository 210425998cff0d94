"""A client that hangs up ends its generation, whatever it was waiting for, and pays for what was produced."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sqlora.engines.base import Completion, Delta
from tests.unit.serve.live import Served, boto, openai, served, until

USER = [{"role": "user", "content": [{"text": "how many?"}]}]


class Endless:
    """An engine's stream that goes on until somebody closes it."""

    def __init__(self) -> None:
        self.tokens, self.closed, self.pause = 0, threading.Event(), threading.Event()

    def stream(self, request: Any) -> Iterator[Delta | Completion]:
        try:
            while True:
                self.tokens += 1
                yield Delta("x", 1)
                self.pause.wait(0.005)
        finally:
            self.closed.set()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as made:
        yield made


@pytest.fixture
def endless(shop: Served, monkeypatch: pytest.MonkeyPatch) -> Endless:
    made = Endless()
    monkeypatch.setattr(shop.engine, "stream", made.stream)
    return made


Ask = Callable[[Served, Endless], None]


def read_some_of_bedrock(shop: Served, endless: Endless) -> None:
    stream = boto(shop.url).converse_stream(modelId="retail-shop", messages=USER)["stream"]
    events = iter(stream)
    assert [next(iter(next(events))) for _ in range(2)] == ["messageStart", "contentBlockDelta"]
    stream.close()


def read_some_of_openai(shop: Served, endless: Endless) -> None:
    messages: Any = [{"role": "user", "content": "how many?"}]
    with openai(shop.url).chat.completions.create(model="retail-shop", messages=messages, stream=True) as stream:
        assert next(stream).choices[0].delta.role == "assistant"


def hang_up_before_the_answer(path: str, body: bytes) -> Ask:
    def ask(shop: Served, endless: Endless) -> None:
        parts = urlsplit(shop.url)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((parts.hostname, parts.port)) as opened:
            opened.sendall(head.encode() + body)
            until(lambda: endless.tokens > 2)

    return ask


WHOLE_BEDROCK = hang_up_before_the_answer(
    "/model/retail-shop/converse", b'{"messages": [{"role": "user", "content": [{"text": "q"}]}]}'
)
WHOLE_OPENAI = hang_up_before_the_answer(
    "/v1/chat/completions", b'{"model": "retail-shop", "messages": [{"role": "user", "content": "q"}]}'
)


@pytest.mark.parametrize(
    "ask",
    [read_some_of_bedrock, read_some_of_openai, WHOLE_BEDROCK, WHOLE_OPENAI],
    ids=["bedrock stream", "openai stream", "bedrock whole", "openai whole"],
)
def test_the_generation_ends_and_is_on_the_books(shop: Served, endless: Endless, ask: Ask) -> None:
    ask(shop, endless)
    assert endless.closed.wait(20)
    until(lambda: shop.queue.running == 0)
    assert [row.output_tokens for row in shop.rows()] == [endless.tokens]
