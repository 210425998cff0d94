"""What a request's signature says of it before anything is verified: whether it is AWS's, and for which service."""

from __future__ import annotations

import re

from starlette.types import Scope

OBJECT_STORES = frozenset({"s3", "s3-outposts", "s3-object-lambda", "s3express"})

# key id / date / region / service / aws4_request, in the Authorization header or, percent-encoded, in a presigned URL
_HEADER = re.compile(rb"AWS4-HMAC-SHA256 .*?Credential=[^/,]+/\d+/[^/,]*/([a-z0-9-]+)/aws4_request")
_QUERY = re.compile(rb"X-Amz-Credential=[^&]+?(?:/|%2F)\d+(?:/|%2F)[^&/%]*(?:/|%2F)([a-z0-9-]+)(?:/|%2F)aws4_request")


def signed_service(scope: Scope) -> str | None:
    """The service that the request was signed for; None without a signature of AWS's."""
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    found = _HEADER.match(authorization[:4096]) or _QUERY.search(scope["query_string"][:8192])
    return found[1].decode() if found else None


def is_aws(scope: Scope) -> bool:
    """Whether it can only be AWS's: signed, or with the header that names a JSON-1.1 operation."""
    return signed_service(scope) is not None or any(name == b"x-amz-target" for name, _ in scope["headers"])


def is_object_store(scope: Scope) -> bool:
    """Whether its body is an object to be stored, of any size."""
    return signed_service(scope) in OBJECT_STORES
