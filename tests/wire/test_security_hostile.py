"""What hostile clients send: paths that climb, huge and slow requests, malformed heads, too many at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2 as httpx
import pytest

from sqlora.serve.edge.connection import Connection
from sqlora.serve.edge.limits import Limits
from tests.wire.calls import CALLS
from tests.wire.clients import boto, call, code_of, open_ai
from tests.wire.live import Live, live, until
from tests.wire.shop import BUCKET, ROLE, Shop, job_request, nova, open_shop, unique, user

CLIMBING = (
    "../../../../etc/passwd",
    "..",
    "/etc/passwd",
    "..\\..\\x",
    "%2e%2e%2fetc",
    "a/../../b",
    "\x00",
    "~root",
    "$(id)",
)
BEARER = {"authorization": "Bearer any"}


def files(folder: Path) -> set[Path]:
    """All below the folder that holds the project's, but for what the state writes by itself."""
    return {path for path in folder.parent.rglob("*") if ".sqlora" not in path.parts}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """In a folder of its own, around which nothing may appear."""
    with open_shop(tmp_path_factory.mktemp("hostile") / "project") as made:
        yield made


# paths that climb -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", CLIMBING)
def test_no_name_or_arn_climbs(shop: Shop, text: str) -> None:
    before = files(shop.live.folder)
    arn = f"arn:aws:bedrock:us-east-1:123456789012:custom-model/imported/{text}"
    refusals = ("ValidationException", "ResourceNotFoundException", "UnknownOperationException")
    for service, operation, params in (
        ("bedrock", "CreateModelCustomizationJob", job_request(text)),
        ("bedrock", "CreateModelCustomizationJob", job_request(unique("x"), customModelName=text)),
        ("bedrock", "GetModelCustomizationJob", {"jobIdentifier": text}),
        ("bedrock", "GetCustomModel", {"modelIdentifier": text}),
        ("bedrock", "GetCustomModel", {"modelIdentifier": arn}),
        ("bedrock", "DeleteCustomModel", {"modelIdentifier": text}),
        ("bedrock", "CreateCustomModelDeployment", {"modelDeploymentName": text, "modelArn": arn}),
        ("bedrock", "DeleteCustomModelDeployment", {"customModelDeploymentIdentifier": text}),
        ("bedrock", "TagResource", {"resourceARN": arn, "tags": []}),
        ("bedrock-runtime", "Converse", {"modelId": text, "messages": user("?")}),
        ("bedrock-runtime", "InvokeModel", {"modelId": arn, "body": nova("?")}),
        ("sagemaker", "DescribeTrainingJob", {"TrainingJobName": text}),
        ("sagemaker", "ListTags", {"ResourceArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{text}"}),
    ):
        assert code_of(shop.client(service), operation, **params) in refusals, (operation, text)
    answer = httpx.get(f"{shop.url}/v1/models/{quote(text, safe='')}", headers=BEARER)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert files(shop.live.folder) == before


@pytest.mark.parametrize("bucket", ["..", "../..", ".hidden", "a", "UPPER", "a_b", ""])
def test_no_bucket_climbs(shop: Shop, bucket: str) -> None:
    before = files(shop.live.folder)
    uri = f"s3://{bucket}/train.jsonl"
    wrong = job_request(unique("x"), outputDataConfig={"s3Uri": uri})
    assert code_of(shop.bedrock, "CreateModelCustomizationJob", **wrong) == "ValidationException"
    source = {"modelName": unique("x"), "roleArn": ROLE, "modelSourceConfig": {"s3DataSource": {"s3Uri": uri}}}
    try:
        made = shop.bedrock.create_custom_model(**source)["modelArn"]
        found = until(lambda: shop.bedrock.get_custom_model(modelIdentifier=made)["modelStatus"] != "Creating")
        assert found
        assert shop.bedrock.get_custom_model(modelIdentifier=made)["modelStatus"] == "Failed"
    except shop.bedrock.exceptions.ValidationException:
        pass
    assert files(shop.live.folder) == before


