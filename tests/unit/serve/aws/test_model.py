"""What botocore's models ask of this layer: no feature of them may pass unnoticed when they are updated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.serve.aws.model import SIGNED_AS, Route, find, service
from sqlora.serve.aws.pattern import linear, matches

SERVICES = [name for names in SIGNED_AS.values() for name in names]
# What of SageMaker is served; its other operations are refused before their parameters are read.
SAGEMAKER = (
    "CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs", "StopTrainingJob", "AddTags", "ListTags", "DeleteTags",
)  # fmt: skip


def shapes(shape: Any, seen: set[str]) -> Iterator[Any]:
    """The shape and all within it."""
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    yield shape
    within = {
        "structure": lambda: shape.members.values(),
        "list": lambda: [shape.member],
        "map": lambda: [shape.key, shape.value],
    }
    for inner in within.get(shape.type_name, list)():
        yield from shapes(inner, seen)


def operations(name: str) -> list[Any]:
    names = SAGEMAKER if name == "sagemaker" else service(name).model.operation_names
    return [service(name).operation(operation) for operation in names]


@pytest.mark.parametrize("name", SERVICES)
def test_the_protocol_and_the_signing_name_are_those_that_are_routed_by(name: str) -> None:
    assert service(name).protocol in ("rest-json", "json")
    assert name in SIGNED_AS[service(name).signing_name]


@pytest.mark.parametrize("name", SERVICES)
def test_every_feature_of_the_wire_that_the_models_use_is_one_that_is_read_and_written(name: str) -> None:
    for operation in operations(name):
        seen: set[str] = set()
        for top in (operation.input_shape, operation.output_shape):
            if top is None:
                continue
            locations = {member.serialization.get("location") for member in top.members.values()}
            assert locations <= {None, "uri", "querystring", "header"}, operation.name
            for shape in shapes(top, seen):
                unknown = set(shape.serialization) & {"jsonvalue", "eventheader", "eventpayload", "xmlNamespace"}
                assert not unknown, (operation.name, shape.name, unknown)
            for member in top.members.values():
                if member.serialization.get("location"):
                    assert member.type_name in {"string", "integer", "boolean", "timestamp", "list"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_pattern_is_matched_in_linear_time(name: str) -> None:
    patterns = {
        shape.metadata["pattern"]: shape.name
        for operation in operations(name)
        for top in (operation.input_shape, operation.output_shape)
        for shape in shapes(top, set())
        if "pattern" in shape.metadata
    }
    assert patterns
    # ArnOrName looks behind itself; it is AlgorithmName's, and Nova's recipes have an image instead of an algorithm.
    assert {shape for pattern, shape in patterns.items() if not linear(pattern)} <= {"ArnOrName"}


def test_a_pattern_that_takes_other_engines_for_ever_is_answered() -> None:
    job_name = service("bedrock").model.shape_for("JobName").metadata["pattern"]
    assert not matches(job_name, "a" + "-" * 20_000 + " ")
    assert matches(job_name, "a" + "-" * 20_000)


@pytest.mark.parametrize(
    ("text", "expected"), [("a-b", True), ("a-b\n", False), ("\na-b", False), ("a-b c", False), ("\ud800", False)]
)
def test_a_pattern_is_of_the_whole_text(text: str, expected: bool) -> None:
    assert matches("[a-z]|a-b", text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\d{2}", "12", True), (r"\d{2}", "١٢", False), (r"[\w.]+", "a_1.", True), (r"[\w.]+", "é", False),
        (r"[\s\S]*", "a\n\u2003é", True), (r"\S*", "a b", False), (r"\s", "\u2003", False), (r"\\d", "\\d", True),
        (r"[\p{Alnum}\-]+", "aws-1", True), (r"[\p{L}\p{Z}]+", "é ü", True),
    ],
)  # fmt: skip
def test_classes_are_those_of_java(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_no_path_of_bedrock_is_one_of_its_runtime() -> None:
    """One credential scope is signed for both."""
    runtime, control = service("bedrock-runtime"), service("bedrock")
    for one, other in ((runtime, control), (control, runtime)):
        for name in one.model.operation_names:
            http = one.operation(name).http
            path = "/".join("x" if part.startswith("{") else part for part in http["requestUri"].split("/"))
            assert other.match(http["method"], path, {}) is None, name
            found = one.match(http["method"], path, {})
            assert found is not None
            assert found.operation.name == name


def test_a_literal_segment_comes_before_a_label() -> None:
    found = find("bedrock", "POST", "/custom-models/create-custom-model", {})
    assert found is not None
    assert found.operation.name == "CreateCustomModel"


@pytest.mark.parametrize(
    "path", ["/", "", "//", "/model", "/model//converse", "/model/x/converse/", "/model/x/y/converse"]
)
def test_paths_of_nothing(path: str) -> None:
    assert find(None, "POST", path, {}) is None


def test_a_method_is_part_of_it() -> None:
    assert find("bedrock", "PUT", "/custom-models/x", {}) is None


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_label_is_unquoted_once(text: str) -> None:
    found = find(None, "POST", f"/model/{quote(text, safe='')}/converse", {})
    assert found is not None
    assert found.path == {"modelId": text}


def test_a_greedy_label_takes_what_the_rest_leaves() -> None:
    route = Route("GET", ("{bucket}", "{key+}", "acl"), "GetObjectAcl")
    assert route.match(["b", "a", "c%2Fd", "acl"]) == {"bucket": "b", "key": "a/c/d"}
    assert route.match(["b", "acl"]) is None


def test_targets() -> None:
    def asked(target: str, signed_as: str | None = None) -> str | None:
        found = find(signed_as, "POST", "/", {"x-amz-target": target})
        return found and f"{found.service.name} {found.operation.name}"

    assert asked("SageMaker.CreateTrainingJob") == "sagemaker CreateTrainingJob"
    assert asked("SageMaker.CreateTrainingJob", "sagemaker") == "sagemaker CreateTrainingJob"
    assert asked("ServiceQuotasV20190624.GetServiceQuota") == "service-quotas GetServiceQuota"
    assert asked("SageMaker.CreateTrainingJob", "servicequotas") is None
    assert asked("SageMaker.Nothing") is None
    assert asked("CreateTrainingJob") is None
