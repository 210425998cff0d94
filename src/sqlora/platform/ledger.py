"""The ledger: what the project has made elsewhere, from before it is asked for until it is surely gone.

    planned ── created ── deleting ── deleted
       └──────────┴──────────┴───────────┘      a planned row may turn out never to have been made

Whoever makes something plans it first, asks for it with the row's `Resource.token`, and notes the answer. A process
that dies in between leaves a planned row: the next one asks again with the same token, or looks the thing up by name.
Only what is in the ledger is ever destroyed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.names import new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State

ResourceKind = Literal["bucket", "object", "role", "policy", "job", "model", "deployment"]
ResourceStatus = Literal["planned", "created", "deleting", "deleted"]

# What uses a thing goes before the thing, also where two backends share a bucket or a role. A job that still runs would
# make its model after that has gone.
REMOVAL_ORDER: tuple[ResourceKind, ...] = ("deployment", "job", "model", "policy", "role", "object", "bucket")


@dataclass(frozen=True)
class Resource:
    """One thing. ``arn`` is what the service calls it (an s3:// address for an object), set when it was created.

    ``parent_id`` is the resource that it was made from; ``details`` are its backend's own, as JSON. Times are
    ISO-8601 UTC text.
    """

    id: str
    backend: str
    kind: ResourceKind
    name: str
    status: ResourceStatus
    arn: str | None
    account: str
    region: str
    parent_id: str | None
    created_at: str
    updated_at: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The idempotency token of the call that makes it: the same whenever it is asked for again."""
        return f"sqlora-{self.id}"


class Ledger:
    """The repository of resources."""

    def __init__(self, state: State) -> None:
        self._state = state

    def plan(
        self,
        backend: str,
        kind: ResourceKind,
        name: str,
        *,
        account: str = "",
        region: str = "",
        parent_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Resource:
        """Write down what is about to be made. ConflictError for a job, model or deployment whose name is taken."""
        id, at = new_id(), now()
        try:
            self._state.execute(
                """INSERT INTO resources (id, backend, kind, name, account, region, parent_id, details, created_at,
                                          updated_at)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (id, backend, kind, name, account, region, parent_id, json.dumps(dict(details or {})), at, at),
            )
        except sqlite3.IntegrityError as error:
            taken = self.find(kind, name)
            if taken is None:
                raise
            raise ConflictError(
                f"a {kind} named {name!r} exists already ({taken.backend}, {taken.status})",
                f"sqlora {kind}s rm {name}, or another --name",
            ) from error
        return self.get(id)

    def created(self, id: str, arn: str, details: Mapping[str, Any] | None = None) -> Resource:
        """The service has made it; ``details`` are added to those it has."""
        return self._change(id, "created", arn, details)

    def note(self, id: str, details: Mapping[str, Any]) -> Resource:
        """Add details; the status stays."""
        return self._change(id, None, None, details)

    def deleting(self, id: str) -> Resource:
        """It is about to be deleted: whatever becomes of this process, it has to go."""
        return self._change(id, "deleting", None, None)

    def deleted(self, id: str) -> Resource:
        """It is gone, or was never made. The row stays: it says what there once was."""
        return self._change(id, "deleted", None, None)

    def get(self, id: str) -> Resource:
        """By its id here, also when it is deleted; NotFoundError."""
        rows = self._state.rows("SELECT * FROM resources WHERE id = ?", (id,))
        if not rows:
            raise NotFoundError(f"no resource {id!r} in the ledger", "sqlora destroy --plan")
        return _resource(rows[0])

    def find(self, kind: ResourceKind, name: str) -> Resource | None:
        """The one of that name, id or ARN that is not deleted; the newest if there are several."""
        rows = self._state.rows(
            """SELECT * FROM resources WHERE kind = ?1 AND status <> 'deleted' AND ?2 IN (id, name, arn)
               ORDER BY created_at DESC, rowid DESC LIMIT 1""",
            (kind, name),
        )
        return _resource(rows[0]) if rows else None

    def list(
        self,
        *,
        kind: ResourceKind | None = None,
        backend: str | None = None,
        parent_id: str | None = None,
        deleted: bool = False,
    ) -> list[Resource]:
        """Newest first; ``deleted`` ones too, if asked for."""
        rows = self._state.rows(
            """SELECT * FROM resources WHERE (:kind IS NULL OR kind = :kind)
                   AND (:backend IS NULL OR backend = :backend) AND (:parent IS NULL OR parent_id = :parent)
                   AND (:deleted OR status <> 'deleted')
               ORDER BY created_at DESC, rowid DESC""",
            {"kind": kind, "backend": backend, "parent": parent_id, "deleted": deleted},
        )
        return [_resource(row) for row in rows]

    def _change(
        self, id: str, status: ResourceStatus | None, arn: str | None, details: Mapping[str, Any] | None
    ) -> Resource:
        with self._state.transaction():
            resource = self.get(id)
            try:
                self._state.execute(
                    "UPDATE resources SET status = ?, arn = ?, details = ?, updated_at = ? WHERE id = ?",
                    (
                        status or resource.status,
                        arn or resource.arn,
                        json.dumps({**resource.details, **(details or {})}),
                        now(),
                        id,
                    ),
                )
            except sqlite3.IntegrityError as error:
                raise ConflictError(
                    f"{resource.kind} {resource.name!r} is {resource.status} and cannot become {status}"
                ) from error
        return self.get(id)


def _resource(row: dict[str, Any]) -> Resource:
    return Resource(**{**row, "details": json.loads(row["details"])})
