"""Throttling, queues, disconnects, memory and the server's end, as clients of the runtime meet them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from openai import RateLimitError

from tests.wire.clients import call, code_of, open_ai
from tests.wire.live import until
from tests.wire.shop import Shop, nova, open_shop, user
from tests.wire.test_runtime import INFERENCE


def question(operation: str, text: str = "?") -> dict[str, Any]:
    return {"body": nova(text)} if "Invoke" in operation else {"messages": user(text)}


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Shop]:
    """One answer at a time, four that wait (one of each deployment), six requests a minute."""
    with open_shop(tmp_path, running=1, waiting=4, requests_per_minute=6) as made:
        yield made


def test_more_than_the_minute_has_is_throttled_and_boto3_tries_again(narrow: Shop) -> None:
    arn = narrow.active("retail")
    for _ in range(6):
        narrow.runtime.converse(modelId=arn, messages=user("?"))
    for operation in INFERENCE:
        assert code_of(narrow.runtime, operation, modelId=arn, **question(operation)) == "ThrottlingException"
    for tries, config in ((3, {"mode": "standard", "total_max_attempts": 3}), (2, {"total_max_attempts": 2})):
        patient = narrow.client("bedrock-runtime", retries=config)
        with pytest.raises(ClientError) as caught:
            patient.converse(modelId=arn, messages=user("?"))
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == tries - 1
    with pytest.raises(RateLimitError):
        narrow.openai.chat.completions.create(model="retail", messages=[{"role": "user", "content": "?"}])
    other = narrow.active("wholesale")  # each deployment has its own minute
    assert narrow.runtime.converse(modelId=other, messages=user("?"))["stopReason"] == "end_turn"


def test_tokens_count_too(tmp_path: Path) -> None:
    with open_shop(tmp_path, tokens_per_minute=500) as shop:
        arn = shop.active("retail")
        shop.runtime.converse(modelId=arn, messages=user("x" * 300))
        with pytest.raises(ClientError, match="tokens"):
            shop.runtime.converse(modelId=arn, messages=user("x" * 300))


def test_a_full_queue_refuses_and_what_waits_is_answered_in_turn(narrow: Shop) -> None:
    names = [narrow.active(f"shop-{n}") for n in range(3)]
    queue = narrow.live.application.place.answering.queue
    with ThreadPoolExecutor() as pool:
        held = pool.submit(call, narrow.runtime, "Converse", modelId=names[0], messages=user("hold"))
        until(lambda: narrow.live.engine.held)
        waiting = [pool.submit(call, narrow.runtime, "Converse", modelId=name, messages=user("?")) for name in names]
        until(lambda: queue.waiting == 3)
        # each deployment has its share of the queue, the others theirs
        assert code_of(narrow.runtime, "Converse", modelId=names[1], messages=user("?")) == "ThrottlingException"
        base = pool.submit(call, narrow.runtime, "Converse", modelId="base", messages=user("?"))
        until(lambda: queue.waiting == 4)
        fourth = narrow.model("fourth")
        code = code_of(narrow.runtime, "Converse", modelId=narrow.active("fourth", fourth), messages=user("?"))
        assert code == "ThrottlingException"
        narrow.live.engine.release()
        for answer in (held, *waiting, base):
            assert answer.result()["stopReason"] == "end_turn"
    until(lambda: (queue.waiting, queue.running) == (0, 0))


def test_a_client_that_goes_away_ends_its_answer_and_pays_for_what_it_took(narrow: Shop) -> None:
    arn, answering = narrow.active("retail"), narrow.live.application.place.answering
    stream = narrow.runtime.converse_stream(modelId=arn, messages=user("drip " * 100))["stream"]
    for event in stream:
        if "contentBlockDelta" in event:
            break
    assert answering.queue.running == 1
    stream.close()
    narrow.runtime.close()
    until(lambda: answering.queue.running == 0)
    [row] = narrow.live.backend.state.usage.list()
    assert 0 < row.output_tokens < 400

    with narrow.openai.chat.completions.create(
        model="retail", messages=[{"role": "user", "content": "drip " * 100}], stream=True
    ) as chunks:
        next(iter(chunks))
    until(lambda: answering.queue.running == 0 and len(narrow.live.backend.state.usage.list()) == 2)
    until(lambda: all(resident.leases == 0 for resident in narrow.live.backend.residency.table()))


def test_memory_is_a_budget_and_evicted_adapters_come_back(tmp_path: Path) -> None:
    with open_shop(tmp_path, memory_mb=1) as shop:
        heavy = "x" * 600_000  # characters of weights, of which the echo engine says so many bytes
        arns = [shop.active(f"shop-{n}", shop.model(f"model-{n}", weights=f"{n}{heavy}")) for n in range(3)]
        residency = shop.live.backend.residency
        for n, arn in enumerate([*arns, *arns]):
            asked = {"messages": user("?"), "inferenceConfig": {"maxTokens": 1}}
            answer = shop.runtime.converse(modelId=arn, **asked)
            assert answer["output"]["message"]["content"][0]["text"] == str(n % 3)
            until(lambda: len(residency.table()) == 1)
        assert (residency.loads, residency.evictions) == (6, 5)


def test_a_server_that_stops_finishes_what_runs_and_refuses_what_waits(tmp_path: Path) -> None:
    with open_shop(tmp_path, running=1, waiting=64) as shop:
        arn, queue = shop.active("retail"), shop.live.application.place.answering.queue
        with ThreadPoolExecutor() as pool:
            held = pool.submit(call, shop.runtime, "Converse", modelId=arn, messages=user("hold"))
            until(lambda: shop.live.engine.held)
            codes = [pool.submit(code_of, shop.runtime, each, modelId=arn, **question(each)) for each in INFERENCE]
            client = open_ai(shop.url)
            chat = pool.submit(
                client.chat.completions.create, model="retail", messages=[{"role": "user", "content": "?"}]
            )
            until(lambda: queue.waiting == 5)
            shop.live.stop()
            assert {code.result() for code in codes} == {"ServiceUnavailableException"}
            assert getattr(chat.exception(), "status_code", None) == 503
            shop.live.engine.release()
            assert held.result()["output"]["message"]["content"][0]["text"].endswith(": hold")
