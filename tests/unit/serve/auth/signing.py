"""Requests as botocore signs them, and as ASGI hands them over."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOST = "127.0.0.1:8080"


def signed(
    method: str = "POST",
    target: str = "/model/base/converse",
    body: bytes = b"{}",
    *,
    key: str = "AKID",
    secret: str = "secret",
    service: str = "bedrock",
    headers: dict[str, str] | None = None,
    token: str | None = None,
    presigned: int | None = None,
) -> dict[str, Any]:
    """The ASGI scope of a request to ``target`` (path and query, as sent), signed now."""
    request = AWSRequest(
        method, f"http://{HOST}{target}", {"Content-Type": "application/json", **(headers or {})}, body
    )
    credentials = Credentials(key, secret, token)
    if presigned is None:
        (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, "us-east-1").add_auth(request)
    else:
        kind = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        kind(credentials, service, "us-east-1", expires=presigned).add_auth(request)
    return scope(method, request.url, dict(request.headers.items()))


def scope(method: str, url: str, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    named = {"host": HOST, **{name.lower(): value for name, value in headers.items()}}
    return {
        "type": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def change(scope: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """The scope with another value of a header."""
    kept = [(key, old) for key, old in scope["headers"] if key != name.encode()]
    return {**scope, "headers": [*kept, (name.encode(), value.encode())]}


def header(scope: dict[str, Any], name: str) -> str:
    return next(value.decode() for key, value in scope["headers"] if key == name.encode())
