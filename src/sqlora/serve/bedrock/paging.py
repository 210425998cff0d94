"""Bedrock's listings: filtered and sorted by time of creation, in pages (`sqlora.serve.aws.paging`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlora.serve.aws import paging

DEFAULT_SIZE = 100

_Row = TypeVar("_Row")
Key = tuple[str, str]
"""Time of creation (ISO-8601 UTC text) and id: in this order, rows are unique."""


def page(rows: Iterable[_Row], params: Mapping[str, Any], key: Callable[[_Row], Key]) -> tuple[list[_Row], str | None]:
    """The page that ``params`` ask for (maxResults, nextToken, sortOrder), and the token of the one after it."""
    descending = params.get("sortOrder", "Descending") == "Descending"
    size = params.get("maxResults", DEFAULT_SIZE)
    return paging.page(rows, key, size, params.get("nextToken"), descending=descending)


def created_between(created_at: str, after: datetime | None, before: datetime | None) -> bool:
    """Whether a row was made after the one moment and before the other; None is no bound."""
    at = moment(created_at)
    return (after is None or at > after) and (before is None or at < before)


def moment(text: str) -> datetime:
    """The state's text of a time as an aware `datetime`."""
    return datetime.fromisoformat(text)
