"""The project's keys, and one more that only this process knows: its jobs read and write the S3 behind its own port."""

from __future__ import annotations

import secrets

from sqlora.platform.keys import SCOPES, ApiKey, Keys
from sqlora.platform.names import now
from sqlora.platform.state import State


class OwnKeys(Keys):
    """`Keys` with a key that is stored nowhere and ends with the process; it does not count as a key of the project."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._own = ApiKey(f"SQLAOWN{secrets.token_hex(8)}", "sqlora serve", frozenset(SCOPES), 1, now())
        self._secret = secrets.token_urlsafe(30)

    @property
    def credentials(self) -> tuple[str, str]:
        """Its access key id and secret."""
        return self._own.id, self._secret

    def secret(self, access_key_id: str) -> tuple[ApiKey, str] | None:
        """See `Keys`."""
        if secrets.compare_digest(access_key_id.encode(), self._own.id.encode()):
            return self._own, self._secret
        return super().secret(access_key_id)
