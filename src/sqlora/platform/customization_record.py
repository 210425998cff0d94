"""What the state keeps of a customization job beside its training job: the call, the phases and the outcome.

A training job is Completed when its worker has made the model; a customer's job is Completed when its metrics lie in
the customer's bucket as well. `Customization` is that second view, and `CustomizationRecords` its table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.jobs import Job, JobStatus
from sqlora.platform.names import now
from sqlora.platform.state import State
from sqlora.train.recipe import Recipe

Kind = Literal["bedrock", "sagemaker"]
Phase = Literal["validation", "data", "training", "upload", "done"]
Outcome = Literal["Completed", "Failed", "Stopped"]
StepStatus = Literal["NotStarted", "InProgress", "Completed", "Stopping", "Stopped", "Failed"]

STEPS: tuple[Phase, ...] = ("validation", "data", "training", "upload")


@dataclass(frozen=True)
class CustomizationRequest:
    """One job to run, whichever API it came through.

    ``training`` and ``validation`` are URIs of JSON-lines files, or of folders of such (ending in a slash);
    ``output`` is the URI that results are put under. ``request`` is the call's parameters (JSON-able), kept to answer
    Get and Describe with. ``tags`` are the job's; ``model_tags`` go to the model when it is made.
    ``max_runtime_seconds`` counts from the start of the training; a job over it is Stopped (`Customization.timed_out`).
    """

    kind: Kind
    region: str
    job_name: str
    model_name: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    output: str
    recipe: Recipe
    request: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    model_tags: Mapping[str, str] = field(default_factory=dict)
    max_runtime_seconds: float | None = None


@dataclass(frozen=True)
class Step:
    """A phase as it is reported; times are ISO-8601 UTC text, None before it has begun."""

    status: StepStatus
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True)
class Customization:
    """A job as its customer sees it. ``request`` is the call's parameters; ``details`` what the pipeline noted."""

    job: Job
    kind: Kind
    region: str
    request: dict[str, Any]
    details: dict[str, Any]
    phase: Phase
    error: str | None
    created_at: str
    updated_at: str

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def status(self) -> JobStatus:
        """Completed only after the upload; a worker that was paused with the server is still InProgress."""
        if self.phase == "done":
            outcome: Outcome = self.details["outcome"]
            return outcome
        if self.stop_requested and not self.job.ended:
            return "Stopping"
        if self.job.status == "Completed":
            return "Stopping" if self.stop_requested else "InProgress"
        return "InProgress" if self.paused else self.job.status

    @property
    def paused(self) -> bool:
        """Whether the worker was stopped only because the server ends."""
        return bool(self.details.get("paused")) and not self.stop_requested and self.job.status == "Stopped"

    @property
    def stop_requested(self) -> bool:
        """Whether the customer (or the time limit) has asked it to stop."""
        return bool(self.details.get("stop_requested"))

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped for its ``max_runtime_seconds``."""
        return bool(self.details.get("timed_out"))

    @property
    def ended_at(self) -> str | None:
        """When the last phase ended; None while it runs."""
        ended: str | None = self.details.get("ended_at")
        return ended or (self.job.ended_at if self.status in ("Failed", "Stopped") else None)

    @property
    def failure_message(self) -> str | None:
        """Why, when the status is Failed."""
        return (self.error or self.job.failure_message) if self.status == "Failed" else None

    @property
    def model_id(self) -> str | None:
        """The custom model's id, once the status is Completed."""
        return self.job.model_id if self.status == "Completed" else None

    @property
    def output(self) -> str:
        """The URI that results are put under."""
        uri: str = self.details["output"]
        return uri

    @property
    def max_runtime_seconds(self) -> float | None:
        """Longest training, seconds."""
        seconds: float | None = self.details.get("max_runtime_seconds")
        return seconds

    @property
    def steps(self) -> dict[str, Step]:
        """Every phase of `STEPS` by name: how it stands and since when."""
        noted: dict[str, dict[str, Any]] = self.details.get("steps", {})
        return {name: self._step(noted.get(name)) for name in STEPS}

    def _step(self, noted: Mapping[str, Any] | None) -> Step:
        if noted is None:
            return Step("NotStarted")
        status: StepStatus = noted["status"]
        if status == "InProgress" and self.status in ("Stopping", "Stopped", "Failed"):
            status = self.status  # the worker has said so; the record of the phase follows in a moment
        return Step(status, noted["created_at"], noted["updated_at"])


