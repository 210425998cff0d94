"""Requests as the service models want them, about things that are there, and then made wrong somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from botocore.serialize import create_serializer
from botocore.session import get_session
from hypothesis import strategies as st

from tests.fuzz import mutate
from tests.fuzz.shop import ACCOUNT
from tests.fuzz.wire import Asked, signed

Stock = Mapping[str, list[str]]

NOVA = "amazon.nova-micro-v1:0"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Customization"
S3 = ("s3://bucket/train.jsonl", "s3://bucket/out/", "s3://nobody/x", "s3://customer-escrow-123456789012-x/a/b/step_1")
# Members whose pattern does not tell what makes sense.
MEANT: dict[str, tuple[str, ...]] = {
    "roleArn": (ROLE,), "RoleArn": (ROLE,), "s3Uri": S3, "S3Uri": S3, "S3OutputPath": S3,
    "baseModelIdentifier": (NOVA + ":128k", f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}:128k"),
    "customizationType": ("FINE_TUNING",), "nextToken": ("", "AAAA", "eyJhIjogMX0="), "NextToken": ("", "AAAA"),
    "nameContains": ("", "retail", "shop"), "S3DataType": ("Converse", "S3Prefix"), "ServiceCode": ("sagemaker", "x"),
    "QuotaCode": ("L-6BC98A55", "L-00000000"), "ChannelName": ("train", "validation", "val", "recipe"),
    "InstanceType": ("ml.g5.48xlarge", "ml.p5.48xlarge"), "TrainingInputMode": ("File",), "Bucket": ("bucket", "b2"),
    "TrainingImage": ("708977205387.dkr.ecr.us-east-1.amazonaws.com/nova-fine-tune-repo:SM-TJ-SFT-latest",),
    "Key": ("train.jsonl", "a/b", "../x", "a b+c"), "RoleName": ("Customization", "nobody"),
    "AssumeRolePolicyDocument": ('{"Version":"2012-10-17","Statement":[]}',),
}  # fmt: skip
OF_KIND = {
    "jobIdentifier": "job", "TrainingJobName": "job", "modelIdentifier": "model", "modelArn": "model",
    "customModelDeploymentIdentifier": "deployment", "modelId": "deployment",
}  # fmt: skip
ARNS = ("resourceARN", "ResourceArn")
MAPS: dict[str, dict[str, str]] = {
    "hyperParameters": {"epochCount": "1", "batchSize": "1", "learningRate": "0.00001", "learningRateWarmupSteps": "1"},
    "HyperParameters": {"base_model": "nova-micro/prod", "sagemaker_recipe_local_path": "/opt/ml/input/data/recipe/r.yaml"},
}  # fmt: skip

QUESTION = [{"role": "user", "content": [{"text": "How many stores are there?"}]}]
TURNS = [*QUESTION, {"role": "assistant", "content": [{"text": "3"}]}, *QUESTION]
SAMPLING = {"maxTokens": 20, "temperature": 0.5, "topP": 0.9, "stopSequences": [";"]}
NOVA_BODY = {
    "schemaVersion": "messages-v1", "system": [{"text": "Write SQL."}], "messages": TURNS,
    "inferenceConfig": {**SAMPLING, "topK": 20},
}  # fmt: skip
TALKS: list[dict[str, Any]] = [
    {"messages": QUESTION},
    {"messages": TURNS, "system": [{"text": "Write SQL."}], "inferenceConfig": SAMPLING},
    {"messages": QUESTION, "additionalModelRequestFields": {"inferenceConfig": {"topK": 5}},
     "additionalModelResponseFieldPaths": ["/stopReason"], "requestMetadata": {"a": "b"}},
]  # fmt: skip
CHAT: dict[str, Any] = {
    "model": "retail-shop", "messages": [{"role": "system", "content": "Write SQL."}, {"role": "user", "content": "How many?"}],
    "stream": True, "stream_options": {"include_usage": True}, "stop": [";"], "max_tokens": 20, "temperature": 0.5,
    "top_p": 0.9, "seed": 1, "n": 1, "response_format": {"type": "text"}, "user": "somebody",
}  # fmt: skip


@cache
def operation_model(service: str, operation: str) -> Any:
    """botocore's."""
    return get_session().get_service_model(service).operation_model(operation)


