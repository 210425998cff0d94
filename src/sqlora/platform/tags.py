"""Tags of jobs, models and deployments. They go with their resource: triggers of 0002_cloud.sql see to that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sqlora.errors import ConfigError

if TYPE_CHECKING:
    from sqlora.platform.state import State

MOST = 200  # Bedrock's limit on one resource


class TooManyTagsError(ConfigError):
    """More than `MOST` tags on one resource."""


class Tags:
    """The repository of tags. A ``resource`` is ``job/<id>``, ``model/<id>`` or ``deployment/<id>``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, resource: str, tags: Mapping[str, str]) -> None:
        """Add tags, or give those that are there another value. TooManyTagsError, and none is added, above `MOST`."""
        with self._state.transaction():
            count = len({*self.of(resource), *tags})
            if count > MOST:
                raise TooManyTagsError(
                    f"{resource} would have {count} tags, and {MOST} are the most", "fewer tags, or remove some first"
                )
            for key, value in tags.items():
                self._state.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", (resource, key, value))

    def remove(self, resource: str, keys: Iterable[str]) -> None:
        """Take the tags of these keys away; a key that is not there is no error."""
        with self._state.transaction():
            for key in keys:
                self._state.execute("DELETE FROM tags WHERE resource = ? AND key = ?", (resource, key))

    def of(self, resource: str) -> dict[str, str]:
        """All tags of the resource, by key in order; empty for one that has none or is not there."""
        rows = self._state.rows("SELECT key, value FROM tags WHERE resource = ? ORDER BY key", (resource,))
        return {row["key"]: row["value"] for row in rows}

    def forget(self, resource: str) -> None:
        """Take all of the resource's tags away."""
        self._state.execute("DELETE FROM tags WHERE resource = ?", (resource,))
