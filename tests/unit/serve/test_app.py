"""Which protocol a request speaks, what the server says of itself, and that other hosts' names are refused."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.serve.auth.signed import is_aws, is_object_store, signed_service
from sqlora.serve.edge.loopback import is_own
from sqlora.serve.json_text import depth, read_json
from tests.unit.serve.live import Served, boto, openai, served

USER = [{"role": "user", "content": [{"text": "how many?"}]}]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as made:
        yield made


def get(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_metrics_count_requests_tokens_and_what_is_in_memory(shop: Served) -> None:
    boto(shop.url).converse(modelId="retail-shop", messages=USER)
    openai(shop.url).chat.completions.create(model="retail-shop", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(Exception, match="nobody"):
        boto(shop.url).converse(modelId="nobody", messages=USER)
    status, text = get(f"{shop.url}/metrics")
    lines = text.splitlines()
    assert status == 200
    assert 'sqlora_requests_total{operation="Converse",protocol="bedrock-runtime",status="200"} 1.0' in lines
    assert 'sqlora_requests_total{operation="Converse",protocol="bedrock-runtime",status="404"} 1.0' in lines
    assert 'sqlora_requests_total{operation="ChatCompletions",protocol="openai",status="200"} 1.0' in lines
    output = sum(row.output_tokens for row in shop.rows())
    assert f'sqlora_tokens_total{{deployment="retail-shop",kind="output"}} {float(output)}' in lines
    assert 'sqlora_first_token_seconds_count{deployment="retail-shop"} 2.0' in lines
    assert "sqlora_resident_adapters 1.0" in lines
    assert "sqlora_adapter_loads_total 1.0" in lines
    assert "sqlora_queue_running 0.0" in lines


def test_unknown_paths_share_one_label(shop: Served) -> None:
    for path in ("a", "b", "c"):
        assert get(f"{shop.url}/{path}", Authorization="Bearer x")[0] == 404
    text = get(f"{shop.url}/metrics")[1]
    assert 'operation="unknown",protocol="aws",status="404"} 3.0' in text


def test_health_and_readiness(shop: Served) -> None:
    assert get(f"{shop.url}/health") == (200, '{"status":"ok"}')
    assert get(f"{shop.url}/ready") == (200, '{"status":"ready","deployments":2}')
    shop.answering._stopping = True
    assert get(f"{shop.url}/ready")[0] == 503
    assert get(f"{shop.url}/health")[0] == 200


def test_no_header_body_or_path_is_logged(shop: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sqlora")
    openai(shop.url, "sk-very-secret").chat.completions.create(
        model="retail-shop", messages=[{"role": "user", "content": "a private question"}]
    )
    boto(shop.url, key="AKIASEEN").converse(modelId="retail-shop", messages=USER)
    get(f"{shop.url}/a-private-path?token=abc", Authorization="Bearer another-secret")
    own = [record.getMessage() for record in caplog.records if record.name.startswith("sqlora")]
    text = "\n".join(own)
    assert "service=openai operation=ChatCompletions status=200" in text
    assert "operation=Converse status=200" in text
    assert "caller=AKIASEEN" in text
    for secret in ("very-secret", "another-secret", "private", "token=abc", "how many?", "Signature="):
        assert secret not in text


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("bucket.localhost:1", True),
        ("LOCALHOST.", True),
        ("evil.example", False),
        ("localhost.evil.example:8080", False),
        ("192.168.0.7", False),
        ("", False),
        ("[", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, own: bool) -> None:
    assert is_own(host) is own


def test_a_page_that_points_its_name_at_us_gets_nothing(shop: Served) -> None:
    assert get(f"{shop.url}/v1/models", Host="evil.example", Authorization="Bearer x")[0] == 421


def scope(authorization: str = "", query: bytes = b"", **headers: str) -> dict[str, object]:
    pairs = [(b"authorization", authorization.encode())] if authorization else []
    return {"headers": [*pairs, *((k.encode(), v.encode()) for k, v in headers.items())], "query_string": query}


def test_a_signature_tells_the_service() -> None:
    s3 = "AWS4-HMAC-SHA256 Credential=AK/20261124/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    assert signed_service(scope(s3)) == "s3"
    assert is_object_store(scope(s3))
    query = b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261124%2Fus-east-1%2Fs3%2Faws4_request"
    assert is_object_store(scope(query=query))
    assert signed_service(scope("Bearer AWS4")) is None
    assert not is_aws(scope("Bearer x"))
    assert is_aws(scope("Bearer x", **{"x-amz-target": "SageMaker.ListTrainingJobs"}))
    assert not is_object_store(scope(s3.replace("/s3/", "/bedrock/")))


def test_json_from_strangers() -> None:
    assert read_json(b'{"a": [1, {"b": "\\u00fc"}]}') == {"a": [1, {"b": "ü"}]}
    assert depth({"a": [1, {"b": 2}]}) == 3
    for text in (b"", b"{", b"NaN", b"[" * 100_000, b"[" * 33 + b"]" * 33, b'"\\udc00"', b"\xff", b"1" * 5000):
        with pytest.raises(ValueError, match=r".+"):
            read_json(text)
