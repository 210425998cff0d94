"""All backends of a project as one: training goes to ``[train] backend``, everything else to the one that has it.

    name or id ── in the ledger ──> the backend of its row      no account is asked who has what
               └─ else ──────────> local

A backend other than local is imported and opened when it is needed, and not before: who works here only never loads
boto3. Names are unique in the project, whatever the backend.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlora.backends.base import BASE, Backend, Capabilities, Closing, TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.cost.model import Option
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConflictError
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.ledger import REMOVAL_ORDER, Resource, ResourceKind
from sqlora.platform.models import CustomModel
from sqlora.project import Project

LOCAL = "local"
# name → where its class is; made with (project, state).
BACKENDS: dict[str, str] = {
    "bedrock": "sqlora.backends.bedrock:BedrockBackend",
    "sagemaker": "sqlora.backends.sagemaker:SageMakerBackend",
    "vllm": "sqlora.backends.vllm:VllmBackend",
}

Listed = TypeVar("Listed", Job, CustomModel, Deployment)


class Remote(Backend, Protocol):
    """A backend whose things are elsewhere, in the ledger."""

    def resources(self) -> list[Resource]:
        """What it made and what is not gone yet, in the order in which it can go."""

    def remove(self, resource: Resource) -> None:
        """Delete one of them, or go on with a deletion that was begun; done when it is gone."""


class Everywhere(Closing):
    """`Backend` of a project, over `LocalBackend` and whichever others it uses. Close it, or use it in a ``with``.

    ``local`` is the one for this machine, with the state that all share; ``opened`` are others, by name, that need not
    be made.
    """

    def __init__(
        self, project: Project, local: LocalBackend | None = None, opened: Mapping[str, Remote] | None = None
    ) -> None:
        self.project = project
        self.local = local or LocalBackend(project)
        self.state = self.local.state
        self._opened: dict[str, Remote] = dict(opened or {})

    def close(self) -> None:
        """Let go of all that were opened."""
        for backend in self._opened.values():
            backend.close()
        self.local.close()

    # who does what --------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend that trains."""
        return self.backend(self.project.train.backend).capabilities

    @property
    def base_model(self) -> str:
        """What the backend that trains begins with: [train] base_model here, [aws] model there."""
        return self.project.train.base_model if self.project.train.backend == LOCAL else self.project.aws.model

    def backend(self, name: str) -> Backend:
        """The backend of that name, opened once."""
        return self.local if name == LOCAL else self._remote(name)

    def backend_of(self, deployment: str) -> Backend:
        """Who answers for the deployment; ``base`` is the base model of the backend that trains."""
        if deployment == BASE:
            return self.backend(self.project.train.backend)
        return self._having("deployment", deployment)

    def _remote(self, name: str) -> Remote:
        if name not in self._opened:
            module, found = BACKENDS[name].split(":")
            make: Callable[..., Remote] = getattr(importlib.import_module(module), found)
            self._opened[name] = make(self.project, self.state)
        return self._opened[name]

    def _having(self, kind: ResourceKind, id: str) -> Backend:
        row = self.state.ledger.find(kind, id)
        return self.backend(row.backend if row else LOCAL)

    def _remotes(self, kind: ResourceKind | None = None) -> list[Remote]:
        """The others that have something, or something of that kind."""
        return [self._remote(name) for name in sorted({row.backend for row in self.state.ledger.list(kind=kind)})]

    # training -------------------------------------------------------------------------------------------------

    def estimate(self, request: TrainingRequest) -> Option | None:
        """See `Backend`."""
        return self.backend(self.project.train.backend).estimate(request)

    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`. ConflictError for a name that any backend has."""
        place = self.backend(self.project.train.backend)
        if place is not self.local:  # which looks into the ledger itself
            models = [model.name for model in self.local.models()]
            promised = [job.model_name for job in self.local.jobs() if not job.ended]
            _require_free("model", request.model_name, [*models, *promised])
            _require_free("job", request.job_name, [job.name for job in self.local.jobs()])
        return place.submit_training(request)

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """See `Backend`; of the backend that trains."""
        return self.backend(self.project.train.backend).matching_job(request)

    def jobs(self) -> list[Job]:
        """See `Backend`."""
        return _newest_first([self.local.jobs(), *(remote.jobs() for remote in self._remotes("job"))])

    def job(self, id: str) -> Job:
        """See `Backend`."""
        return self._having("job", id).job(id)

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """See `Backend`."""
        return self._having("job", id).wait(id, on_progress)

    def stop(self, id: str) -> Job:
        """See `Backend`."""
        return self._having("job", id).stop(id)

    def resume(self, id: str, detach: bool = False) -> Job:
        """See `Backend`."""
        return self._having("job", id).resume(id, detach)

    def delete_job(self, id: str) -> Job:
        """See `Backend`."""
        return self._having("job", id).delete_job(id)

    # models and deployments -----------------------------------------------------------------------------------

    def models(self) -> list[CustomModel]:
        """See `Backend`."""
        return _newest_first([self.local.models(), *(remote.models() for remote in self._remotes("model"))])

    def model(self, id: str) -> CustomModel:
        """See `Backend`."""
        return self._having("model", id).model(id)

    def delete_model(self, id: str) -> None:
        """See `Backend`. A local model may be deployed on another backend, and stays while it is."""
        model = self.model(id)
        for user in self.deployments():
            if user.model_id == model.id:
                raise ConflictError(
                    f"custom model {model.name!r} is deployed as {user.name}", f"sqlora deployments rm {user.name}"
                )
        self.backend(model.backend).delete_model(model.id)

    def create_deployment(self, model: str, name: str | None = None, *, backend: str | None = None) -> Deployment:
        """See `Backend`. ``backend``: another one than the model's own, such as ``vllm`` for a local model."""
        place = self.backend(backend) if backend is not None else self._having("model", model)
        if place is not self.local:
            taken = [deployment.name for deployment in self.local.deployments()]
            _require_free("deployment", name or self.project.deploy.name, taken)
        return place.create_deployment(model, name)

    def deployments(self) -> list[Deployment]:
        """See `Backend`."""
        found = [remote.deployments() for remote in self._remotes("deployment")]
        return _newest_first([self.local.deployments(), *found])

    def deployment(self, id: str) -> Deployment:
        """See `Backend`."""
        return self._having("deployment", id).deployment(id)

    def delete_deployment(self, id: str) -> None:
        """See `Backend`."""
        self._having("deployment", id).delete_deployment(id)

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE, question: str = "") -> str:
        """See `Backend`."""
        return self.backend_of(deployment).system(deployment, question)

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> Iterator[Delta | Completion]:
        """See `Backend`."""
        return self.backend_of(deployment).converse(deployment, record, sampling, caller=caller)

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        """See `Backend`."""
        return self.backend_of(deployment).converse_batch(deployment, records, sampling, caller=caller)

    # what there is elsewhere ----------------------------------------------------------------------------------

    def resources(self) -> list[Resource]:
        """All that was made elsewhere and is not gone yet, in the order in which it can go."""
        found = [resource for remote in self._remotes() for resource in remote.resources()]
        # Sorting keeps each backend's own order in a kind.
        return sorted(found, key=lambda resource: REMOVAL_ORDER.index(resource.kind))

    def remove(self, resource: Resource) -> None:
        """Delete one of `resources`, or go on with a deletion that was begun; done when it is gone."""
        self._remote(resource.backend).remove(resource)


def _require_free(kind: str, name: str | None, taken: Collection[str]) -> None:
    if name in taken:
        raise ConflictError(f"a {kind} named {name!r} exists already, on this machine", f"another name for the {kind}")


def _newest_first(lists: list[list[Listed]]) -> list[Listed]:
    return sorted((item for items in lists for item in items), key=lambda item: item.created_at, reverse=True)
