"""Bedrock's runtime through boto3: every operation, what it answers and what it refuses."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from sqlora.engines.base import Completion, Delta
from sqlora.errors import ModelError
from sqlora.platform.admission import FairQueue
from sqlora.platform.quota import Quota
from tests.conformance.workplace import SYSTEM
from tests.unit.serve.live import Served, boto, served, until
from tests.wire.judge import validate_event

QUESTION = "how many regions?"
USER = [{"role": "user", "content": [{"text": QUESTION}]}]


def converse(client: Any, model: str = "retail-shop", **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.converse(modelId=model, **{"messages": USER, **params})
    return answer


def text(answer: dict[str, Any]) -> str:
    return str(answer["output"]["message"]["content"][0]["text"])


def error(call: Any, **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


# which model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        "base",
        "smollm2-135m",
        "amazon.nova-micro-v1:0",
        "amazon.nova-micro-v1:0:128k",
        "us.amazon.nova-micro-v1:0",
        "eu.amazon.nova-pro-v1:0",
        "amazon.nova-lite-v1:0",
        "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-micro-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0",
    ],
)
def test_the_base_model_answers_under_its_names_and_novas(client: Any, shop: Served, model: str) -> None:
    assert text(converse(client, model)) == f"base: {QUESTION}"
    assert shop.rows()[0].deployment == "base"


def test_a_deployment_answers_by_arn_id_and_name(client: Any, shop: Served) -> None:
    models = (shop.deployment_arn(), shop.backend.deployment("retail-shop").id, "retail-shop")
    assert [text(converse(client, model)) for model in models] == [f"retail: {QUESTION}"] * 3
    other = shop.deployment_arn("wholesale-shop").replace("us-east-1", "eu-west-1")
    assert text(converse(client, other)) == f"wholesale: {QUESTION}"
    assert {row.deployment for row in shop.rows()} == {"retail-shop", "wholesale-shop"}
    assert {row.caller for row in shop.rows()} == {"AKIAEXAMPLE"}


ARN = "arn:aws:bedrock:us-east-1:123456789012:"


@pytest.mark.parametrize(
    ("model", "code", "status", "words"),
    [
        (f"{ARN}custom-model-deployment/abcdefghijkl", "ResourceNotFoundException", 404, "no deployment"),
        ("no-such-deployment", "ResourceNotFoundException", 404, "no-such-deployment"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "ValidationException", 400, "identifier is invalid"),
        (f"{ARN}custom-model/amazon.nova-micro/abcdefghijkl", "ValidationException", 400, "through a deployment"),
        (f"{ARN}provisioned-model/abcdefghijkl", "ValidationException", 400, "identifier is invalid"),
        ("not a model", "ValidationException", 400, "modelId"),
    ],
)
def test_what_is_no_model_is_refused(client: Any, model: str, code: str, status: int, words: str) -> None:
    found = error(client.converse, modelId=model, messages=USER)
    assert found[:2] == (code, status)
    assert words in found[2]


def test_a_deployments_name_is_no_id(client: Any) -> None:
    """Twelve letters that happen to be a name must not open the deployment of that name through an ARN."""
    code, *_ = error(client.converse, modelId=f"{ARN}custom-model-deployment/retailshop12", messages=USER)
    assert code == "ResourceNotFoundException"


def test_a_deployment_that_is_not_active_yet_is_asked_again_later(client: Any, shop: Served) -> None:
    model = shop.backend.state.models.get("retail")
    shop.backend.state.deployments.create("coming", model.id)
    assert error(client.converse, modelId="coming", messages=USER)[:2] == ("ModelNotReadyException", 429)
    shop.backend.state.deployments.update("coming", status="Failed", failure_message="adapter lost")
    code, status, message = error(client.converse, modelId="coming", messages=USER)
    assert (code, status) == ("ValidationException", 400)
    assert "adapter lost" in message


# Converse -----------------------------------------------------------------------------------------------------------


def test_usage_is_what_the_tokenizer_counts_and_what_is_on_the_books(client: Any, shop: Served) -> None:
    first = converse(client, system=[{"text": SYSTEM}])
    again = converse(client, system=[{"text": SYSTEM}])
    assert first["stopReason"] == "end_turn"
    assert first["usage"]["inputTokens"] == len(f"<system>{SYSTEM}<user>{QUESTION}<answer>")
    assert first["usage"]["outputTokens"] == len(f"retail: {QUESTION}") + 1
    assert first["usage"]["totalTokens"] == first["usage"]["inputTokens"] + first["usage"]["outputTokens"]
    assert again["usage"]["cacheReadInputTokens"] > len(SYSTEM)
    row = shop.rows()[0]
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (
        again["usage"]["inputTokens"],
        again["usage"]["outputTokens"],
        again["usage"]["cacheReadInputTokens"],
    )
    assert first["metrics"]["latencyMs"] >= 0


def test_limits_and_stop_sequences_end_an_answer(client: Any) -> None:
    cut = converse(client, inferenceConfig={"maxTokens": 3})
    assert (text(cut), cut["stopReason"], cut["usage"]["outputTokens"]) == ("ret", "max_tokens", 3)
    stopped = converse(client, inferenceConfig={"stopSequences": ["many"]})
    assert (text(stopped), stopped["stopReason"]) == ("retail: how ", "stop_sequence")


def test_a_conversation_of_several_turns_is_answered_at_its_end(client: Any, shop: Served) -> None:
    turns = [*USER, {"role": "assistant", "content": [{"text": "3"}]}, {"role": "user", "content": [{"text": "why?"}]}]
    answer = converse(client, messages=turns, system=[{"text": "be kind"}])
    assert text(answer) == "retail: why?"
    assert answer["usage"]["inputTokens"] == len(f"<system>be kind<user>{QUESTION}<assistant>3<user>why?<answer>")


def test_what_changes_nothing_is_accepted(client: Any) -> None:
    answer = converse(
        client,
        messages=[{"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default"}}, {"text": "b"}]}],
        inferenceConfig={"temperature": 0.0, "topP": 0.5},
        additionalModelRequestFields={"inferenceConfig": {"topK": 1}},
        requestMetadata={"team": "shop"},
        performanceConfig={"latency": "standard"},
        serviceTier={"type": "default"},
        additionalModelResponseFieldPaths=["/stopReason", "/usage/inputTokens", "/no/such"],
    )
    assert text(answer) == "retail: a\nb"
    assert answer["performanceConfig"] == {"latency": "standard"}
    assert answer["additionalModelResponseFields"] == {
        "stopReason": "end_turn",
        "inputTokens": answer["usage"]["inputTokens"],
    }


PNG = {"image": {"format": "png", "source": {"bytes": b"x"}}}
TOOL = {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "user", "content": [PNG]}]}, "doesn't support the image content block"),
    ({"toolConfig": TOOL}, "doesn't support tool use"),
    ({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"}}, "guardrail identifier"),
    ({"performanceConfig": {"latency": "optimized"}}, "Latency performance"),
    ({"serviceTier": {"type": "flex"}}, "service tier 'flex'"),
    ({"promptVariables": {"a": {"text": "b"}}}, "promptVariables"),
    ({"messages": []}, "must start with a user message"),
    ({"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]}, "must start with a user message"),
    ({"messages": [*USER, *USER]}, "must alternate"),
    ({"messages": [*USER, {"role": "assistant", "content": [{"text": "S"}]}]}, "must end with a user message"),
    ({"messages": [{"role": "user", "content": [{"text": "  "}]}]}, "messages.0.content.0 is blank"),
    ({"messages": [{"role": "user", "content": []}]}, "messages.0 is empty"),
    ({"inferenceConfig": {"temperature": 1.5}}, "temperature"),
    ({"inferenceConfig": {"maxTokens": 10_001}}, "maxTokens"),
    ({"inferenceConfig": {"maxTokens": 0}}, "maxTokens"),
    ({"additionalModelRequestFields": {"top_k": 3}}, "extraneous key"),
    ({"additionalModelRequestFields": {"inferenceConfig": {"topK": 129}}}, "topK"),
    ({"additionalModelRequestFields": {"inferenceConfig": {"beams": 9}}}, "extraneous key [beams]"),
    ({"additionalModelResponseFieldPaths": ["stopReason"]}, "is not a JSON pointer"),
    ({"messages": [{"role": "user", "content": [{"text": "x" * 70_000}]}]}, "tokens"),
]


@pytest.mark.parametrize(("params", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_cannot_be_answered_is_refused_in_a_sentence(shop: Served, params: dict[str, Any], words: str) -> None:
    # the client's own checks would hide the server's
    client: Any = botocore.session.get_session().create_client(
        "bedrock-runtime",
        "us-east-1",
        endpoint_url=shop.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )
    code, status, message = error(client.converse, modelId="retail-shop", **{"messages": USER, **params})
    assert (code, status) == ("ValidationException", 400)
    client.close()
    assert words in message
    assert shop.rows() == []


# events -------------------------------------------------------------------------------------------------------------


def test_a_stream_has_its_events_in_order_and_the_same_answer(client: Any) -> None:
    whole = converse(client, system=[{"text": SYSTEM}])
    response = client.converse_stream(modelId="retail-shop", messages=USER, system=[{"text": SYSTEM}])
    events = list(response["stream"])
    for event in events:
        validate_event("bedrock-runtime", "ConverseStream", event)
    names = [next(iter(event)) for event in events]
    deltas = len(names) - 4
    expected = ["messageStart", *["contentBlockDelta"] * deltas, "contentBlockStop", "messageStop", "metadata"]
    assert names == expected
    joined = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events[1 : 1 + deltas])
    assert joined == text(whole)
    assert events[0]["messageStart"] == {"role": "assistant"}
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    usage = events[-1]["metadata"]["usage"]
    assert usage["outputTokens"] == whole["usage"]["outputTokens"]
    assert usage["inputTokens"] == whole["usage"]["inputTokens"]


def test_a_stream_that_is_refused_is_an_ordinary_error(client: Any) -> None:
    assert error(client.converse_stream, modelId="nobody", messages=USER)[:2] == ("ResourceNotFoundException", 404)


def test_a_failure_amid_a_stream_is_an_exception_frame(client: Any, shop: Served, monkeypatch: Any) -> None:
    def broken(request: Any) -> Any:
        yield Delta("SEL", 1)
        yield Delta("ECT", 1)
        raise ModelError("the weights are gone")

    monkeypatch.setattr(shop.engine, "stream", broken)
    stream = client.converse_stream(modelId="retail-shop", messages=USER)["stream"]
    events = iter(stream)
    seen = [next(iter(next(events))) for _ in range(3)]
    assert seen == ["messageStart", "contentBlockDelta", "contentBlockDelta"]
    with pytest.raises(EventStreamError, match=r"modelStreamErrorException.*weights are gone"):
        next(events)
    stream.close()
    assert [row.output_tokens for row in shop.rows()] == [2]
    assert error(client.converse, modelId="retail-shop", messages=USER)[:2] == ("ModelErrorException", 424)


def test_a_fault_of_ours_amid_a_stream_tells_nothing_of_itself(client: Any, shop: Served, monkeypatch: Any) -> None:
    def broken(request: Any) -> Any:
        yield Delta("SEL", 1)
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(shop.engine, "stream", broken)
    stream = client.converse_stream(modelId="retail-shop", messages=USER)["stream"]
    with pytest.raises(EventStreamError, match="internalServerException") as raised:
        list(stream)
    stream.close()
    assert "secret detail" not in str(raised.value)


# InvokeModel --------------------------------------------------------------------------------------------------------


def body(**more: Any) -> bytes:
    return json.dumps({"schemaVersion": "messages-v1", "messages": USER, **more}).encode()


def test_invoke_model_speaks_novas_own_schema(client: Any) -> None:
    response = client.invoke_model(
        modelId="retail-shop",
        body=body(system=[{"text": SYSTEM}], inferenceConfig={"max_new_tokens": 6, "temperature": 0, "top_k": 1}),
    )
    answer = json.loads(response["body"].read())
    assert answer["output"]["message"] == {"content": [{"text": "retail"}], "role": "assistant"}
    assert answer["stopReason"] == "max_tokens"
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == str(answer["usage"]["inputTokens"])
    assert headers["x-amzn-bedrock-output-token-count"] == "6"
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert response["contentType"] == "application/json"


def test_invoke_model_streams_novas_events_and_ends_with_its_metrics(client: Any) -> None:
    response = client.invoke_model_with_response_stream(modelId="retail-shop", body=body())
    assert response["contentType"] == "application/json"
    events = [json.loads(event["chunk"]["bytes"]) for event in response["body"]]
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    joined = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    assert joined == f"retail: {QUESTION}"
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["outputTokenCount"] == len(joined) + 1
    assert metrics["firstByteLatency"] <= metrics["invocationLatency"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"[1]", "expected an object"),
        (b"{" * 100_000, "not JSON"),
        (b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep"),
        (body(temperature=0.1), "#: extraneous key [temperature] is not permitted"),
        (body(inferenceConfig={"temperature": 2}), "#/inferenceConfig/temperature"),
        (body(inferenceConfig={"maxTokens": "9"}), "#/inferenceConfig"),
        (body(schemaVersion="messages-v2"), "#/schemaVersion"),
        (body(toolConfig={"tools": []}), "tool use"),
        (body(messages=[]), "must start with a user"),
        (body(messages=[{"role": "user", "content": [{"video": {}}]}]), "video content block"),
        (b'{"messages": [{"role": "user", "content": [{"text": "\\ud800"}]}]}', "not JSON"),
    ],
)
def test_a_body_that_is_not_novas_is_refused(client: Any, content: bytes, words: str) -> None:
    code, status, message = error(client.invoke_model, modelId="retail-shop", body=content)
    assert (code, status) == ("ValidationException", 400)
    assert words in message


def test_other_forms_than_json_are_refused(client: Any) -> None:
    assert "image/png" in error(client.invoke_model, modelId="base", body=body(), accept="image/png")[2]


# the others ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["amazon.nova-micro-v1:0", "retail-shop"])
def test_counting_is_refused_as_the_service_refuses_it(client: Any, model: str) -> None:
    found = error(client.count_tokens, modelId=model, input={"converse": {"messages": USER}})
    assert found == ("ValidationException", 400, "The provided model doesn't support counting tokens.")


def test_there_is_no_guardrail_to_apply(client: Any) -> None:
    found = error(
        client.apply_guardrail,
        guardrailIdentifier="abc",
        guardrailVersion="1",
        source="INPUT",
        content=[{"text": {"text": "x"}}],
    )
    assert found[:2] == ("ValidationException", 400)


def test_over_the_minutes_requests_the_service_throttles_one_deployment_only(tmp_path: Path) -> None:
    with served(tmp_path, quota=Quota(requests_per_minute=1)) as shop:
        client = boto(shop.url)
        converse(client)
        code, status, message = error(client.converse, modelId="retail-shop", messages=USER)
        assert (code, status) == ("ThrottlingException", 429)
        assert "retail-shop" in message
        assert text(converse(client, "wholesale-shop")).startswith("wholesale")
        assert len(shop.rows()) == 2


def test_output_tokens_count_against_the_minute(tmp_path: Path) -> None:
    with served(tmp_path, quota=Quota(tokens_per_minute=400)) as shop:
        client = boto(shop.url)
        used = 0
        while used + 200 < 400:
            used += converse(client)["usage"]["totalTokens"]
        assert error(client.converse, modelId="retail-shop", messages=USER)[0] == "ThrottlingException"


def test_a_full_queue_throttles(tmp_path: Path, monkeypatch: Any) -> None:
    with served(tmp_path, queue=FairQueue(1, 1, 1)) as shop:
        entered, go = threading.Semaphore(0), threading.Event()

        def slow(request: Any) -> Any:
            entered.release()
            assert go.wait(20)
            yield Completion("x", 1, 1, 0, "end_turn", 0.0, 0.0)

        monkeypatch.setattr(shop.engine, "stream", slow)
        threads = [threading.Thread(target=lambda: converse(boto(shop.url))) for _ in range(2)]
        threads[0].start()
        assert entered.acquire(timeout=20)
        threads[1].start()
        until(lambda: shop.queue.waiting == 1)
        assert error(boto(shop.url).converse, modelId="retail-shop", messages=USER)[:2] == ("ThrottlingException", 429)
        go.set()
        for thread in threads:
            thread.join()
        assert len(shop.rows()) == 2
