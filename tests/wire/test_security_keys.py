"""Who is let in: without keys, with keys, wrong signatures, old dates, scopes, presigned URLs, bearer tokens."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx2 as httpx
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.unit.serve.aws.running import self_signed
from tests.wire.clients import KEY, SECRET, boto, call, code_of, known, open_ai
from tests.wire.live import live
from tests.wire.shop import Shop, open_shop, user

ASKED = {"modelId": "base", "messages": user("a question nobody else may read")}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server whose project has keys."""
    with open_shop(tmp_path_factory.mktemp("guarded")) as made:
        made.live.backend.state.keys.create("first", frozenset({"admin"}))
        yield made


def new(guarded: Shop, name: str, scope: Any = "admin") -> Any:
    return guarded.live.backend.state.keys.create(name, frozenset({scope}))


def signed(
    key: str, secret: str, url: str, service: str = "bedrock", late: dt.timedelta = dt.timedelta(0)
) -> httpx.Response:
    """GET, signed as botocore signs, at another time than now."""
    request = AWSRequest("GET", url)
    at = dt.datetime.now(dt.UTC) - late
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    auth = SigV4Auth(Credentials(key, secret), service, "us-east-1")
    # botocore signs with the clock's time, which here is another
    auth._modify_request_before_signing(request)
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    auth._inject_signature_to_request(request, signature)
    return httpx.get(url, headers=dict(request.headers.items()))


def test_on_loopback_without_keys_any_credentials_are_taken(tmp_path: Path) -> None:
    with live(tmp_path) as server:
        assert boto(server.url, "bedrock", "AKIAWHATEVER", "x").list_custom_models()["modelSummaries"] == []
        assert open_ai(server.url, "anything").models.list().data
        assert signed("AKIAWHATEVER", "x", f"{server.url}/custom-models").status_code == 200
        server.backend.state.keys.create("first", frozenset({"invoke"}))  # and from now on only keys are
        assert (
            code_of(boto(server.url, "bedrock", "AKIAWHATEVER", "x"), "ListCustomModels")
            == "UnrecognizedClientException"
        )


def test_without_credentials_nobody_is_answered(tmp_path: Path) -> None:
    with live(tmp_path) as server:
        for service, operation in (("bedrock", "ListCustomModels"), ("bedrock-runtime", "Converse")):
            client = known(
                boto3.client(
                    service,
                    endpoint_url=server.url,
                    region_name="us-east-1",
                    config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
                )
            )
            params = ASKED if operation == "Converse" else {}
            assert code_of(client, operation, **params) == "MissingAuthenticationTokenException"
        assert httpx.get(f"{server.url}/v1/models").status_code == 401


def test_a_key_its_secret_and_its_end(guarded: Shop) -> None:
    keys = guarded.live.backend.state.keys
    key = new(guarded, "ends")
    for service, operation, params in (
        ("bedrock", "ListCustomModels", {}),
        ("bedrock-runtime", "Converse", ASKED),
        ("sagemaker", "ListTrainingJobs", {}),
        ("service-quotas", "ListServiceQuotas", {"ServiceCode": "sagemaker"}),
    ):
        right = boto(guarded.url, service, key.id, key.secret_access_key)
        assert code_of(boto(guarded.url, service, key.id, "guess"), operation, **params) == "InvalidSignatureException"
        assert code_of(boto(guarded.url, service, KEY, SECRET), operation, **params) == "UnrecognizedClientException"
        assert call(right, operation, **params)["ResponseMetadata"]["HTTPStatusCode"] == 200
    client = boto(guarded.url, "bedrock", key.id, key.secret_access_key)
    rotated = keys.rotate(key.id)
    assert code_of(client, "ListCustomModels") == "InvalidSignatureException"
    again = boto(guarded.url, "bedrock", rotated.id, rotated.secret_access_key)
    assert again.list_custom_models()
    keys.revoke(key.id)
    assert code_of(again, "ListCustomModels") == "UnrecognizedClientException"


