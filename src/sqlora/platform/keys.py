"""Keys of the server: one id and two secrets, for SigV4 (boto3) and as a bearer token (Bedrock's and OpenAI's).

The database holds neither. The bearer token is random, and kept as its SHA-256. SigV4 is different: to verify a
signature the server must compute it, with the secret itself. So that secret is never stored but derived,

    secret = HMAC-SHA256(content of keys.secret, key id and version)

and whoever reads only the database, a backup of it say, can sign nothing. Rotation counts the version up, which makes
another secret. Without the file ``keys.secret`` (32 random bytes beside the database, for its owner's eyes only) bearer
tokens still work and signatures don't, until keys are rotated.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlora.errors import ConfigError, ConflictError, NotFoundError
from sqlora.platform.keys_file import KeysFile
from sqlora.platform.names import now, stamp

if TYPE_CHECKING:
    from sqlora.platform.state import State

Scope = Literal["invoke", "train", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BEARER_PREFIX = "sqlora-"
_BEARER_LENGTH = len(_BEARER_PREFIX) + 43
_LONGEST_NAME = 63
_USE_SECONDS = 60.0  # a use is a synced write, so not every one is written


@dataclass(frozen=True)
class ApiKey:
    """What may be shown of a key: everything but its secrets. Times are ISO-8601 UTC text.

    ``id`` is the access key id. ``version`` counts rotations from 1; ``last_used_at`` is to the minute, and of a
    signature that was tried, right or wrong.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    version: int
    created_at: str
    rotated_at: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None

    @property
    def status(self) -> Literal["Active", "Expired", "Revoked"]:
        """Whether it opens anything now."""
        if self.revoked_at is not None:
            return "Revoked"
        return "Expired" if self.expires_at is not None and self.expires_at <= now() else "Active"


@dataclass(frozen=True)
class NewKey:
    """A key just made or rotated: the one time that its secrets are shown. They are not in its repr."""

    id: str
    name: str
    secret_access_key: str = field(repr=False)
    bearer_token: str = field(repr=False)


