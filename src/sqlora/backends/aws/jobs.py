"""Training jobs of a cloud: rows of the ledger that read as `Job`s. The model a job is to make is planned with it.

    plan      job planned, model planned          the names are taken from here on
    created   the service has the job             `Job.arn`
    ended     Completed: the model is created     Failed, Stopped: its row is deleted, for it was never made

The status as last seen is in the job's details: what AWS says, or "Stopped" for a job stopped before it was submitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlora.backends.aws.site import Site
from sqlora.backends.base import BASE, TrainingRequest
from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.jobs import Job, JobStatus
from sqlora.platform.ledger import Resource
from sqlora.platform.names import check_name, new_id, now, slug

_LIVE = ("InProgress", "Stopping")


@dataclass(frozen=True)
class Planned:
    """A job about to be submitted, and the model it is to make."""

    job: Resource
    model: Resource


class Jobs:
    """The jobs of one backend."""

    def __init__(self, site: Site) -> None:
        self._site = site

    # a new one ------------------------------------------------------------------------------------------------

    def plan(
        self,
        request: TrainingRequest,
        *,
        base_model: str,
        fingerprint: str,
        system: str | None,
        details: Mapping[str, Any] | None = None,
    ) -> Planned:
        """Write both rows down, or neither. ConflictError for a job's or model's name that is taken or promised.

        ``system`` is the text that all training records share. ``details``: the backend's own, kept in the job's row.
        """
        site = self._site
        _ = site.account.id  # asked for before the transaction: it may take a while, and other commands wait for that
        with site.state.transaction():
            model_name = request.model_name or self._free_model_name()
            name = request.job_name or f"{slug(model_name)[:56]}-{new_id()[:6]}"
            self._require_free(check_name("job", name), check_name("model", model_name))
            job = site.plan(
                "job",
                name,
                details={
                    "model_name": model_name,
                    "base_model": base_model,
                    "dataset_id": request.dataset_id,
                    "recipe": request.recipe.name,
                    "fingerprint": fingerprint,
                    "status": "InProgress",
                    **(details or {}),
                },
            )
            made = {"base_model": base_model, "system": system}
            model = site.plan("model", model_name, parent_id=job.id, details=made)
            job = site.ledger.note(job.id, {"model_id": model.id})
        return Planned(job, model)

    def _free_model_name(self) -> str:
        """The project's and the backend's, or with -2, -3 … when models have it or are to have it."""
        taken = {BASE, *self._local_models(), *(row.name for row in self._site.ledger.list(kind="model"))}
        backend = self._site.backend
        name = f"{slug(self._site.project.name)[: 57 - len(backend)]}-{backend}"
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def _local_models(self) -> set[str]:
        jobs = self._site.state.jobs.list()
        return {model.name for model in self._site.state.models.list()} | {
            job.model_name for job in jobs if job.status in _LIVE
        }

    def _require_free(self, name: str, model_name: str) -> None:
        """Of local jobs and models; the ledger sees to the others itself."""
        if any(job.name == name for job in self._site.state.jobs.list()):
            raise ConflictError(f"a job named {name!r} exists already (local)", "choose another name for the job")
        if model_name in self._local_models():
            raise ConflictError(
                f"a custom model named {model_name!r} exists already, or a job is to make it (local)",
                f"sqlora models rm {model_name}, or another --name",
            )

    # those there are ------------------------------------------------------------------------------------------

    def row(self, id: str) -> Resource:
        """By id, name or ARN; NotFoundError."""
        found = self._site.find("job", id)
        if found is None:
            raise NotFoundError(f"no job {id!r} on {self._site.backend}", "sqlora jobs list")
        return found

    def list(self) -> list[Job]:
        """Newest first, as last seen."""
        return [self.of(row) for row in self._site.rows("job")]

    def matching(self, fingerprint: str) -> Job | None:
        """The newest that has trained this and whose model is there, else the newest that is at it.

        What has failed or was stopped is not gone on with: these services keep no checkpoint.
        """
        jobs = [self.of(row) for row in self._site.rows("job") if row.details.get("fingerprint") == fingerprint]
        there = {row.id for row in self._site.rows("model") if row.status == "created"}
        done = [job for job in jobs if job.model_id in there]
        return next(iter([*done, *(job for job in jobs if job.status in _LIVE)]), None)

    def of(self, row: Resource) -> Job:
        """The row as a `Job`."""
        details = row.details
        return Job(
            id=row.id,
            name=row.name,
            status=details["status"],
            model_name=details["model_name"],
            base_model=details["base_model"],
            dataset_id=details["dataset_id"],
            recipe=details["recipe"],
            fingerprint=details["fingerprint"],
            reserved_model_id=details["model_id"],
            created_at=row.created_at,
            updated_at=row.updated_at,
            ended_at=details.get("ended_at"),
            progress=details.get("progress", {}),
            failure_message=details.get("failure_message"),
            model_id=details["model_id"] if details["status"] == "Completed" else None,
            backend=row.backend,
            arn=row.arn,
        )

    # how they go on -------------------------------------------------------------------------------------------

    def note(self, row: Resource, **details: Any) -> Resource:
        """Keep what was seen; a row that already says so stays untouched, its time too."""
        changed = {key: value for key, value in details.items() if row.details.get(key) != value}
        return self._site.ledger.note(row.id, changed) if changed else row

    def end(
        self,
        row: Resource,
        status: JobStatus,
        *,
        ended_at: str | None = None,
        failure_message: str | None = None,
        model_arn: str | None = None,
        model_details: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> Resource:
        """Completed with ``model_arn``, the model that is there from now on; Failed or Stopped without one."""
        ledger = self._site.ledger
        with self._site.state.transaction():
            model = ledger.get(row.details["model_id"])
            if model_arn is not None and model.status == "planned":
                ledger.created(model.id, model_arn, model_details)
            elif model_arn is None and model.status != "deleted":
                ledger.deleted(model.id)
            return self.note(
                row,
                **details,
                status=status,
                ended_at=ended_at or now(),
                **({"failure_message": failure_message} if failure_message else {}),
            )

    def again(self, row: Resource, **details: Any) -> Resource:
        """A job that has ended goes on: its model is planned anew. ConflictError when the model's name is taken."""
        _ = self._site.account.id  # see `plan`
        before = self._site.ledger.get(row.details["model_id"])
        with self._site.state.transaction():
            if before.name in self._local_models():
                raise ConflictError(f"a custom model named {before.name!r} exists already", "sqlora train --name")
            model = self._site.plan("model", before.name, parent_id=row.id, details=_of_maker(before))
            changes = {"status": "InProgress", "ended_at": None, "failure_message": None, "model_id": model.id}
            return self._site.ledger.note(row.id, {**changes, **details})

    def drop(self, row: Resource) -> None:
        """The service has refused to make it, for good: its names are free again."""
        with self._site.state.transaction():
            for made in self._site.rows(parent_id=row.id):  # its model, its output folder
                self._site.ledger.deleted(made.id)
            self._site.forget(row)

    def forget(self, id: str) -> Job:
        """Take a job that has ended off the list; ConflictError for one that has not."""
        job = self.of(self.row(id))
        if not job.ended:
            raise ConflictError(f"job {job.name!r} is {job.status}", f"sqlora jobs stop {job.id}")
        self._site.forget(self._site.ledger.get(job.id))
        return job


def _of_maker(model: Resource) -> dict[str, Any]:
    """What is known of a model before it is made."""
    return {key: model.details.get(key) for key in ("base_model", "system")}