def test_old_and_early_signatures(guarded: Shop) -> None:
    key = new(guarded, "clock")
    for minutes, status in ((0, 200), (14, 200), (16, 403), (-14, 200), (-16, 403), (60 * 24 * 365, 403)):
        late = dt.timedelta(minutes=minutes)
        answer = signed(key.id, key.secret_access_key, f"{guarded.url}/custom-models", late=late)
        assert answer.status_code == status, minutes
        if status == 403:
            assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException"


def test_what_was_signed_is_what_is_answered(guarded: Shop) -> None:
    """A signature is of one path, one query, one body and the headers that it names."""
    key = new(guarded, "tamper")
    request = AWSRequest("POST", f"{guarded.url}/model/base/converse", data=b'{"messages":[]}')
    SigV4Auth(Credentials(key.id, key.secret_access_key), "bedrock", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}

    def error(path: str = "/model/base/converse", body: bytes = b'{"messages":[]}', **more: str) -> str:
        answer = httpx.post(guarded.url + path, content=body, headers={**headers, **more})
        found: str = answer.headers["x-amzn-errortype"]
        return found

    assert error() == "ValidationException"  # let in: an empty conversation is refused for itself
    for changed in (
        error(path="/model/smollm2-135m/converse"),
        error(path="/model/base/converse?x=1"),
        error(body=b'{"messages": []}'),
        error(**{"x-amz-date": "20260101T000000Z"}),
        error(**{"x-amz-security-token": "added"}),
        error(**{"authorization": headers["authorization"].replace("us-east-1", "us-west-2")}),
    ):
        assert changed == "InvalidSignatureException"
    short = headers["authorization"].rsplit("Signature=", 1)[0]
    assert error(**{"authorization": short + "Signature=00"}) == "IncompleteSignatureException"


def s3_client(guarded: Shop, key: Any) -> Any:
    """boto3's presigned URLs are of the signature's version 2 in us-east-1 unless it is told otherwise."""
    config = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}}
    return boto(guarded.url, "s3", key.id, key.secret_access_key, **config)


def test_presigned_urls(guarded: Shop) -> None:
    key = new(guarded, "presigned")
    request = AWSRequest("GET", f"{guarded.url}/custom-models")
    SigV4QueryAuth(Credentials(key.id, key.secret_access_key), "bedrock", "us-east-1", expires=60).add_auth(request)
    assert httpx.get(request.url).status_code == 200
    assert httpx.get(request.url.replace("Expires=60", "Expires=61")).status_code == 403
    assert httpx.get(request.url.replace("Expires=60", "Expires=9999999")).status_code == 403
    good = s3_client(guarded, key)
    good.create_bucket(Bucket="presigned")
    put = good.generate_presigned_url("put_object", Params={"Bucket": "presigned", "Key": "a"})
    assert httpx.put(put, content=b"content").status_code == 200
    get = good.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "a"})
    assert httpx.get(get).content == b"content"
    assert httpx.get(get.replace("/a?", "/b?")).status_code == 403
    assert httpx.get(f"{guarded.url}/presigned/a").status_code in (403, 404)


