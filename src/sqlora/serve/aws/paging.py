"""Pages of a listing. A token holds the sort key of the last item given: what comes or goes meanwhile moves nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlora.serve.aws.call import AwsError

Item = TypeVar("Item")
Key = tuple[str, ...]


def page(
    items: Iterable[Item],
    key: Callable[[Item], Key],
    most: int,
    token: str | None = None,
    *,
    descending: bool = False,
    bad_token: str = "ValidationException",
) -> tuple[list[Item], str | None]:
    """Up to ``most`` items in order of ``key`` (unique texts) after those that ``token`` ends, and the next token.

    AwsError, of the code ``bad_token``, for a token that is none of these.
    """
    ordered = sorted(items, key=key, reverse=descending)
    if token:
        last = _decode(token, bad_token)
        ordered = [item for item in ordered if (key(item) < last if descending else key(item) > last)]
    given = ordered[:most]
    return given, _encode(key(given[-1])) if len(ordered) > most else None


def _encode(key: Key) -> str:
    return base64.b64encode(json.dumps(key).encode()).decode()


def _decode(token: str, bad_token: str) -> Key:
    try:
        key = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
        raise AwsError(bad_token, "The token of the next page is not one that this operation has returned.")
    return tuple(key)
