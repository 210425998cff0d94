"""Client request tokens: a call that is repeated because its answer was lost makes nothing a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlora.errors import ConflictError
from sqlora.platform.names import now

if TYPE_CHECKING:
    from sqlora.platform.state import State

KEPT_SECONDS = 24 * 3600.0


class Idempotency:
    """The repository of tokens. Ask, make and remember in one `State.transaction`, or two calls both make one.

    >>> with state.transaction():                                             # doctest: +SKIP
    ...     id = state.idempotency.seen("CreateModel", token, fingerprint)
    ...     if id is None:
    ...         id = state.models.create(name, base_model=base).id
    ...         state.idempotency.remember("CreateModel", token, fingerprint, id)
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def seen(self, operation: str, token: str, fingerprint: str) -> str | None:
        """The id of what the token has made in the last 24 hours, else None; it may have been deleted since.

        ``fingerprint`` is equal for requests that ask for the same. ConflictError when the token came with another.
        """
        rows = self._state.rows(
            """SELECT fingerprint, resource_id FROM idempotency
               WHERE operation = ? AND token = ? AND created_at > ?""",
            (operation, token, now(-KEPT_SECONDS)),
        )
        if not rows:
            return None
        if rows[0]["fingerprint"] != fingerprint:
            raise ConflictError(
                f"the client request token {token!r} was used for another {operation}", "a new token for a new request"
            )
        return str(rows[0]["resource_id"])

    def remember(self, operation: str, token: str, fingerprint: str, resource_id: str) -> None:
        """Keep what the token has made, and forget tokens older than 24 hours."""
        with self._state.transaction():
            self._state.execute("DELETE FROM idempotency WHERE created_at <= ?", (now(-KEPT_SECONDS),))
            self._state.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)", (operation, token, fingerprint, resource_id, now())
            )