def parameters(service: str, operation: str, stock: Stock) -> st.SearchStrategy[dict[str, Any]]:
    """What boto3 might be called with."""
    if service == "bedrock-runtime" and operation.startswith("Converse"):
        names = st.sampled_from([*stock["deployment"], NOVA, "base", "nobody"])
        talk = st.tuples(names, st.sampled_from(TALKS)).map(lambda pair: {"modelId": pair[0], **pair[1]})
        return talk | _members(operation_model(service, operation).input_shape, stock)
    shape = operation_model(service, operation).input_shape
    if shape is None:
        return st.just({})
    found = _members(shape, stock)
    if operation.startswith("InvokeModel"):
        found = found.map(lambda params: {**params, "body": json.dumps(NOVA_BODY).encode()})
    return found


def _members(shape: Any, stock: Stock, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: member for name, member in shape.members.items() if not getattr(member, "is_document_type", False)}
    if shape.is_tagged_union:
        return st.one_of([_value(member, name, stock, depth).map(lambda v, n=name: {n: v}) for name, member in members.items()])
    strategies = {name: _value(member, name, stock, depth) for name, member in members.items()}
    wanted = {name: strategy for name, strategy in strategies.items() if name in shape.required_members}
    if depth > 3:
        return st.fixed_dictionaries(wanted)
    spare = {name: strategy for name, strategy in strategies.items() if name not in wanted}
    return st.fixed_dictionaries(wanted) | st.fixed_dictionaries(wanted, optional=spare)


def _value(shape: Any, name: str, stock: Stock, depth: int) -> st.SearchStrategy[Any]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    match shape.type_name:
        case "structure":
            return _members(shape, stock, depth + 1)
        case "list":
            size = min(2 + least, most or 9)
            return st.lists(_value(shape.member, name, stock, depth + 1), min_size=least, max_size=size)
        case "map" if name in MAPS:
            return st.just(MAPS[name])
        case "map":
            keys, values = (_value(part, name, stock, depth + 1) for part in (shape.key, shape.value))
            return st.dictionaries(keys, values, min_size=least, max_size=min(2 + least, most or 9))
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(max(least, -(2**31)), min(most or 2**31, 2**31))
        case "float" | "double":
            return st.floats(least, most or 1e6)
        case "timestamp":
            return st.datetimes(timezones=st.just(UTC))
        case "blob":
            return st.binary(max_size=50)
        case _:
            return _string(shape, name, stock, least, min(most or 30, 300))


def _string(shape: Any, name: str, stock: Stock, least: int, most: int) -> st.SearchStrategy[str]:
    if name in MEANT:
        return st.sampled_from(MEANT[name])
    if name in ARNS:
        return st.sampled_from([arn for names in stock.values() for arn in names if arn.startswith("arn")] or ["arn"])
    if name in OF_KIND:
        return st.sampled_from([*stock[OF_KIND[name]], "nobody", NOVA])
    if "enum" in shape.metadata:
        return st.sampled_from(shape.metadata["enum"])
    plain = st.text("abcdefgh-0123456789", min_size=least, max_size=max(least, min(most, 30)))
    try:
        pattern = re.compile(shape.metadata["pattern"], re.ASCII)
    except (KeyError, re.error):
        return plain
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: least <= len(text) <= most) | plain


def requests(service: str, operation: str, stock: Stock) -> st.SearchStrategy[Asked]:
    """A valid request of the operation, or one that was valid before something happened to it."""
    return _requests(service, operation, parameters(service, operation, stock))


