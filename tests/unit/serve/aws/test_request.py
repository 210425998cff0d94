"""Parameters against the model: each constraint, in the service's words, and nothing but them lets through."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.model import service
from sqlora.serve.aws.request import parse

JOB: dict[str, Any] = {
    "jobName": "larkql",
    "customModelName": "larkql",
    "roleArn": "arn:aws:iam::123456789012:role/Bedrock",
    "baseModelIdentifier": "amazon.nova-micro-v1:0:128k",
    "trainingDataConfig": {"s3Uri": "s3://bucket/train.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
}


def read(
    operation: str, body: Any = None, query: str = "", name: str = "bedrock", path: dict[str, str] | None = None
) -> dict[str, Any]:
    wire = b"" if body is None else json.dumps(body).encode()
    found = service(name)
    return parse(found.operation(operation), found.protocol, path or {}, query, {}, wire)


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(AwsError) as caught:
        read(*arguments, **named)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def job(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**JOB, **changes}.items() if value is not None}


def test_a_body_that_is_right() -> None:
    assert read("CreateModelCustomizationJob", JOB) == JOB


def test_unknown_members_and_nulls_are_passed_over() -> None:
    assert read("CreateModelCustomizationJob", {**JOB, "newerThanThis": 1, "vpcConfig": None}) == JOB


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jobName": None}, "Value null at 'jobName' failed to satisfy constraint: Member must not be null"),
        ({"jobName": ""}, "Value '' at 'jobName' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"jobName": "x" * 64}, f"Value '{'x' * 64}' at 'jobName' failed to satisfy constraint: Member must have length less than or equal to 63"),
        ({"jobName": "x y"}, r"Value 'x y' at 'jobName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9\+\-\.])*"),
        ({"customizationType": "TUNING"}, "Value 'TUNING' at 'customizationType' failed to satisfy constraint: Member must satisfy enum value set: ["),
        ({"jobName": 1}, "Value '1' at 'jobName' failed to satisfy constraint: Member must be a string"),
        ({"trainingDataConfig": "s3"}, "Value 's3' at 'trainingDataConfig' failed to satisfy constraint: Member must be a structure"),
        ({"outputDataConfig": {}}, "Value null at 'outputDataConfig.s3Uri' failed to satisfy constraint: Member must not be null"),
        ({"hyperParameters": {"epochCount": 5}}, "Value '5' at 'hyperParameters.epochCount.value' failed to satisfy constraint: Member must be a string"),
        ({"hyperParameters": ["epochCount"]}, "Value '1 elements' at 'hyperParameters' failed to satisfy constraint: Member must be a map"),
        ({"jobTags": [{"key": "a", "value": "b"}, {"key": "?", "value": "b"}]}, "Value '?' at 'jobTags.2.member.key' failed to satisfy constraint: Member must satisfy regular"),
        ({"jobTags": [None]}, "Value null at 'jobTags.1.member' failed to satisfy constraint: Member must not be null"),
        ({"jobTags": [{"key": "a", "value": "b"}] * 201}, "Value '201 elements' at 'jobTags' failed to satisfy constraint: Member must have length less than or equal to 200"),
        ({"customizationConfig": {}}, "Value at 'customizationConfig' failed to satisfy constraint: Exactly one member must be set of: distillationConfig"),
    ],
)  # fmt: skip
def test_what_a_body_is_refused_for(changes: dict[str, Any], message: str) -> None:
    body = {name: value for name, value in {**JOB, **changes}.items() if value is not None}
    said = refusal("CreateModelCustomizationJob", body)
    assert said.startswith("1 validation error detected: ") or "length" in message
    assert message in said


def test_long_values_and_many_faults_are_cut() -> None:
    said = refusal("CreateModelCustomizationJob", job(jobTags=[{"key": "?" * 9_999}] * 50))
    assert said.startswith("100 validation errors detected: ")
    assert said.endswith("; …")
    assert len(said) < 10_000


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("maxResults=7", {"maxResults": 7}),
        ("createdAfter=2026-01-01T00%3A00%3A00Z", {"createdAfter": datetime(2026, 1, 1, tzinfo=UTC)}),
        ("createdAfter=2026-01-01T02%3A00%3A00%2B02%3A00", {"createdAfter": datetime(2026, 1, 1, tzinfo=UTC)}),
        ("nameContains=a%20b&unknown=1", None),
        ("nameContains=a-b&unknown=1", {"nameContains": "a-b"}),
        ("maxResults=0", None),
        ("maxResults=1001", None),
        ("maxResults=", None),
        ("maxResults=1_0", None),
        ("maxResults=7.5", None),
        ("maxResults=99999999999999999999", None),
        ("createdAfter=yesterday", None),
        ("createdAfter=1767225600", None),
        ("createdAfter=9999-12-31T23%3A59%3A59-14%3A00", None),
        ("statusEquals=Sleeping", None),
        ("nextToken=", None),
    ],
)
def test_a_query(query: str, params: dict[str, Any] | None) -> None:
    if params is None:
        assert refusal("ListCustomModelDeployments", query=query).startswith("1 validation error detected")
    else:
        assert read("ListCustomModelDeployments", query=query) == params


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("yes", None), ("1", None)])
def test_a_boolean_in_a_query(text: str, value: bool | None) -> None:
    if value is None:
        assert "Member must be a boolean" in refusal("ListCustomModels", query=f"isOwned={text}")
    else:
        assert read("ListCustomModels", query=f"isOwned={text}") == {"isOwned": value}


def test_a_query_of_ten_thousand_fields_is_not_read() -> None:
    with pytest.raises(AwsError, match="SerializationException"):
        read("ListCustomModels", query="&".join(["nextToken=a"] * 10_000))


def test_a_path_is_checked_too() -> None:
    path = {"customModelDeploymentIdentifier": "../../etc/passwd"}
    assert "at 'customModelDeploymentIdentifier'" in refusal("GetCustomModelDeployment", path=path)


@pytest.mark.parametrize(
    ("value", "time"),
    [(1767225600, datetime(2026, 1, 1, tzinfo=UTC)), (1767225600.5, datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)),
     ("2026-01-01T00:00:00Z", None), (True, None), (1e30, None), (-1e30, None)],
)  # fmt: skip
def test_json_1_1_has_times_in_seconds(value: Any, time: datetime | None) -> None:
    if time is None:
        assert "Member must be a timestamp" in refusal(
            "ListTrainingJobs", {"CreationTimeAfter": value}, name="sagemaker"
        )
    else:
        assert read("ListTrainingJobs", {"CreationTimeAfter": value}, name="sagemaker") == {"CreationTimeAfter": time}


@pytest.mark.parametrize(
    ("temperature", "right"),
    [(0, True), (1.0, True), (1.01, False), (-0.1, False), ("0.5", False), (True, False), (10**400, False)],
)
def test_a_number(temperature: Any, right: bool) -> None:
    body = {"inferenceConfig": {"temperature": temperature}}
    found = service("bedrock-runtime")
    wire = json.dumps(body).encode()
    arguments = (found.operation("Converse"), "rest-json", {"modelId": "base"}, "", {}, wire)
    if right:
        assert parse(*arguments)["inferenceConfig"] == body["inferenceConfig"]
    else:
        with pytest.raises(AwsError, match=r"inferenceConfig\.temperature"):
            parse(*arguments)


def test_a_document_is_any_json() -> None:
    body = {"additionalModelRequestFields": {"inferenceConfig": {"topK": [1, None, "x"]}}}
    assert read("Converse", body, name="bedrock-runtime", path={"modelId": "base"}) == {"modelId": "base", **body}


def test_a_blob_in_json_is_base64_and_as_a_payload_raw() -> None:
    image = {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "aGk="}}}]}]}
    read_image = read("Converse", image, name="bedrock-runtime", path={"modelId": "base"})["messages"][0]["content"][0]
    assert read_image["image"]["source"]["bytes"] == b"hi"
    image["messages"][0]["content"][0]["image"]["source"]["bytes"] = "?"  # type: ignore[index]
    assert "Member must be Base64" in refusal("Converse", image, name="bedrock-runtime", path={"modelId": "base"})
    found = service("bedrock-runtime")
    raw = parse(found.operation("InvokeModel"), "rest-json", {"modelId": "base"}, "", {"content-type": "x/y"}, b"\xff")
    assert raw == {"modelId": "base", "contentType": "x/y", "body": b"\xff"}


def test_what_is_sensitive_is_not_repeated() -> None:
    found = service("bedrock-runtime")
    with pytest.raises(AwsError) as caught:
        parse(found.operation("InvokeModel"), "rest-json", {"modelId": "base"}, "", {}, b"s" * 25_000_001)
    assert "Value '***' at 'body'" in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPERATIONS = [
    (name, operation)
    for name in ("bedrock", "bedrock-runtime", "service-quotas")
    for operation in service(name).model.operation_names
] + [("sagemaker", "CreateTrainingJob"), ("sagemaker", "ListTrainingJobs")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPERATIONS), st.data())
def test_whatever_comes_there_are_parameters_or_an_error_of_the_service(operation: tuple[str, str], data: Any) -> None:
    found = service(operation[0])
    model = found.operation(operation[1])
    names = list(model.input_shape.members) if model.input_shape else []
    some = st.sampled_from(names) if names else st.text(max_size=3)
    body = data.draw(st.dictionaries(some | st.text(max_size=3), JSON, max_size=4))
    fields = data.draw(st.dictionaries(some, st.text(max_size=5), max_size=2))
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    path = {member.serialization.get("name", name): data.draw(st.text(min_size=1, max_size=5))
            for name, member in (model.input_shape.members.items() if model.input_shape else ())
            if member.serialization.get("location") == "uri"}  # fmt: skip
    with suppress(AwsError):
        params = parse(model, found.protocol, path, query, {"content-type": "x"}, json.dumps(body).encode())
        assert set(params) <= set(names)