def test_no_key_climbs(shop: Shop) -> None:
    """S3's keys may hold dots and slashes, which are letters to it; here nothing of a key becomes a path."""
    before = files(shop.live.folder)
    for key in ("../../escape.jsonl", "a/../../escape.jsonl", "a/.../escape.jsonl"):
        shop.s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}\n")
        assert shop.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"{}\n"
        job = shop.job(unique("x"), trainingDataConfig={"s3Uri": f"s3://{BUCKET}/{key}"})
        assert shop.ended(job)["status"] == "Failed"
    out = shop.job(unique("out"), outputDataConfig={"s3Uri": f"s3://{BUCKET}/../../../out"})
    assert shop.ended(out)["status"] in ("Completed", "Failed")
    files_of_an_adapter = {
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": b"x",
        "../../manifest.json": b"{}",
    }
    for name, body in files_of_an_adapter.items():
        shop.s3.put_object(Bucket=BUCKET, Key=f"climbing/{name}", Body=body)
    shop.bedrock.create_custom_model(
        modelName=unique("climbing"), modelSourceConfig={"s3DataSource": {"s3Uri": f"s3://{BUCKET}/climbing"}}
    )
    shop.live.application.activation.resume()
    assert files(shop.live.folder) == before


# heads and bodies -----------------------------------------------------------------------------------------------------