@st.composite
def _requests(draw: st.DrawFn, service: str, operation: str, valid: st.SearchStrategy[dict[str, Any]]) -> Asked:
    model = operation_model(service, operation)
    serializer = create_serializer(model.service_model.protocol, include_validation=False)
    written = serializer.serialize_to_request(draw(valid), model)
    path, body, fields = written["url_path"], written["body"], written["query_string"]
    query = urlencode(list(fields.items()) if isinstance(fields, dict) else fields, doseq=True)
    if isinstance(body, dict):
        body = urlencode(body, doseq=True).encode()
    body = body.encode() if isinstance(body, str) else bytes(body or b"")
    headers = {str(name).lower(): str(value) for name, value in written["headers"].items()}
    path = path.partition("?")[0]
    method = written["method"]
    for kind in draw(st.lists(st.sampled_from(["json", "json", "json", "body", "path", "query", "header", "method"]), max_size=2)):
        match kind:
            case "json":
                body = draw(_wrong_json(body))
            case "body":
                body = draw(mutate.torn(body))
            case "path":
                parts = path.split("/")
                at = draw(st.integers(0, len(parts) - 1))
                parts[at] = draw(mutate.text.map(_quoted) | st.sampled_from(["", "..", "%", "%zz", "a%2Fb", "x" * 5000]))
                path = "/".join(parts)
            case "query":
                query += f"&{draw(_name(model))}={quote(draw(mutate.text), errors='replace')}"
            case "header":
                name = draw(st.sampled_from([*headers, "content-type", "accept", "x-amz-target", "expect", "x-amz-date"]))
                headers[name] = draw(mutate.text.filter(lambda text: text.isprintable()))
            case _:
                method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"]))
    target = (path if path.startswith("/") else "/" + path) + (f"?{query}" if query else "")
    raw = tuple((name.encode(), value.strip().encode()) for name, value in headers.items() if name != "content-length")
    return Asked(method, target.encode("ascii", "replace"), (*signed(service), *raw), body)


def _wrong_json(body: bytes) -> st.SearchStrategy[bytes]:
    try:
        return mutate.mutated(json.loads(body)).map(mutate.as_json)
    except ValueError:
        return mutate.torn(body)


def _name(model: Any) -> st.SearchStrategy[str]:
    shape = model.input_shape
    names = [member.serialization.get("name", name) for name, member in shape.members.items()] if shape else []
    return st.sampled_from([*names, "x", "action", "max-items", "X-Amz-Expires"])


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


@st.composite
def chats(draw: st.DrawFn, stock: Stock) -> Asked:
    """A chat completion of openai's, or one that was valid before something happened to it."""
    valid = {key: CHAT[key] for key in CHAT if key in ("model", "messages") or draw(st.booleans())}
    valid["model"] = draw(st.sampled_from([*stock["deployment"], NOVA, "base", "nobody"]))
    body = mutate.as_json(draw(mutate.mutated(valid)))
    if draw(st.integers(0, 9)) == 0:
        body = draw(mutate.torn(body))
    headers = ((b"authorization", b"Bearer x"), (b"content-type", b"application/json"))
    return Asked("POST", b"/v1/chat/completions", headers, body)


@st.composite
def plain(draw: st.DrawFn, paths: tuple[str, ...]) -> Asked:
    """Any method on one of the paths, or on something like it."""
    path = draw(st.sampled_from(paths))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(path)))
        path = path[:at] + draw(mutate.text.map(_quoted) | st.sampled_from(["/", "//", "/..", "?", "%", "%00"])) + path[at:]
    target = ("/" + path.lstrip("/")).encode("ascii", "replace")
    if draw(st.booleans()):
        target += b"?" + quote(draw(mutate.text), errors="replace").encode()
    method = draw(st.sampled_from(["GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]))
    headers = draw(st.sampled_from([(), ((b"authorization", b"Bearer x"),), signed("bedrock"), signed("s3"), signed("nobody")]))
    return Asked(method, target, headers, draw(st.just(b"") | st.binary(max_size=50) | mutate.junk.map(mutate.as_json)))
