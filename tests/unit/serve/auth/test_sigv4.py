"""Signatures that botocore makes are verified, and any change of what was signed is noticed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.serve.auth.sigv4 import Request, read_claim, verify
from sqlora.serve.aws.call import AwsError
from tests.unit.serve.auth.signing import change, header, signed

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefgh1234"


def check(scope: dict[str, Any], body: bytes | None = b"{}", secret: str = "secret") -> None:
    request = Request.of(scope)
    claim = read_claim(request)
    assert claim is not None
    verify(claim, secret, request, body)


def refused(scope: dict[str, Any], body: bytes | None = b"{}", secret: str = "secret") -> str:
    with pytest.raises(AwsError) as caught:
        check(scope, body, secret)
    return caught.value.code


@pytest.mark.parametrize("service", ["bedrock", "sagemaker", "servicequotas", "sts", "s3"])
@pytest.mark.parametrize(
    "target",
    [
        "/",
        f"/model/{quote(ARN, safe='')}/converse",
        f"/custom-models?createdAfter={quote('2026-01-01T00:00:00Z', safe='-_.~')}&maxResults=5&nameContains=",
        "/a%20b/%C3%BC~x(1)?b=2&a=1&a=0&c=%2B",
    ],
)
def test_what_botocore_signs(service: str, target: str) -> None:
    check(signed(target=target, service=service))


def test_temporary_credentials_sign_their_token_too() -> None:
    scope = signed(token="token")
    check(scope)
    assert refused(change(scope, "x-amz-security-token", "another")) == "InvalidSignatureException"


PARTS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12)


@given(st.lists(PARTS, max_size=4), st.dictionaries(PARTS, PARTS, max_size=3), st.binary(max_size=50))
def test_whatever_botocore_signs(path: list[str], query: dict[str, str], body: bytes) -> None:
    target = "/" + "/".join(quote(part, safe="-_.~") for part in path)
    target += "?" + "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in query.items())
    for service in ("bedrock", "s3"):  # S3's keys come with their slashes plain, but what is quoted stays so
        scope = signed(target=target, body=body, service=service)
        check(scope, body)
        if service == "bedrock":
            assert refused(scope, body + b" ") == "InvalidSignatureException"
    assert refused({**scope, "raw_path": scope["raw_path"] + b"x"}, body) == "InvalidSignatureException"


@pytest.mark.parametrize(
    "changed",
    [
        lambda scope: {**scope, "method": "PUT"},
        lambda scope: {**scope, "raw_path": b"/model/other/converse"},
        lambda scope: {**scope, "query_string": b"a=1"},
        lambda scope: change(scope, "content-type", "text/plain"),
        lambda scope: change(scope, "host", "elsewhere"),
        lambda scope: change(scope, "x-amz-target", "SageMaker.StopTrainingJob"),
        lambda scope: change(scope, "x-amz-content-sha256", "0" * 64),
        lambda scope: change(scope, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        lambda scope: change(scope, "authorization", header(scope, "authorization")[:-64] + "0" * 64),
        lambda scope: change(scope, "authorization", header(scope, "authorization").replace("us-east-1", "us-west-2")),
        lambda scope: change(
            scope, "authorization", header(scope, "authorization").replace("/bedrock/", "/sagemaker/")
        ),
    ],
)
def test_any_change_is_noticed(changed: Any) -> None:
    assert refused(changed(signed())) == "InvalidSignatureException"


def test_another_body_or_secret_is_noticed() -> None:
    assert refused(signed(), b"{} ") == "InvalidSignatureException"
    assert refused(signed(), secret="other") == "InvalidSignatureException"


def test_s3_may_leave_its_body_unsigned_or_state_its_hash() -> None:
    scope = signed(service="s3", body=b"object")
    check(scope, None)
    check(scope, b"object")
    assert refused(scope, b"another") == "InvalidSignatureException"
    assert refused(change(scope, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), None) == "InvalidSignatureException"


@pytest.mark.parametrize("service", ["s3", "bedrock"])
def test_presigned_urls(service: str) -> None:
    scope = signed("GET", "/bucket/a%20b?versionId=1", b"", service=service, presigned=60)
    check(scope, b"")
    assert refused({**scope, "query_string": scope["query_string"] + b"&x=1"}, b"") == "InvalidSignatureException"
    assert refused(change(scope, "x-amz-target", "SageMaker.StopTrainingJob"), b"") == "InvalidSignatureException"


def test_no_signature_is_no_claim() -> None:
    scope = {**signed(), "headers": [(b"host", b"x"), (b"authorization", b"Basic eDp5")]}
    assert read_claim(Request.of(scope)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Credential=", "Credentials="),
        ("/aws4_request", "/aws4"),
        ("SignedHeaders=content-type;host;x-amz-date", "SignedHeaders=content-type;x-amz-date"),
        ("AKID/", "AKID\u00e9/"),
        ("AKID/", "/"),
        ("AKID/", f"{'A' * 200}/"),
        ("Signature=", "Signature=Z"),
        ("host", "HOST"),
    ],
)
def test_a_malformed_signature_is_incomplete(old: str, new: str) -> None:
    scope = signed()
    authorization = header(scope, "authorization")
    assert old in authorization
    assert refused(change(scope, "authorization", authorization.replace(old, new))) == "IncompleteSignatureException"


@pytest.mark.parametrize("date", ["", "today", "20260101", "2026-01-01T00:00:00Z"])
def test_a_date_of_another_form_is_incomplete(date: str) -> None:
    assert refused(change(signed(), "x-amz-date", date)) == "IncompleteSignatureException"


@pytest.mark.parametrize("life", ["-1", "604801", "1e3", ""])
def test_a_presigned_url_lives_a_week_at_most(life: str) -> None:
    scope = signed("GET", "/bucket/a", b"", service="s3", presigned=60)
    query = scope["query_string"].replace(b"X-Amz-Expires=60", f"X-Amz-Expires={life}".encode())
    assert refused({**scope, "query_string": query}) == "IncompleteSignatureException"