class CustomizationRecords:
    """The repository of customizations. Changes to ``details`` are read and written in one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, job_id: str, request: CustomizationRequest) -> None:
        """Write the row of a job just made; inside the same transaction."""
        details = {
            "training": list(request.training),
            "validation": list(request.validation),
            "output": request.output,
            "recipe": request.recipe.model_dump(mode="json"),
            "model_tags": dict(request.model_tags),
            "max_runtime_seconds": request.max_runtime_seconds,
        }
        self._state.execute(
            """INSERT INTO customizations (job_id, kind, region, request, details, phase, created_at, updated_at)
               VALUES (:job_id, :kind, :region, :request, :details, 'validation', :at, :at)""",
            {
                "job_id": job_id,
                "kind": request.kind,
                "region": request.region,
                "request": json.dumps(dict(request.request), ensure_ascii=False),
                "details": json.dumps(details, ensure_ascii=False),
                "at": now(),
            },
        )

    def get(self, id: str) -> Customization:
        """By the job's id or name; NotFoundError also for a job that came through no API."""
        job = self._state.jobs.get(id)
        rows = self._state.rows("SELECT * FROM customizations WHERE job_id = ?", (job.id,))
        if not rows:
            raise NotFoundError(f"no customization job {id!r}", "sqlora jobs list")
        return _customization(job, rows[0])

    def list(self, kind: Kind | None = None, *, unfinished: bool = False) -> list[Customization]:
        """Newest first; all kinds, or one; only those whose last phase has not ended, if so asked."""
        with self._state.transaction():
            rows = self._state.rows(
                """SELECT * FROM customizations WHERE (:kind IS NULL OR kind = :kind)
                       AND (NOT :unfinished OR phase <> 'done') ORDER BY created_at DESC, rowid DESC""",
                {"kind": kind, "unfinished": unfinished},
            )
            jobs = {job.id: job for job in self._state.jobs.list()} if rows else {}
        return [_customization(jobs[row["job_id"]], row) for row in rows]

    def note(self, id: str, **details: Any) -> None:
        """Add to the details, or replace what is there by that name."""
        self._change(id, lambda known: known.update(details))

    def begin(self, id: str, phase: Phase) -> None:
        """Enter a phase: the one before it is Completed. Beginning it again (after a restart) keeps its first time.

        ConflictError when the job has been settled meanwhile.
        """

        def change(details: dict[str, Any]) -> None:
            if "outcome" in details:
                raise ConflictError(f"job {id} has ended: {details['outcome']}", f"sqlora jobs show {id}")
            at, steps = now(), details.setdefault("steps", {})
            for name in STEPS[: STEPS.index(phase)]:
                if name in steps and steps[name]["status"] == "InProgress":
                    steps[name].update(status="Completed", updated_at=at)
            steps.setdefault(phase, {"created_at": at})
            steps[phase].update(status="InProgress", updated_at=at)

        self._change(id, change, phase=phase)

    def settle(self, id: str, outcome: Outcome, error: str | None = None) -> None:
        """The end: the phase under way ends like the job. A job that has been settled stays as it is."""
        if self.get(id).phase == "done":
            return

        def change(details: dict[str, Any]) -> None:
            at = now()
            details.update(outcome=outcome, ended_at=at)
            for step in details.get("steps", {}).values():
                if step["status"] == "InProgress":
                    step.update(status=outcome, updated_at=at)

        self._change(id, change, phase="done", error=error)

    def _change(self, id: str, change: Callable[[dict[str, Any]], object], **columns: Any) -> None:
        with self._state.transaction():
            rows = self._state.rows("SELECT details FROM customizations WHERE job_id = ?", (id,))
            if not rows:
                raise NotFoundError(f"no customization job {id!r}", "sqlora jobs list")
            details = json.loads(rows[0]["details"])
            change(details)
            values = {"details": json.dumps(details, ensure_ascii=False), "updated_at": now(), **columns}
            assignments = ", ".join(f"{name} = :{name}" for name in values)
            self._state.execute(f"UPDATE customizations SET {assignments} WHERE job_id = :id_", {**values, "id_": id})


def _customization(job: Job, row: Mapping[str, Any]) -> Customization:
    return Customization(
        job,
        row["kind"],
        row["region"],
        json.loads(row["request"]),
        json.loads(row["details"]),
        row["phase"],
        row["error"],
        row["created_at"],
        row["updated_at"],
    )