def test_bearer_tokens_and_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore sends a bearer token over HTTPS only."""
    file = str(self_signed(tmp_path))
    with live(tmp_path, tls_cert=file, tls_key=file) as server:
        key = server.backend.state.keys.create("app", frozenset({"invoke"}))

        def client(service: str, token: str) -> Any:
            monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
            config = Config(retries={"total_max_attempts": 1})
            session = boto3.Session()
            return known(
                session.client(service, endpoint_url=server.url, region_name="us-east-1", verify=file, config=config)
            )

        assert client("bedrock-runtime", key.bearer_token).converse(**ASKED)["stopReason"] == "end_turn"
        assert server.backend.state.usage.list()[0].caller == "app"
        assert client("bedrock", key.bearer_token).list_foundation_models()["modelSummaries"]
        assert code_of(client("bedrock", key.bearer_token), "ListCustomModels") == "AccessDeniedException"
        for wrong in (f"{key.bearer_token[:-1]}~", "bedrock-api-key-YWJj", "ABSKYWJj"):
            assert code_of(client("bedrock-runtime", wrong), "Converse", **ASKED) == "UnrecognizedClientException"
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https", "http") + "/health")


def test_s3_and_iam_ask_for_keys_too(guarded: Shop) -> None:
    invoke = new(guarded, "s3-invoke", "invoke")
    for service, operation in (("s3", "ListBuckets"), ("iam", "ListRoles"), ("sts", "GetCallerIdentity")):
        # botocore parses XML errors of each protocol by itself
        assert code_of(boto(guarded.url, service, KEY, SECRET), operation) == "UnrecognizedClientException"
        client = boto(guarded.url, service, invoke.id, invoke.secret_access_key)
        assert code_of(client, operation) == "AccessDeniedException"


def test_outside_loopback_even_the_metrics_need_a_key(tmp_path: Path) -> None:
    with live(tmp_path, host="0.0.0.0") as server:
        admin = server.backend.state.keys.create("admin", frozenset({"admin"}))
        invoke = server.backend.state.keys.create("app", frozenset({"invoke"}))
        assert httpx.get(f"{server.url}/health").status_code == 200
        for path in ("/ready", "/metrics", "/sqlora/residency"):
            for token, status in ((None, 403), (invoke.bearer_token, 403), (admin.bearer_token, 200)):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                assert httpx.get(server.url + path, headers=headers).status_code == status
        assert code_of(boto(server.url, "bedrock"), "ListCustomModels") == "UnrecognizedClientException"


def test_no_secret_is_ever_logged(guarded: Shop, caplog: pytest.LogCaptureFixture) -> None:
    key = new(guarded, "logged")
    with caplog.at_level(logging.DEBUG):
        client = boto(guarded.url, "bedrock-runtime", key.id, key.secret_access_key)
        client.converse(**ASKED)
        code_of(boto(guarded.url, "bedrock-runtime", key.id, "a-wrong-secret"), "Converse", **ASKED)
        code_of(client, "Converse", modelId="base", messages=user("crash over a-private-question"))
        open_ai(guarded.url, key.bearer_token).models.list()
        get = s3_client(guarded, key).generate_presigned_url(
            "get_object", Params={"Bucket": "secret-bucket", "Key": "secret-key"}
        )
        httpx.get(get)
        httpx.get(
            f"{guarded.url}/custom-models",
            headers={"authorization": f"Bearer {key.bearer_token}", "cookie": "a-cookie"},
        )
    # The client's own loggers are in this process too; uvicorn's access log is off, but pytest gives it a handler.
    names = ("sqlora", "uvicorn", "moto", "werkzeug", "a2wsgi")
    ours = [each for each in caplog.records if each.name.split(".")[0] in names and each.name != "uvicorn.access"]
    said = "\n".join(logging.Formatter().format(each) for each in ours)
    assert "operation=Converse" in said
    signature = get.split("X-Amz-Signature=")[1][:64]
    for secret in (
        key.secret_access_key,
        key.bearer_token,
        "a-wrong-secret",
        "a-cookie",
        "a question nobody else",
        "a-private-question",
        "AWS4-HMAC",
        signature,
        "secret-key",
    ):
        assert secret not in said, secret
    files = [path for path in (guarded.live.folder / ".sqlora").rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in files)
    for secret in (key.secret_access_key, key.bearer_token):
        assert secret.encode() not in stored


def test_no_other_hosts_name_is_answered(tmp_path: Path) -> None:
    """A web page that points a name of its own at 127.0.0.1 (DNS rebinding)."""
    with live(tmp_path) as server:
        for path in ("/v1/models", "/custom-models", "/metrics"):
            answer = httpx.get(server.url + path, headers={"host": "evil.example", "authorization": "Bearer x"})
            assert answer.status_code == 421
        answer = httpx.options(f"{server.url}/v1/models", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