def raw(url: str, data: bytes, more: int = 65536, wait: float = 20.0) -> bytes:
    """What the server answers to these bytes until it closes the connection or is silent."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=wait) as connection:
        connection.sendall(data)
        received = b""
        while len(received) < more and (block := _received(connection)):
            received += block
        return received


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def head(url: str, *lines: str, request: str = "GET /health HTTP/1.1") -> bytes:
    host = urlsplit(url).netloc
    return "\r\n".join([request, f"Host: {host}", *lines, "", ""]).encode("latin-1")


def test_heads_that_are_too_large_or_malformed(shop: Shop) -> None:
    url = shop.url
    assert raw(url, head(url, f"X-Large: {'x' * 40_000}", "Connection: close")).startswith(b"HTTP/1.1 431")
    assert raw(url, head(url, *[f"X-{n}: {'x' * 100}" for n in range(400)], "Connection: close")).startswith(
        b"HTTP/1.1 431"
    )
    long = f"GET /{'x' * 40_000} HTTP/1.1"
    assert raw(url, head(url, "Connection: close", request=long)).startswith(b"HTTP/1.1 431")
    for lines in (
        ["Content-Length: 5", "Transfer-Encoding: chunked"],  # request smuggling
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -1"],
        ["Content-Length: 0x10"],
        ["Transfer-Encoding: gzip"],
        ["X Y: 1"],
        ["X: \x00"],
    ):
        answer = raw(
            url, head(url, *lines, "Connection: close", request="POST /model/base/converse HTTP/1.1") + b"0\r\n\r\n"
        )
        assert answer.split(b" ", 2)[1] in (b"400", b"403", b"501"), lines
    assert raw(url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50).startswith(b"HTTP/1.1 400")
    assert b"HTTP/1.1 200" in raw(url, head(url, "Connection: close"))


def test_nothing_of_a_request_becomes_a_header_of_the_answer(shop: Shop) -> None:
    split = "x%0d%0aset-cookie:%20a=b"
    for path in (f"/model/{split}/converse", f"/v1/models/{split}", f"/custom-models/{split}", f"/{BUCKET}/{split}"):
        answer = httpx.get(shop.url + path, headers=BEARER)
        assert "set-cookie" not in answer.headers


def test_bodies_that_are_too_large(shop: Shop) -> None:
    small, large = b"x" * 1_000_001, b"x" * 25_000_001
    client = boto(shop.url, "bedrock")
    code = code_of(client, "TagResource", resourceARN="arn:" + "x" * 1_000_001, tags=[])
    assert code == "RequestEntityTooLargeException"
    for path, body in (
        ("/v1/chat/completions", large),
        ("/model/base/invoke", large),
        ("/custom-models", small),
        ("/v1/models", small),
    ):
        answer = httpx.post(shop.url + path, content=body, headers=BEARER)
        assert answer.status_code == 413, path
    chunks = httpx.post(f"{shop.url}/tagResource", content=iter([b"x" * 100_000] * 11), headers=BEARER)
    assert chunks.status_code == 413  # not only where the client says how much will come
    with pytest.raises(Exception, match="413"):
        open_ai(shop.url).chat.completions.create(model="base", messages=[{"role": "user", "content": large.decode()}])


def test_json_that_is_made_to_hurt(shop: Shop) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    wide = b'{"messages":[' + b"[]," * 400_000 + b"[]]}"
    number = b'{"messages": ' + b"9" * 10_000 + b"}"
    for body in (deep, wide, number, b'{"a": NaN}', b'\xef\xbb\xbf{"messages": []}', b'{"messages": "\\ud800"}'):
        for path in ("/model/base/converse", "/model/base/invoke", "/v1/chat/completions"):
            answer = httpx.post(shop.url + path, content=body, headers=BEARER)
            assert answer.status_code == 400, (path, body[:20])
            assert len(answer.content) < 4096


def test_patterns_that_are_made_to_hurt(shop: Shop) -> None:
    """The service's own patterns backtrack; botocore's client does not look at them, the server does."""
    for name in ("a" * 62 + "!", "a-" * 31 + "!", "a" + "-" * 61 + "!"):
        for operation, params in (
            ("CreateModelCustomizationJob", job_request(name)),
            ("CreateCustomModel", {"modelName": name}),
            ("GetCustomModel", {"modelIdentifier": name * 30}),
            ("TagResource", {"resourceARN": f"arn:aws:bedrock:{name * 10}", "tags": []}),
        ):
            assert code_of(shop.bedrock, operation, **params) == "ValidationException"


# slow clients, and too many of them -----------------------------------------------------------------------------------


def set_limits(monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
    """Other defaults of `Limits`, which the server takes."""
    monkeypatch.setattr(Limits.__init__, "__kwdefaults__", {**(Limits.__init__.__kwdefaults__ or {}), **limits})


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A server whose patience with heads and bodies is a moment."""
    monkeypatch.setattr(Connection, "head_seconds", 0.3)
    set_limits(monkeypatch, body_seconds=0.3)
    with live(tmp_path) as server:
        yield server


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A server that runs two requests at once."""
    set_limits(monkeypatch, requests=2)
    with live(tmp_path) as server:
        yield server


def test_who_does_not_finish_is_sent_away(hasty: Live) -> None:
    assert raw(hasty.url, b"GET /health HTTP/1.1\r\nHost: x").startswith(b"HTTP/1.1 408")
    assert raw(hasty.url, b"").startswith(b"HTTP/1.1 408")
    begun = head(hasty.url, "Content-Length: 100", "Authorization: Bearer x", request="POST /tagResource HTTP/1.1")
    assert raw(hasty.url, begun + b"{").startswith(b"HTTP/1.1 408")
    with httpx.Client() as client:  # and who does, is not: connections may be kept
        for _ in range(2):
            assert client.get(f"{hasty.url}/health").status_code == 200


def test_too_many_at_once_are_refused_and_none_is_lost(small: Live) -> None:
    """Every operation may be answered so; clients try again."""
    parts, runtime = urlsplit(small.url), boto(small.url, "bedrock-runtime")
    begun = head(small.url, "Content-Length: 100", request="POST /tagResource HTTP/1.1")
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0)) as first,
        socket.create_connection((parts.hostname or "", parts.port or 0)) as second,
    ):
        first.sendall(begun)
        second.sendall(begun)
        until(lambda: httpx.get(f"{small.url}/health").status_code == 503)
        for operation in ("CountTokens", "ApplyGuardrail", "Converse"):
            params = {**CALLS["bedrock-runtime", operation]}
            assert code_of(runtime, operation, **params) == "ServiceUnavailableException"
    until(lambda: httpx.get(f"{small.url}/health").status_code == 200)
    answer = call(runtime, "Converse", modelId="base", messages=user("?"))
    assert answer["stopReason"] == "end_turn"


def test_a_storm_of_nonsense_leaves_the_server_well(shop: Shop) -> None:
    paths = ("/", "//", "/%", "/%00", "/v1/", "/model//converse", "/custom-models/%2e%2e", "/?a=" + "b" * 1000)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"):
        for path in paths:
            answer = httpx.request(method, shop.url + path, content=b"\x00\xff", headers=BEARER)
            assert 400 <= answer.status_code < 500, (method, path)
    assert json.loads(httpx.get(f"{shop.url}/health").content) == {"status": "ok"}
