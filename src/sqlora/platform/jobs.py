"""Training jobs: one row each, and which status may follow which (the triggers of 0001_initial.sql hold it)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.models import CustomModel
from sqlora.platform.names import check_name, new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State

JobStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]


@dataclass(frozen=True)
class Job:
    """One training run. Times are ISO-8601 UTC text; ``progress`` is the last one reported (`train.Progress`).

    ``model_id`` is set when Completed, ``failure_message`` when Failed, ``ended_at`` in every final status.
    ``pid_started`` (Unix seconds) tells the worker from a later process with the same number. ``served``: a client of
    the server submitted it and the server is not done with it, worker or none. ``backend`` trains it; ``arn`` is what
    the service calls it.
    """

    id: str
    name: str
    status: JobStatus
    model_name: str
    base_model: str
    dataset_id: str
    recipe: str
    fingerprint: str
    reserved_model_id: str
    created_at: str
    updated_at: str
    ended_at: str | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    failure_message: str | None = None
    model_id: str | None = None
    pid: int | None = None
    pid_started: float | None = None
    served: bool = False
    backend: str = "local"
    arn: str | None = None

    @property
    def ended(self) -> bool:
        """Whether no worker is to do anything more unless the job is resumed."""
        return self.ended_at is not None


_COLUMNS = "*, EXISTS (SELECT 1 FROM customizations WHERE job_id = jobs.id AND phase <> 'done') AS served"


class Jobs:
    """The repository of jobs. Every change of status is one transaction; one that may not be is a ConflictError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self, name: str, *, model_name: str, base_model: str, dataset_id: str, recipe: str, fingerprint: str = ""
    ) -> Job:
        """A new job, InProgress. ConflictError when the job's or the model's name is taken or promised."""
        check_name("job", name)
        check_name("model", model_name)
        row = {
            "id": new_id(),
            "name": name,
            "model_name": model_name,
            "base_model": base_model,
            "dataset_id": dataset_id,
            "recipe": recipe,
            "fingerprint": fingerprint,
            "reserved_model_id": new_id(),
            "at": now(),
        }
        with self._state.transaction():
            if self._state.rows("SELECT 1 FROM jobs WHERE name = ?", (name,)):
                raise ConflictError(f"a job named {name!r} exists already", "choose another name for the job")
            self._require_free(model_name)
            self._state.execute(
                """INSERT INTO jobs (id, name, status, model_name, base_model, dataset_id, recipe, fingerprint,
                                     reserved_model_id, created_at, updated_at)
                   VALUES (:id, :name, 'InProgress', :model_name, :base_model, :dataset_id, :recipe, :fingerprint,
                           :reserved_model_id, :at, :at)""",
                row,
            )
        return self.get(row["id"])

    def _require_free(self, model_name: str) -> None:
        if self._state.rows("SELECT 1 FROM custom_models WHERE name = ?", (model_name,)):
            raise ConflictError(
                f"a custom model named {model_name!r} exists already", f"sqlora models rm {model_name}, or another name"
            )
        for job in self._state.rows(
            "SELECT id FROM jobs WHERE model_name = ? AND status IN ('InProgress', 'Stopping')", (model_name,)
        ):
            raise ConflictError(
                f"job {job['id']} is to make the custom model {model_name!r} and has not ended",
                f"sqlora jobs show {job['id']}",
            )

    def get(self, id: str) -> Job:
        """By id or name; NotFoundError."""
        rows = self._state.rows(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?1 OR name = ?1 ORDER BY id <> ?1", (id,))
        if not rows:
            raise NotFoundError(f"no job {id!r}", "sqlora jobs list")
        return _job(rows[0])

    def list(
        self, *, status: JobStatus | None = None, fingerprint: str | None = None, name_contains: str = ""
    ) -> list[Job]:
        """Newest first."""
        rows = self._state.rows(
            f"""SELECT {_COLUMNS} FROM jobs WHERE (:status IS NULL OR status = :status)
                   AND (:fingerprint IS NULL OR fingerprint = :fingerprint) AND instr(name, :name) > 0
               ORDER BY created_at DESC, rowid DESC""",
            {"status": status, "fingerprint": fingerprint, "name": name_contains},
        )
        return [_job(row) for row in rows]

    # what a worker says ---------------------------------------------------------------------------------------

    def claim(self, id: str, pid: int, pid_started: float) -> Job:
        """A worker takes the job on; ConflictError when the job has ended."""
        with self._state.transaction():
            job = self.get(id)
            if job.ended:
                raise ConflictError(f"job {job.name!r} is {job.status}", f"sqlora jobs resume {job.id}")
            self._update(job.id, pid=pid, pid_started=pid_started)
        return self.get(job.id)

    def set_dataset(self, id: str, dataset_id: str) -> None:
        """What the job trains on, for a job whose data came after it."""
        self._update(id, dataset_id=dataset_id)

    def report(self, id: str, progress: Mapping[str, Any]) -> None:
        """Keep the last progress."""
        self._update(id, progress=json.dumps(dict(progress)))

    def complete(self, id: str, *, folder: str, train_loss: float | None, validation_loss: float | None) -> CustomModel:
        """Completed, and its custom model registered (``folder`` relative to the state's), both or neither.

        A SageMaker job's model is an escrow model.
        """
        with self._state.transaction():
            job = self.get(id)
            kinds = self._state.rows("SELECT kind FROM customizations WHERE job_id = ?", (job.id,))
            model = self._state.models.create(
                job.model_name,
                id=job.reserved_model_id,
                job_id=job.id,
                base_model=job.base_model,
                folder=folder,
                train_loss=train_loss,
                validation_loss=validation_loss,
                origin="escrow" if kinds and kinds[0]["kind"] == "sagemaker" else "trained",
            )
            self._move(job, "Completed", ended_at=now(), model_id=model.id)
        return model

    def fail(self, id: str, message: str) -> Job:
        """Failed, for the reason given."""
        return self._moved(id, "Failed", ended_at=now(), failure_message=message)

    def stopped(self, id: str) -> Job:
        """Stopped: the worker has written its checkpoint and ends (or has died after it was told to stop)."""
        return self._moved(id, "Stopped", ended_at=now())

    # what a user says -----------------------------------------------------------------------------------------

    def request_stop(self, id: str) -> Job:
        """Stopping: the worker finishes its step, writes a checkpoint and stops. Asking twice is the same."""
        with self._state.transaction():
            job = self.get(id)
            if job.status != "Stopping":
                self._move(job, "Stopping")
        return self.get(job.id)

    def restart(self, id: str) -> Job:
        """InProgress again, with no worker yet, from any status but Completed.

        A job that is InProgress stays as it is: whoever restarted it first may have a worker on it by now.
        """
        with self._state.transaction():
            job = self.get(id)
            if job.status == "Stopping":
                job = self.stopped(job.id)
            if job.ended:
                if job.status != "Completed":
                    self._require_free(job.model_name)
                self._move(job, "InProgress", ended_at=None, failure_message=None, pid=None, pid_started=None)
        return self.get(job.id)

    def delete(self, id: str) -> None:
        """Forget a job that has ended; its model stays. ConflictError for one that has not."""
        with self._state.transaction():
            job = self.get(id)
            if not job.ended:
                raise ConflictError(f"job {job.name!r} is {job.status}", f"sqlora jobs stop {job.id}")
            self._state.execute("DELETE FROM jobs WHERE id = ?", (job.id,))

    def _moved(self, id: str, status: JobStatus, **columns: Any) -> Job:
        with self._state.transaction():
            job = self.get(id)
            self._move(job, status, **columns)
        return self.get(job.id)

    def _move(self, job: Job, status: JobStatus, **columns: Any) -> None:
        try:
            self._update(job.id, status=status, **columns)
        except sqlite3.IntegrityError as error:
            raise ConflictError(
                f"job {job.name!r} is {job.status} and cannot become {status}", f"sqlora jobs show {job.id}"
            ) from error

    def _update(self, id: str, **columns: Any) -> None:
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        values = {**columns, "id_": id, "now_": now()}
        self._state.execute(f"UPDATE jobs SET {assignments}, updated_at = :now_ WHERE id = :id_", values)


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "progress": json.loads(row["progress"]), "served": bool(row["served"])})
