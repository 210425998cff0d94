"""Deployments: custom models that can be asked. While nobody asks, one is a row and two files."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.names import check_name, new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State

DeploymentStatus = Literal["Creating", "Active", "Failed"]
UpdateStatus = Literal["Updating", "UpdateCompleted", "UpdateFailed"]


@dataclass(frozen=True)
class Deployment:
    """``failure_message`` is set when the status is Failed; times are ISO-8601 UTC text.

    ``update_model_id`` is the model that the last update was to, ``update_status`` how that went; None before any.
    One of another ``backend`` than local has an ``arn``.
    """

    id: str
    name: str
    model_id: str
    status: DeploymentStatus
    created_at: str
    updated_at: str
    failure_message: str | None = None
    description: str | None = None
    update_status: UpdateStatus | None = None
    update_model_id: str | None = None
    backend: str = "local"
    arn: str | None = None


class Deployments:
    """The repository of deployments."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, name: str, model_id: str, *, description: str | None = None) -> Deployment:
        """A new deployment, Creating.

        ConflictError for a taken name or a model that is not Active, NotFoundError for one that is not there.
        """
        at = now()
        deployment = Deployment(
            new_id(), check_name("deployment", name), model_id, "Creating", at, at, description=description
        )
        with self._state.transaction():
            self._state.models.require_active(model_id)
            try:
                self._state.execute(
                    """INSERT INTO deployments (id, name, model_id, status, created_at, updated_at, description)
                       VALUES (:id, :name, :model_id, :status, :created_at, :updated_at, :description)""",
                    vars(deployment),
                )
            except sqlite3.IntegrityError as error:
                raise ConflictError(
                    f"a deployment named {name!r} exists already", f"sqlora deployments rm {name}, or --name"
                ) from error
        return deployment

    def get(self, id: str) -> Deployment:
        """By id or name; NotFoundError."""
        rows = self._state.rows("SELECT * FROM deployments WHERE id = ?1 OR name = ?1 ORDER BY id <> ?1", (id,))
        if not rows:
            raise NotFoundError(f"no deployment {id!r}", "sqlora deployments list")
        return _deployment(rows[0])

    def list(
        self, *, model_id: str | None = None, status: DeploymentStatus | None = None, name_contains: str = ""
    ) -> list[Deployment]:
        """Newest first."""
        rows = self._state.rows(
            """SELECT * FROM deployments WHERE (:model IS NULL OR model_id = :model)
                   AND (:status IS NULL OR status = :status) AND instr(name, :name) > 0
               ORDER BY created_at DESC, rowid DESC""",
            {"model": model_id, "status": status, "name": name_contains},
        )
        return [_deployment(row) for row in rows]

    def update(
        self,
        id: str,
        *,
        status: DeploymentStatus | None = None,
        model_id: str | None = None,
        failure_message: str | None = None,
    ) -> Deployment:
        """Another status (Failed with its message), or another custom model behind the same name."""
        with self._state.transaction():
            deployment = self.get(id)
            if model_id is not None:
                self._state.models.require_active(model_id)
            self._state.execute(
                """UPDATE deployments SET status = :status, model_id = :model, failure_message = :message,
                       updated_at = :at WHERE id = :id""",
                {
                    "status": status or deployment.status,
                    "model": model_id or deployment.model_id,
                    "message": failure_message if status else deployment.failure_message,
                    "at": now(),
                    "id": deployment.id,
                },
            )
        return self.get(deployment.id)

    def begin_update(self, id: str, model_id: str) -> Deployment:
        """Updating: ``model_id`` is to answer behind this name, once it was checked; until then the old model does.

        ConflictError unless the deployment is Active, not being updated already, and the model Active.
        """
        with self._state.transaction():
            deployment = self.get(id)
            if deployment.status != "Active" or deployment.update_status == "Updating":
                what = deployment.update_status if deployment.status == "Active" else deployment.status
                raise ConflictError(
                    f"deployment {deployment.name!r} is {what} and cannot be updated",
                    f"sqlora deployments show {deployment.id}",
                )
            model = self._state.models.require_active(model_id)
            return self._set_update(deployment, "Updating", deployment.model_id, model.id)

    def complete_update(self, id: str) -> Deployment:
        """UpdateCompleted: from now on the new model answers. ConflictError when no update is going on."""
        with self._state.transaction():
            deployment, model_id = self._updating(id)
            return self._set_update(deployment, "UpdateCompleted", model_id, model_id)

    def fail_update(self, id: str) -> Deployment:
        """UpdateFailed: the old model goes on answering. ConflictError when no update is going on."""
        with self._state.transaction():
            deployment, model_id = self._updating(id)
            return self._set_update(deployment, "UpdateFailed", deployment.model_id, model_id)

    def _updating(self, id: str) -> tuple[Deployment, str]:
        deployment = self.get(id)
        if deployment.update_status != "Updating" or deployment.update_model_id is None:
            raise ConflictError(
                f"deployment {deployment.name!r} is not being updated", f"sqlora deployments show {deployment.id}"
            )
        return deployment, deployment.update_model_id

    def _set_update(self, deployment: Deployment, status: UpdateStatus, model_id: str, to: str) -> Deployment:
        self._state.execute(
            """UPDATE deployments SET update_status = ?, model_id = ?, update_model_id = ?, updated_at = ?
               WHERE id = ?""",
            (status, model_id, to, now(), deployment.id),
        )
        return self.get(deployment.id)

    def delete(self, id: str) -> Deployment:
        """Forget it; the model stays, and so does the usage."""
        with self._state.transaction():
            deployment = self.get(id)
            self._state.execute("DELETE FROM deployments WHERE id = ?", (deployment.id,))
        return deployment


def _deployment(row: dict[str, Any]) -> Deployment:
    return Deployment(**row)
