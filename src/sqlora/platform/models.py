"""Custom models: adapters registered under a name."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.names import check_name, new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State


ModelOrigin = Literal["trained", "imported", "escrow"]
ModelStatus = Literal["Creating", "Active", "Failed"]


@dataclass(frozen=True)
class CustomModel:
    """An adapter over ``base_model``. ``folder`` is relative to the state folder; losses in nats a token.

    An escrow model was trained by a SageMaker job and is only to be imported from; ``failure_message`` is set when
    the status is Failed. A model of another ``backend`` than local has an ``arn`` and no folder.
    """

    id: str
    name: str
    job_id: str | None
    base_model: str
    folder: str
    created_at: str
    train_loss: float | None = None
    validation_loss: float | None = None
    origin: ModelOrigin = "trained"
    status: ModelStatus = "Active"
    failure_message: str | None = None
    backend: str = "local"
    arn: str | None = None


class CustomModels:
    """The repository of custom models."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self,
        name: str,
        *,
        base_model: str,
        folder: str | None = None,
        id: str | None = None,
        job_id: str | None = None,
        train_loss: float | None = None,
        validation_loss: float | None = None,
        origin: ModelOrigin = "trained",
        status: ModelStatus = "Active",
    ) -> CustomModel:
        """Register the adapter in ``folder`` (default: ``models/<id>``). ConflictError for a taken name.

        One that is Creating has its name before its files; `activate` or `fail` tells how that ended.
        """
        id = id or new_id()
        model = CustomModel(
            id,
            check_name("model", name),
            job_id,
            base_model,
            folder or f"models/{id}",
            now(),
            train_loss,
            validation_loss,
            origin,
            status,
        )
        try:
            self._state.execute(
                """INSERT INTO custom_models (id, name, job_id, base_model, folder, created_at, train_loss,
                                              validation_loss, origin, status)
                   VALUES (:id, :name, :job_id, :base_model, :folder, :created_at, :train_loss, :validation_loss,
                           :origin, :status)""",
                vars(model),
            )
        except sqlite3.IntegrityError as error:
            raise ConflictError(
                f"a custom model named {name!r} exists already", f"sqlora models rm {name}, or another name"
            ) from error
        return model

    def get(self, id: str) -> CustomModel:
        """By id or name; NotFoundError."""
        rows = self._state.rows("SELECT * FROM custom_models WHERE id = ?1 OR name = ?1 ORDER BY id <> ?1", (id,))
        if not rows:
            raise NotFoundError(f"no custom model {id!r}", "sqlora models list")
        return _model(rows[0])

    def list(
        self,
        *,
        base_model: str | None = None,
        name_contains: str = "",
        status: ModelStatus | None = None,
        origin: ModelOrigin | None = None,
    ) -> list[CustomModel]:
        """Newest first."""
        rows = self._state.rows(
            """SELECT * FROM custom_models WHERE (:base IS NULL OR base_model = :base) AND instr(name, :name) > 0
                   AND (:status IS NULL OR status = :status) AND (:origin IS NULL OR origin = :origin)
               ORDER BY created_at DESC, rowid DESC""",
            {"base": base_model, "name": name_contains, "status": status, "origin": origin},
        )
        return [_model(row) for row in rows]

    def activate(self, id: str) -> CustomModel:
        """Creating → Active: its files are there and were checked. ConflictError from any other status."""
        return self._moved(id, "Active")

    def fail(self, id: str, message: str) -> CustomModel:
        """Creating → Failed, for the reason given. ConflictError from any other status."""
        return self._moved(id, "Failed", message)

    def _moved(self, id: str, status: ModelStatus, message: str | None = None) -> CustomModel:
        with self._state.transaction():
            model = self.get(id)
            try:
                self._state.execute(
                    "UPDATE custom_models SET status = ?, failure_message = ? WHERE id = ?", (status, message, model.id)
                )
            except sqlite3.IntegrityError as error:
                raise ConflictError(
                    f"custom model {model.name!r} is {model.status} and cannot become {status}",
                    f"sqlora models show {model.id}",
                ) from error
        return self.get(model.id)

    def require_active(self, id: str) -> CustomModel:
        """As `get`; ConflictError for a model that is not, or not yet, whole."""
        model = self.get(id)
        if model.status != "Active":
            why = f": {model.failure_message}" if model.failure_message else ""
            raise ConflictError(f"custom model {model.name!r} is {model.status}{why}", f"sqlora models show {model.id}")
        return model

    def rename(self, id: str, name: str) -> CustomModel:
        """Give it another name; ConflictError for a taken one."""
        model = self.get(id)
        try:
            self._state.execute("UPDATE custom_models SET name = ? WHERE id = ?", (check_name("model", name), model.id))
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"a custom model named {name!r} exists already", "another name") from error
        return self.get(model.id)

    def delete(self, id: str) -> CustomModel:
        """Forget it; ConflictError while a deployment uses it, or is being updated to it.

        The files are the caller's to remove, afterwards.
        """
        with self._state.transaction():
            model = self.get(id)
            users = self._state.rows(
                """SELECT name FROM deployments WHERE model_id = ?1
                       OR (update_model_id = ?1 AND update_status = 'Updating')
                   UNION SELECT name FROM resources WHERE kind = 'deployment' AND status <> 'deleted'
                       AND json_extract(details, '$.model_id') = ?1 ORDER BY name""",
                (model.id,),
            )
            if users:
                names = ", ".join(user["name"] for user in users)
                raise ConflictError(
                    f"custom model {model.name!r} is deployed as {names}", f"sqlora deployments rm {users[0]['name']}"
                )
            self._state.execute("DELETE FROM custom_models WHERE id = ?", (model.id,))
        return model


def _model(row: dict[str, Any]) -> CustomModel:
    return CustomModel(**row)
