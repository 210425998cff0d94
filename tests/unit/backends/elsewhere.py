"""A backend whose things are elsewhere, without a cloud: rows of the ledger, and a list of what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlora.backends.base import BASE, Capabilities, TrainingRequest
from sqlora.cost.model import Option
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.ledger import Resource
from sqlora.platform.models import CustomModel
from sqlora.platform.state import State
from sqlora.project import Project


class Elsewhere:
    """``Remote`` of any name; jobs are done at once."""

    name = "bedrock"

    def __init__(self, project: Project, state: State) -> None:
        self.state = state
        self.calls: list[str] = []
        self.closed = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.name, records=(8, 20_000), billed=True)

    def close(self) -> None:
        self.closed = True

    def make(self, kind: Any, name: str, parent: str | None = None, **details: Any) -> Resource:
        row = self.state.ledger.plan(self.name, kind, name, parent_id=parent, details=details)
        return self.state.ledger.created(row.id, f"arn:aws:{self.name}:{kind}/{name}")

    def estimate(self, request: TrainingRequest) -> Option | None:
        return Option(self.name, ())

    def submit_training(self, request: TrainingRequest) -> Job:
        job = self.make("job", request.job_name or f"{request.model_name}-job", model_name=request.model_name)
        self.make("model", request.model_name or f"shop-{self.name}", job.id)
        return self.job(job.id)

    def matching_job(self, request: TrainingRequest) -> Job | None:
        return next(iter(self.jobs()), None)

    def jobs(self) -> list[Job]:
        return [self._job(row) for row in self.state.ledger.list(kind="job", backend=self.name)]

    def job(self, id: str) -> Job:
        return self._job(self._row("job", id))

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        self.calls.append(f"wait {id}")
        return self.job(id)

    def stop(self, id: str) -> Job:
        self.calls.append(f"stop {id}")
        return self.job(id)

    def resume(self, id: str, detach: bool = False) -> Job:
        self.calls.append(f"resume {id}")
        return self.job(id)

    def delete_job(self, id: str) -> Job:
        job = self.job(id)
        self.state.ledger.deleted(job.id)
        return job

    def models(self) -> list[CustomModel]:
        return [self._model(row) for row in self.state.ledger.list(kind="model", backend=self.name)]

    def model(self, id: str) -> CustomModel:
        return self._model(self._row("model", id))

    def delete_model(self, id: str) -> None:
        self.state.ledger.deleted(self._row("model", id).id)

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        found = self.state.ledger.find("model", model)
        parent, of = (found.id, found.name) if found else (None, model)
        made = self.make("deployment", name or of, parent, model_id=parent or self.state.models.get(model).id)
        return self.deployment(made.id)

    def deployments(self) -> list[Deployment]:
        return [self._deployment(row) for row in self.state.ledger.list(kind="deployment", backend=self.name)]

    def deployment(self, id: str) -> Deployment:
        return self._deployment(self._row("deployment", id))

    def delete_deployment(self, id: str) -> None:
        self.state.ledger.deleted(self._row("deployment", id).id)

    def system(self, deployment: str = BASE, question: str = "") -> str:
        return f"the system text of {self.name}"

    def converse(
        self, deployment: str, record: Mapping[str, Any], sampling: Sampling | None = None, *, caller: str = "local"
    ) -> Iterator[Delta | Completion]:
        self.calls.append(f"{caller} asks {deployment}")
        return iter([_completion(f"{self.name} {deployment}")])

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        return [_completion(f"{self.name} {deployment}") for _ in records]

    def resources(self) -> list[Resource]:
        return self.state.ledger.list(backend=self.name)

    def remove(self, resource: Resource) -> None:
        self.calls.append(f"remove {resource.kind} {resource.name}")
        self.state.ledger.deleted(resource.id)

    def _row(self, kind: Any, id: str) -> Resource:
        row = self.state.ledger.find(kind, id)
        assert row is not None, f"asked for a {kind} {id} that is not there"
        assert row.backend == self.name, f"{self.name} was asked for what {row.backend} has"
        return row

    def _job(self, row: Resource) -> Job:
        return Job(
            row.id, row.name, "Completed", row.details["model_name"] or "", "nova", "d1", "nova", "", "",
            row.created_at, row.updated_at, ended_at=row.updated_at, backend=self.name, arn=row.arn,
        )  # fmt: skip

    def _model(self, row: Resource) -> CustomModel:
        return CustomModel(row.id, row.name, row.parent_id, "nova", "", row.created_at, backend=self.name, arn=row.arn)

    def _deployment(self, row: Resource) -> Deployment:
        model = row.details["model_id"]
        return Deployment(
            row.id, row.name, model, "Active", row.created_at, row.updated_at, backend=self.name, arn=row.arn
        )


class Another(Elsewhere):
    """The same under another name."""

    name = "sagemaker"


class Server(Elsewhere):
    """One that serves models of this machine."""

    name = "vllm"


def _completion(text: str) -> Completion:
    return Completion(text, 10, 2, 0, "end_turn", 0.1, 0.2)
