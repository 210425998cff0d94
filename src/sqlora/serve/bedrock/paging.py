"""Lists in pages: filtered by time of creation, sorted by it, with a token that survives inserts and deletions.

A token says after which row the next page begins (its time and id), not how many rows were passed over; so a row that
is made or deleted between two pages shifts nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlora.serve.aws.call import AwsError

DEFAULT_SIZE = 100
_KEY = re.compile(r"(\S{20,30}) ([a-z0-9]{12})")

_Row = TypeVar("_Row")
Key = tuple[str, str]
"""Time of creation (ISO-8601 UTC text) and id: in this order, rows are unique."""


def page(rows: Iterable[_Row], params: Mapping[str, Any], key: Callable[[_Row], Key]) -> tuple[list[_Row], str | None]:
    """The page that ``params`` ask for (maxResults, nextToken, sortOrder), and the token of the one after it."""
    descending = params.get("sortOrder", "Descending") == "Descending"
    ordered = sorted(rows, key=key, reverse=descending)
    if token := params.get("nextToken"):
        last = _read(token)
        ordered = [row for row in ordered if (key(row) < last if descending else key(row) > last)]
    size = params.get("maxResults", DEFAULT_SIZE)
    return ordered[:size], _token(key(ordered[size - 1])) if len(ordered) > size else None


def created_between(created_at: str, after: datetime | None, before: datetime | None) -> bool:
    """Whether a row was made after the one moment and before the other; None is no bound."""
    at = moment(created_at)
    return (after is None or at > after) and (before is None or at < before)


def moment(text: str) -> datetime:
    """The state's text of a time as an aware `datetime`."""
    return datetime.fromisoformat(text)


def _token(key: Key) -> str:
    return base64.urlsafe_b64encode(" ".join(key).encode()).decode().rstrip("=")


def _read(token: str) -> Key:
    try:
        found = _KEY.fullmatch(base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise AwsError("ValidationException", "The provided nextToken is not one that this operation has returned.")
    return found[1], found[2]
