"""What the two AWS backends share: everything after the training, for both end with a custom model in Bedrock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.answers import Answers, Asked
from sqlora.backends.aws.deployments import Deployments
from sqlora.backends.aws.jobs import Jobs
from sqlora.backends.aws.models import Models
from sqlora.backends.aws.polling import Polling
from sqlora.backends.aws.site import Site
from sqlora.backends.aws.storage import Storage
from sqlora.backends.base import BASE, Capabilities, Closing, TrainingRequest
from sqlora.backends.systems import Systems
from sqlora.backends.target import target_of_base
from sqlora.cost.model import Option
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConflictError, SqloraError
from sqlora.platform.conversations import FEWEST, MOST
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.ledger import REMOVAL_ORDER, Resource, ResourceKind
from sqlora.platform.models import CustomModel
from sqlora.platform.state import State
from sqlora.project import Project
from sqlora.train.nova import MODELS, without_context


class AwsBackend(Closing, ABC):
    """`Backend` in an AWS account. A subclass trains; its models are Bedrock's, and so are deployments and answers.

    ``state`` stays open when the backend is closed. Answers, models and deployments may be asked for from several
    threads. A process may die at any moment: whatever it was at is in the ledger, and the next one goes on.
    """

    name: ClassVar[str]
    """In ``[train] backend`` and in the ledger."""

    def __init__(
        self, project: Project, state: State, account: Account | None = None, *, polling: Polling | None = None
    ) -> None:
        self.project, self.state = project, state
        self.account = account or Account(project.aws)
        self._own_account = account is None
        self.site = Site(project, state, self.account, self.name, polling or Polling())
        self.storage = Storage(self.account, state, self.name, project.name)
        self._jobs = Jobs(self.site)
        self._models = Models(self.site)
        self._deployments = Deployments(self.site, self._models)
        self._answers = Answers(self.site)
        self._systems = Systems(project)

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`: what both services ask of data and models."""
        return Capabilities(
            self.name, records=(FEWEST, MOST), base_models=tuple(MODELS), detached=True, billed=True, beams=False
        )

    def close(self) -> None:
        """See `Backend`. What runs in the cloud goes on."""
        if self._own_account:
            self.account.close()

    # training: the subclass's ---------------------------------------------------------------------------------

    @abstractmethod
    def estimate(self, request: TrainingRequest) -> Option | None:
        """See `Backend`."""

    @abstractmethod
    def fingerprint(self, request: TrainingRequest) -> str:
        """Equal for requests that train the same model here."""

    @abstractmethod
    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`. `Jobs.plan` first; then upload and submit, which `wait` can go on with."""

    @abstractmethod
    def job(self, id: str) -> Job:
        """See `Backend`: ask AWS, and keep what it says. Never submits what is only planned."""

    @abstractmethod
    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """See `Backend`. A job that is only planned is submitted first; one stopped before that has ended."""

    @abstractmethod
    def stop(self, id: str) -> Job:
        """See `Backend`. One that is only planned is Stopped at once, if the service does not have it."""

    def resume(self, id: str, detach: bool = False) -> Job:
        """See `Backend`: AWS keeps no checkpoint, so ConflictError for every job that has ended."""
        job = self.job(id)
        if job.ended:
            raise ConflictError(
                f"job {job.name!r} is {job.status}, and {self.name} cannot go on with it",
                "sqlora train --again trains anew",
            )
        return job

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """See `Backend`."""
        return self._jobs.matching(self.fingerprint(request))

    def jobs(self) -> list[Job]:
        """See `Backend`."""
        return self._jobs.list()

    def delete_job(self, id: str) -> Job:
        """See `Backend`. The service keeps its own record; what the job wrote to S3 stays until `remove`."""
        return self._jobs.forget(id)

    def base_model(self, request: TrainingRequest) -> str:
        """What is trained: the request's, else ``[aws] model``."""
        return request.base_model or self.project.aws.model

    # models and deployments -----------------------------------------------------------------------------------

    def models(self) -> list[CustomModel]:
        """See `Backend`."""
        return self._models.list()

    def model(self, id: str) -> CustomModel:
        """See `Backend`."""
        return self._models.of(self._models.row(id))

    def delete_model(self, id: str) -> None:
        """See `Backend`."""
        self._models.delete(id)

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        """See `Backend`."""
        return self._deployments.create(model, name)

    def deployments(self) -> list[Deployment]:
        """See `Backend`."""
        return self._deployments.list()

    def deployment(self, id: str) -> Deployment:
        """See `Backend`."""
        return self._deployments.of(self._deployments.refresh(self._deployments.row(id)))

    def delete_deployment(self, id: str) -> None:
        """See `Backend`."""
        self._deployments.delete(id)

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE, question: str = "") -> str:
        """See `Backend`."""
        row = None if self._is_base(deployment) else self._deployments.row(deployment)
        return self._system_of(row) or self._systems.of(target_of_base(self.project), question)

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> Iterator[Delta | Completion]:
        """See `Backend`. An answer that is abandoned half-way is on the books with an estimate of its tokens."""
        return self._answers.converse(self._asked(deployment), record, sampling, caller)

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        """See `Backend`: several at a time."""
        return self._answers.converse_batch(self._asked(deployment), records, sampling, caller)

    def _is_base(self, deployment: str) -> bool:
        return deployment in (BASE, self.project.aws.model, self._base_id)

    @property
    def _base_id(self) -> str:
        return without_context(self.project.aws.model)

    def _asked(self, deployment: str) -> Asked:
        if self._is_base(deployment):
            return Asked(BASE, self._base_id)
        row = self._deployments.row(deployment)
        if row.status == "created" and row.details.get("status") != "Active":
            row = self._deployments.refresh(row)
        if row.status != "created" or row.arn is None or row.details.get("status") != "Active":
            how = "being deleted" if row.status == "deleting" else row.details.get("status", "not made yet")
            raise ConflictError(f"deployment {row.name!r} is {how}", f"sqlora deploy {row.parent_id}")
        self.site.require_here(row)
        own = self._system_of(row)
        return Asked(row.name, row.arn, (lambda question: own) if own else self._known_system)

    def _system_of(self, deployment: Resource | None) -> str | None:
        if deployment is None or deployment.parent_id is None:
            return None
        found: str | None = self.state.ledger.get(deployment.parent_id).details.get("system")
        return found

    def _known_system(self, question: str) -> str | None:
        with suppress(SqloraError):  # no dataset and no database: nobody's is better than no answer
            return self._systems.of(target_of_base(self.project), question)
        return None

    # taking it all away ---------------------------------------------------------------------------------------

    def resources(self) -> list[Resource]:
        """What this backend made and what is not gone yet, in the order in which it can go."""
        return sorted(self.site.rows(), key=lambda row: REMOVAL_ORDER.index(row.kind))

    def remove(self, resource: Resource) -> None:
        """Delete one of them, or go on with a deletion that was begun; done when it is gone.

        AccountError with the credentials of another account. ConflictError for what others use.
        """
        row = self.state.ledger.get(resource.id)
        if row.status == "deleted":
            return
        self.site.require_here(row)
        self._removers()[row.kind](row)

    def _removers(self) -> dict[ResourceKind, Callable[[Resource], None]]:
        from sqlora.backends.aws.buckets import remove_bucket
        from sqlora.backends.aws.roles import remove_policy, remove_role

        return {
            "deployment": self._deployments.remove,
            "job": self._remove_job,
            "model": self._remove_model,
            "policy": lambda row: remove_policy(self.site, row),
            "role": lambda row: remove_role(self.site, row),
            "object": self.storage.remove,
            "bucket": lambda row: remove_bucket(self.site, row),
        }

    def _remove_job(self, row: Resource) -> None:
        """Stop it, if it has not ended, and see how it ended: its model may have been made in the last moment."""
        if not self._jobs.of(row).ended:
            with suppress(ConflictError):  # it has ended meanwhile
                self.stop(row.id)
            self.wait(row.id)
        self.site.forget(row)

    def _remove_model(self, row: Resource) -> None:
        if row.status == "planned" and row.parent_id:
            maker = self.state.ledger.get(row.parent_id)
            if maker.status != "deleted":
                self._remove_job(maker)  # or it would make the model after the model has gone
                row = self.state.ledger.get(row.id)
        if row.status != "deleted":
            self._models.remove(row)
