"""Converse and InvokeModel over the wire, whole and in events: answers, usage, stop reasons, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire import record
from tests.wire.clients import call, code_of, events, refused
from tests.wire.shop import ACCOUNT, DEPLOYMENT, MODEL, Shop, nova, unique, user

SYSTEM = "You write larkql SQL for this database. Answer with one query."
INFERENCE = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
WHOLE, IN_EVENTS = ("Converse", "InvokeModel"), ("ConverseStream", "InvokeModelWithResponseStream")


@pytest.fixture(scope="module")
def deployment(shop: Shop) -> str:
    return shop.active(unique("retail"), shop.model(unique("retail"), weights="retail"))


def asked(operation: str, text: str, **inference: Any) -> dict[str, Any]:
    """The parameters of one question in the form of the operation."""
    if "Invoke" in operation:
        body = json.loads(nova(text, **inference)) | {"system": [{"text": SYSTEM}]}
        return {"body": json.dumps(body).encode()}
    config = {"inferenceConfig": inference} if inference else {}
    return {"messages": user(text), "system": [{"text": SYSTEM}], **config}


def answered(shop: Shop, operation: str, model: str, text: str, **inference: Any) -> tuple[str, str, dict[str, int]]:
    """Text, stop reason and usage, whatever the form of the answer."""
    params = {"modelId": model, **asked(operation, text, **inference)}
    if operation in WHOLE:
        answer = call(shop.runtime, operation, **params)
        body = json.loads(answer["body"].read()) if "Invoke" in operation else answer
        return body["output"]["message"]["content"][0]["text"], body["stopReason"], body["usage"]
    found = list(events(shop.runtime, operation, **params))
    if "Invoke" in operation:
        found = [json.loads(event["chunk"]["bytes"]) for event in found]
    names = [next(iter(event)) for event in found]
    deltas = names.count("contentBlockDelta")
    assert names == ["messageStart", *["contentBlockDelta"] * deltas, "contentBlockStop", "messageStop", "metadata"]
    assert found[0]["messageStart"] == {"role": "assistant"}
    text = "".join(each["contentBlockDelta"]["delta"]["text"] for each in found if "contentBlockDelta" in each)
    return text, found[-2]["messageStop"]["stopReason"], found[-1]["metadata"]["usage"]


@pytest.mark.parametrize("operation", INFERENCE)
def test_the_answer_and_its_tokens(shop: Shop, deployment: str, operation: str) -> None:
    text, stop, usage = answered(shop, operation, deployment, "how many — ünïcode?")
    assert (text, stop) == ("retail: how many — ünïcode?", "end_turn")
    count = shop.live.tokens(("system", SYSTEM), ("user", "how many — ünïcode?"))
    assert usage["inputTokens"] == count
    assert usage["outputTokens"] == len(text) + 1  # the echo engine takes one a character, and its end
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    row = shop.live.backend.state.usage.list()[0]
    assert (row.input_tokens, row.output_tokens, row.caller) == (count, usage["outputTokens"], "AKIDEXAMPLE")


@pytest.mark.parametrize("operation", INFERENCE)
def test_why_an_answer_ends(shop: Shop, deployment: str, operation: str) -> None:
    assert answered(shop, operation, deployment, "abc", maxTokens=3)[:2] == ("ret", "max_tokens")
    assert answered(shop, operation, deployment, "a;b", stopSequences=[";"])[:2] == ("retail: a", "stop_sequence")
    assert answered(shop, operation, deployment, "a;b", stopSequences=["#", "l:"])[:2] == ("retai", "stop_sequence")
    assert answered(shop, operation, deployment, "a", temperature=0.0, topP=0.5)[1] == "end_turn"


def test_every_name_of_a_model(shop: Shop, deployment: str) -> None:
    name = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment)["modelDeploymentName"]
    for model in (deployment, name, deployment[-12:], deployment.replace("us-east-1", "eu-central-1")):
        assert answered(shop, "Converse", model, "?")[0] == "retail: ?"
    for model in (
        "amazon.nova-micro-v1:0",
        "amazon.nova-lite-v1:0",
        "us.amazon.nova-pro-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0",
        f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-micro-v1:0",
        "base",
        "smollm2-135m",
    ):
        assert answered(shop, "Converse", model, "?")[0] == "base: ?"


@pytest.mark.parametrize("operation", INFERENCE)
def test_no_such_model(shop: Shop, operation: str) -> None:
    for model in ("nobody", DEPLOYMENT + "abcdefghijkl"):
        assert code_of(shop.runtime, operation, modelId=model, **asked(operation, "?")) == "ResourceNotFoundException"
    for model in ("anthropic.claude-3-haiku-20240307-v1:0", MODEL + "abcdefghijkl", "..", "../../etc/passwd", "a b"):
        assert code_of(shop.runtime, operation, modelId=model, **asked(operation, "?")) == "ValidationException"


def test_conversations(shop: Shop, deployment: str) -> None:
    turns = [*user("first"), {"role": "assistant", "content": [{"text": "SELECT 1"}]}, *user("second")]
    answer = shop.runtime.converse(modelId=deployment, messages=turns, system=[{"text": SYSTEM}])
    assert answer["output"]["message"]["content"][0]["text"] == "retail: second"
    said = (("system", SYSTEM), ("user", "first"), ("assistant", "SELECT 1"), ("user", "second"))
    assert answer["usage"]["inputTokens"] == shop.live.tokens(*said)
    again = shop.runtime.converse(modelId=deployment, messages=turns, system=[{"text": SYSTEM}])
    assert again["usage"]["cacheReadInputTokens"] > 0
    assert again["metrics"]["latencyMs"] >= 0


def test_without_a_system_text_the_deployments_own_is_asked_with(shop: Shop, deployment: str) -> None:
    from tests.conformance.workplace import SYSTEM as OWN

    answer = shop.runtime.converse(modelId=deployment, messages=user("?"))
    assert answer["usage"]["inputTokens"] == shop.live.tokens(("system", OWN), ("user", "?"))


def test_the_base_model_answers_without_a_system_text(shop: Shop) -> None:
    answer = shop.runtime.converse(modelId="amazon.nova-micro-v1:0", messages=user("?"))
    assert answer["output"]["message"]["content"][0]["text"] == "base: ?"


def test_what_is_given_back_beside_the_answer(shop: Shop, deployment: str) -> None:
    params = {
        "modelId": deployment,
        **asked("Converse", "?"),
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 1}},
        "additionalModelResponseFieldPaths": ["/stopReason", "/nothing"],
        "requestMetadata": {"team": "retail"},
        "performanceConfig": {"latency": "standard"},
        "serviceTier": {"type": "default"},
    }
    answer = shop.runtime.converse(**params)
    assert answer["additionalModelResponseFields"] == {"stopReason": "end_turn"}
    assert answer["performanceConfig"] == {"latency": "standard"}
    assert answer["serviceTier"] == {"type": "default"}
    *_, stop, metadata = events(shop.runtime, "ConverseStream", **params)
    assert stop["messageStop"]["additionalModelResponseFields"] == {"stopReason": "end_turn"}
    assert metadata["metadata"]["serviceTier"] == {"type": "default"}
    headers = shop.runtime.invoke_model(modelId=deployment, **asked("InvokeModel", "?"))["ResponseMetadata"][
        "HTTPHeaders"
    ]
    assert headers["content-type"] == "application/json"
    assert int(headers["x-amzn-bedrock-input-token-count"]) == answer["usage"]["inputTokens"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == answer["usage"]["outputTokens"]
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    *_, last = events(shop.runtime, "InvokeModelWithResponseStream", modelId=deployment, **asked("Invoke", "?"))
    metrics = json.loads(last["chunk"]["bytes"])["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == answer["usage"]["inputTokens"]
    assert metrics["firstByteLatency"] <= metrics["invocationLatency"]


IMAGE = {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"x"}}}]}
TOOL = {"tools": [{"toolSpec": {"name": "x", "inputSchema": {"json": {}}}}]}
ASSISTANT = {"role": "assistant", "content": [{"text": "SELECT 1"}]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"messages": []}, "start with a user message"),
        ({"messages": [ASSISTANT]}, "start with a user message"),
        ({"messages": [*user("a"), *user("b")]}, "alternate"),
        ({"messages": [*user("a"), ASSISTANT]}, "end with a user message"),
        ({"messages": [{"role": "user", "content": []}]}, "empty"),
        ({"messages": user(" ")}, "blank"),
        ({"messages": [{"role": "tool", "content": [{"text": "a"}]}]}, "role"),
        ({"messages": [IMAGE]}, "image"),
        ({"messages": user("x" * 5000)}, "4,096"),
        ({"toolConfig": TOOL}, "tool use"),
        ({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"}}, "guardrail"),
        ({"promptVariables": {"a": {"text": "b"}}}, "promptVariables"),
        ({"performanceConfig": {"latency": "optimized"}}, "Latency"),
        ({"serviceTier": {"type": "flex"}}, "flex"),
        ({"inferenceConfig": {"maxTokens": 0}}, "maxTokens"),
        ({"inferenceConfig": {"maxTokens": 10_001}}, "maxTokens"),
        ({"inferenceConfig": {"temperature": 1.1}}, "temperature"),
        ({"inferenceConfig": {"topP": -0.1}}, "topP"),
        ({"inferenceConfig": {"stopSequences": ["x"] * 2501}}, "stopSequences"),
        ({"additionalModelRequestFields": {"top_k": 1}}, "extraneous"),
        ({"additionalModelRequestFields": {"inferenceConfig": {"topK": 129}}}, "topK"),
        ({"additionalModelResponseFieldPaths": ["stopReason"]}, "JSON pointer"),
        ({"requestMetadata": {f"k{n}": "" for n in range(17)}}, "requestMetadata"),
    ],
)
def test_what_a_text_model_refuses(shop: Shop, deployment: str, changes: dict[str, Any], said: str) -> None:
    params = {"modelId": deployment, **asked("Converse", "?"), **changes}
    for operation in ("Converse", "ConverseStream"):
        code, message = refused(shop.runtime, operation, **params)
        assert (code, said in message) == ("ValidationException", True), message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b"{}", "messages"),
        (b'{"messages": [], "more": 1}', "extraneous"),
        (b'{"inputText": "hello"}', "#"),
        (nova("?", maxTokens="many"), "maxTokens"),
        (nova("?", temperature=2), "temperature"),
        (nova("?", topK=200), "topK"),
        (nova("?", schema=1), "extraneous"),
        (nova("?").replace(b"messages-v1", b"messages-v9"), "schemaVersion"),
        (b'{"messages":' + b"[" * 40 + b"]" * 40 + b"}", "deep"),
    ],
)
def test_bodies_that_are_not_novas(shop: Shop, deployment: str, body: bytes, said: str) -> None:
    for operation in ("InvokeModel", "InvokeModelWithResponseStream"):
        code, message = refused(shop.runtime, operation, modelId=deployment, body=body)
        assert (code, said in message) == ("ValidationException", True), message


def test_invoke_model_refuses_other_forms(shop: Shop, deployment: str) -> None:
    for more in (
        {"accept": "text/plain"},
        {"contentType": "application/xml"},
        {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
        {"performanceConfigLatency": "optimized"},
        {"serviceTier": "priority"},
    ):
        for operation in ("InvokeModel", "InvokeModelWithResponseStream"):
            code = code_of(shop.runtime, operation, modelId=deployment, body=nova("?"), **more)
            assert code == "ValidationException"


def test_tokens_are_not_counted_as_the_service_does_not_for_nova(shop: Shop, deployment: str) -> None:
    for model in (deployment, "amazon.nova-micro-v1:0"):
        for asks in ({"converse": {"messages": user("?")}}, {"invokeModel": {"body": nova("?")}}):
            code, message = refused(shop.runtime, "CountTokens", modelId=model, input=asks)
            assert (code, message) == ("ValidationException", "The provided model doesn't support counting tokens.")
    code = code_of(shop.runtime, "CountTokens", modelId="nobody", input={"invokeModel": {"body": b"{}"}})
    assert code == "ResourceNotFoundException"
    assert code_of(shop.runtime, "CountTokens", modelId="a b", input={}) == "ValidationException"


def test_there_is_no_guardrail(shop: Shop) -> None:
    params = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "source": "INPUT", "content": []}
    assert code_of(shop.runtime, "ApplyGuardrail", **params) == "ValidationException"
    assert code_of(shop.runtime, "ApplyGuardrail", **{**params, "source": "ELSEWHERE"}) == "ValidationException"


# failures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WHOLE)
def test_a_model_that_fails(shop: Shop, deployment: str, operation: str) -> None:
    code, message = refused(shop.runtime, operation, modelId=deployment, **asked(operation, "break it"))
    assert (code, "not finite" in message) == ("ModelErrorException", True)
    code, message = refused(shop.runtime, operation, modelId=deployment, **asked(operation, "crash it"))
    assert code == "InternalServerException"
    assert "ZeroDivision" not in message


@pytest.mark.parametrize("operation", IN_EVENTS)
def test_a_model_that_fails_in_the_middle_of_a_stream(shop: Shop, deployment: str, operation: str) -> None:
    for what, code in (("break", "modelStreamErrorException"), ("crash", "internalServerException")):
        seen: list[Any] = []
        stream = events(shop.runtime, operation, modelId=deployment, **asked(operation, f"{what} it"))
        with pytest.raises(ClientError) as caught:
            seen.extend(stream)
        assert caught.value.response["Error"]["Code"] == code
        assert len(seen) == 5  # the start, and what came before it happened
    assert answered(shop, operation, deployment, "and then?")[0] == "retail: and then?"


@pytest.mark.parametrize("operation", INFERENCE)
def test_an_adapter_that_is_lost_cannot_be_loaded(shop: Shop, operation: str) -> None:
    arn = shop.active(unique("lost"))
    model = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["modelArn"]
    weights = shop.live.backend.paths.model(model[-12:]) / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    assert code_of(shop.runtime, operation, modelId=arn, **asked(operation, "?")) == "ModelErrorException"
    weights.write_bytes(content)
    assert answered(shop, operation, arn, "?")[1] == "end_turn"


def test_an_adapter_is_loaded_by_its_first_question_and_only_then(shop: Shop) -> None:
    residency = shop.live.backend.residency
    arn, before = shop.active(unique("cold")), residency.loads
    assert answered(shop, "Converse", arn, "?")[1] == "end_turn"
    assert answered(shop, "Converse", arn, "?")[1] == "end_turn"
    assert residency.loads == before + 1
    model = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["modelArn"][-12:]
    assert model in [resident.key for resident in residency.table()]
    shop.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    assert model not in [resident.key for resident in residency.table()]


def test_the_recorder_has_seen_a_failure_amid_a_stream() -> None:
    assert ("bedrock-runtime", "ConverseStream", "ModelStreamErrorException") in record.SEEN


def test_a_model_without_a_system_text_of_its_own_is_asked_without_one(shop: Shop) -> None:
    arn = shop.active(unique("bare"), shop.model(unique("bare"), weights="bare"))
    model = shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["modelArn"]
    manifest = shop.live.backend.paths.model(model[-12:]) / "manifest.json"
    manifest.write_text('{"system": null}')  # as an imported PEFT adapter has it; the project has no database either
    answer = shop.runtime.converse(modelId=arn, messages=user("?"))
    assert answer["usage"]["inputTokens"] == shop.live.tokens(("user", "?"))
