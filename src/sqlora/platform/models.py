"""Custom models: adapters registered under a name."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.names import check_name, new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State


@dataclass(frozen=True)
class CustomModel:
    """An adapter over ``base_model``. ``folder`` is relative to the state folder; losses in nats a token."""

    id: str
    name: str
    job_id: str | None
    base_model: str
    folder: str
    created_at: str
    train_loss: float | None = None
    validation_loss: float | None = None


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
    ) -> CustomModel:
        """Register the adapter in ``folder`` (default: ``models/<id>``). ConflictError for a taken name."""
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
        )
        try:
            self._state.execute(
                """INSERT INTO custom_models (id, name, job_id, base_model, folder, created_at, train_loss,
                                              validation_loss)
                   VALUES (:id, :name, :job_id, :base_model, :folder, :created_at, :train_loss, :validation_loss)""",
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

    def list(self, *, base_model: str | None = None, name_contains: str = "") -> list[CustomModel]:
        """Newest first."""
        rows = self._state.rows(
            """SELECT * FROM custom_models WHERE (:base IS NULL OR base_model = :base) AND instr(name, :name) > 0
               ORDER BY created_at DESC, rowid DESC""",
            {"base": base_model, "name": name_contains},
        )
        return [_model(row) for row in rows]

    def rename(self, id: str, name: str) -> CustomModel:
        """Give it another name; ConflictError for a taken one."""
        model = self.get(id)
        try:
            self._state.execute("UPDATE custom_models SET name = ? WHERE id = ?", (check_name("model", name), model.id))
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"a custom model named {name!r} exists already", "another name") from error
        return self.get(model.id)

    def delete(self, id: str) -> CustomModel:
        """Forget it; ConflictError while a deployment uses it. The files are the caller's to remove, afterwards."""
        with self._state.transaction():
            model = self.get(id)
            users = self._state.rows("SELECT name FROM deployments WHERE model_id = ? ORDER BY name", (model.id,))
            if users:
                names = ", ".join(user["name"] for user in users)
                raise ConflictError(
                    f"custom model {model.name!r} is deployed as {names}", f"sqlora deployments rm {users[0]['name']}"
                )
            self._state.execute("DELETE FROM custom_models WHERE id = ?", (model.id,))
        return model


def _model(row: dict[str, Any]) -> CustomModel:
    return CustomModel(**row)
