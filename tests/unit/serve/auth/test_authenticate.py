"""Who may come in: on loopback without keys everybody, otherwise who has a live one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sqlora.platform.keys import Keys, NewKey
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.auth.scopes import require, scopes_for
from sqlora.serve.aws.call import SCOPES, AwsError, Identity
from tests.unit.serve.auth.signing import scope, signed


def bearer(token: str) -> dict[str, Any]:
    return scope("POST", "http://x/model/base/converse", {"Authorization": f"Bearer {token}"})


def refused(authenticate: Authenticate, scope: dict[str, Any], body: bytes = b"{}") -> str:
    with pytest.raises(AwsError) as caught:
        authenticate(scope, body)
    return caught.value.code


@pytest.fixture
def new(keys: Keys) -> NewKey:
    return keys.create("notebook", frozenset({"invoke"}))


def test_on_loopback_any_well_formed_credentials_open_everything_until_there_is_a_key(keys: Keys) -> None:
    authenticate = Authenticate(keys, loopback=True)
    assert authenticate(signed(key="testing"), b"{}") == Identity("testing", "testing", SCOPES)
    assert authenticate(bearer("sk-anything"), b"{}") == Identity("bearer", "bearer", SCOPES)
    assert authenticate(bearer("bedrock-api-key-YmVkcm9jaw=="), b"{}").caller == "bearer"
    keys.create("notebook", frozenset({"invoke"}))
    assert refused(authenticate, signed(key="testing")) == "UnrecognizedClientException"
    assert refused(authenticate, bearer("sk-anything")) == "UnrecognizedClientException"


def test_elsewhere_it_takes_a_key_from_the_start(keys: Keys) -> None:
    authenticate = Authenticate(keys, loopback=False)
    assert refused(authenticate, signed()) == "UnrecognizedClientException"
    assert refused(authenticate, bearer("bedrock-api-key-YmVkcm9jaw==")) == "UnrecognizedClientException"


@pytest.mark.parametrize("loopback", [True, False])
def test_both_secrets_of_a_key_open(keys: Keys, new: NewKey, loopback: bool) -> None:
    authenticate = Authenticate(keys, loopback)
    expected = Identity("notebook", new.id, frozenset({"invoke"}))
    assert authenticate(signed(key=new.id, secret=new.secret_access_key), b"{}") == expected
    assert authenticate(bearer(new.bearer_token), b"") == expected


@pytest.mark.parametrize("loopback", [True, False])
def test_neither_does_once_it_is_rotated_or_revoked(keys: Keys, new: NewKey, loopback: bool) -> None:
    authenticate = Authenticate(keys, loopback)
    by_signature = signed(key=new.id, secret=new.secret_access_key)
    newer = keys.rotate(new.id)
    assert refused(authenticate, by_signature) == "InvalidSignatureException"
    assert refused(authenticate, bearer(new.bearer_token)) == "UnrecognizedClientException"
    keys.revoke(new.id)
    assert refused(authenticate, signed(key=new.id, secret=newer.secret_access_key)) == "UnrecognizedClientException"
    assert refused(authenticate, bearer(newer.bearer_token)) == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("minutes", "code"),
    [(14, None), (16, "InvalidSignatureException"), (-14, None), (-16, "InvalidSignatureException")],
)
@pytest.mark.parametrize("with_keys", [True, False])
def test_a_signature_is_good_for_fifteen_minutes(keys: Keys, minutes: int, code: str | None, with_keys: bool) -> None:
    new = keys.create("notebook", frozenset({"invoke"})) if with_keys else None
    scope = signed(key=new.id, secret=new.secret_access_key) if new else signed()
    authenticate = Authenticate(keys, True, lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    if code is None:
        authenticate(scope, b"{}")
    else:
        assert refused(authenticate, scope) == code


def test_a_presigned_url_expires(keys: Keys, new: NewKey) -> None:
    scope = signed("GET", "/bucket/a", b"", key=new.id, secret=new.secret_access_key, service="s3", presigned=3600)
    Authenticate(keys, True, lambda: datetime.now(UTC) + timedelta(minutes=59))(scope, b"")
    late = Authenticate(keys, True, lambda: datetime.now(UTC) + timedelta(minutes=61))
    assert refused(late, scope, b"") == "RequestExpired"
    early = Authenticate(keys, True, lambda: datetime.now(UTC) - timedelta(minutes=16))
    assert refused(early, scope, b"") == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Basic eDp5"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer "}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer two words"}, "IncompleteSignatureException"),
        ({"Authorization": f"Bearer {'x' * 10_000}"}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-HMAC-SHA256 nonsense"}, "IncompleteSignatureException"),
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_credentials_that_are_none(keys: Keys, headers: dict[str, str], code: str, loopback: bool) -> None:
    assert refused(Authenticate(keys, loopback), scope("GET", "http://x/custom-models", headers), b"") == code


def test_a_file_of_secrets_that_is_gone_is_no_fault_of_the_callers(keys: Keys, new: NewKey, tmp_path: Any) -> None:
    (tmp_path / "keys.secret").unlink()
    with pytest.raises(RuntimeError, match="cannot be verified"):
        Authenticate(keys, True)(signed(key=new.id, secret=new.secret_access_key), b"{}")


@pytest.mark.parametrize(
    ("service", "operation", "scopes"),
    [
        ("bedrock-runtime", "Converse", {"invoke", "admin"}),
        ("bedrock-runtime", "CountTokens", {"invoke", "admin"}),
        ("bedrock", "GetFoundationModel", {"invoke", "train", "admin"}),
        ("bedrock", "ListFoundationModels", {"invoke", "train", "admin"}),
        ("bedrock", "GetCustomModelDeployment", {"invoke", "train", "admin"}),
        ("bedrock", "ListCustomModelDeployments", {"train", "admin"}),
        ("bedrock", "DeleteCustomModel", {"train", "admin"}),
        ("sagemaker", "CreateTrainingJob", {"train", "admin"}),
        ("service-quotas", "GetServiceQuota", {"train", "admin"}),
        ("s3", "*", {"train", "admin"}),
    ],
)
def test_scopes(service: str, operation: str, scopes: set[str]) -> None:
    assert scopes_for(service, operation) == scopes
    for name in SCOPES:
        identity = Identity("notebook", "SQLA", frozenset({name}))
        if name in scopes:
            require(identity, service, operation)
        else:
            with pytest.raises(AwsError, match=f"{service}:") as caught:
                require(identity, service, operation)
            assert caught.value.code == "AccessDeniedException"