class Keys:
    """The repository of keys."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._file = KeysFile(state.path.parent / "keys.secret")

    def create(self, name: str, scopes: frozenset[Scope], expires_at: str | None = None) -> NewKey:
        """A new key; ``expires_at`` is ISO-8601 text, UTC unless it says otherwise.

        Raises ConfigError for scopes other than `SCOPES` or none, or a time that is past, ConflictError when a key
        that was not revoked has the name.
        """
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
            raise ConfigError(f"{name!r} cannot be the name of a key: 1 to {_LONGEST_NAME} characters", "a name")
        key = ApiKey(_new_id(), name, _checked(scopes), 1, now(), expires_at=_future(expires_at))
        secret, bearer = self._derive(self._file.make(), key), _new_bearer()
        try:
            self._state.execute(
                """INSERT INTO api_keys (id, name, scopes, version, bearer_hash, created_at, expires_at)
                   VALUES (:id, :name, :scopes, :version, :hash, :created_at, :expires_at)""",
                {**vars(key), "scopes": " ".join(sorted(key.scopes)), "hash": _hash(bearer)},
            )
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"a key named {name!r} exists already", "sqlora keys list, or another name") from error
        return NewKey(key.id, name, secret, bearer)

    def rotate(self, id: str) -> NewKey:
        """Other secrets for the key, by id or name; the old ones open nothing from now on.

        ConflictError for a key that was revoked or has expired.
        """
        source = self._file.make()
        bearer = _new_bearer()
        with self._state.transaction():
            key = self.get(id)
            if key.status != "Active":
                raise ConflictError(f"key {key.name!r} is {key.status}", "sqlora keys create NAME --scope …")
            self._state.execute(
                "UPDATE api_keys SET version = version + 1, bearer_hash = ?, rotated_at = ? WHERE id = ?",
                (_hash(bearer), now(), key.id),
            )
            key = self.get(key.id)
        return NewKey(key.id, key.name, self._derive(source, key), bearer)

    def revoke(self, id: str) -> ApiKey:
        """Close the key, by id or name, for ever; it stays in the list, for the usage under its name. Twice is once."""
        with self._state.transaction():
            key = self.get(id)
            self._state.execute(
                "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now(), key.id)
            )
        return self.get(key.id)

    def get(self, id: str) -> ApiKey:
        """By id, or by name, where one that was not revoked comes first; NotFoundError."""
        rows = self._state.rows(
            """SELECT * FROM api_keys WHERE id = ?1 OR name = ?1
               ORDER BY id <> ?1, revoked_at IS NOT NULL, created_at DESC""",
            (id,),
        )
        if not rows:
            raise NotFoundError(f"no key {id!r}", "sqlora keys list")
        return _key(rows[0])

    def list(self) -> list[ApiKey]:
        """Newest first, those revoked too."""
        return [_key(row) for row in self._state.rows("SELECT * FROM api_keys ORDER BY created_at DESC, rowid DESC")]

    def any(self) -> bool:
        """Whether keys are in use: one was made, and then the server lets in nobody without one.

        Also when all of them have expired or been revoked: that must not open what the first key has closed.
        """
        return bool(self._state.rows("SELECT 1 FROM api_keys LIMIT 1"))

    def bearer(self, token: str) -> ApiKey | None:
        """The key that ``token`` is the bearer token of; None if of none, or of one that is not Active."""
        if len(token) != _BEARER_LENGTH or not token.isascii() or not token.startswith(_BEARER_PREFIX):
            return None
        # An index compares hashes, not tokens: how long that takes says nothing about a token that is not known.
        digest = _hash(token)
        rows = self._state.rows("SELECT * FROM api_keys WHERE bearer_hash = ?", (digest,))
        if not rows or not hmac.compare_digest(rows[0]["bearer_hash"], digest):
            return None
        return self._in_use(_key(rows[0]))

    def secret(self, access_key_id: str) -> tuple[ApiKey, str] | None:
        """The key and the secret to verify a signature with; None if there is no such key, or it is not Active.

        DatabaseError when ``keys.secret`` is missing or damaged.
        """
        known = access_key_id.isascii()  # SQLite takes no text that isn't Unicode
        rows = self._state.rows("SELECT * FROM api_keys WHERE id = ?", (access_key_id,)) if known else []
        key = self._in_use(_key(rows[0])) if rows else None
        return None if key is None else (key, self._derive(self._file.read(), key))

    def _in_use(self, key: ApiKey) -> ApiKey | None:
        if key.status != "Active":
            return None
        if key.last_used_at is None or key.last_used_at <= now(-_USE_SECONDS):
            self._state.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (now(), key.id))
        return key

    @staticmethod
    def _derive(source: bytes, key: ApiKey) -> str:
        """40 characters, as AWS's secrets have: 30 bytes (240 bits) of the HMAC, in the alphabet that URLs allow."""
        digest = hmac.new(source, f"sigv4 {key.id} {key.version}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:30]).decode()


def _new_id() -> str:
    return "SQLA" + "".join(secrets.choice(_ID_LETTERS) for _ in range(16))


def _new_bearer() -> str:
    return _BEARER_PREFIX + secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    """No salt and no slow hash: the token has 256 random bits, nobody can guess it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checked(scopes: frozenset[Scope]) -> frozenset[Scope]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        what = f"no such scope: {', '.join(unknown)}" if unknown else "a key without a scope opens nothing"
        raise ConfigError(what, f"one or more of {', '.join(SCOPES)}")
    return frozenset(scopes)


def _future(expires_at: str | None) -> str | None:
    if expires_at is None:
        return None
    try:
        time = stamp(datetime.fromisoformat(expires_at))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{expires_at!r} is no time", "a time such as 2026-11-01T00:00:00Z") from error
    if time <= now():
        raise ConfigError(f"{expires_at} is past: the key would never open anything", "a time to come")
    return time


def _key(row: dict[str, Any]) -> ApiKey:
    shown = {name: value for name, value in row.items() if name != "bearer_hash"}
    return ApiKey(**{**shown, "scopes": frozenset(row["scopes"].split())})
