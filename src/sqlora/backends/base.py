"""What a backend is: a place that trains adapters and answers questions. Small on purpose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from sqlora.cost.model import Option
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConfigError
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.models import CustomModel
from sqlora.train.recipe import Recipe

BASE = "base"  # asked for in place of a deployment: the untuned base model


@dataclass(frozen=True)
class TrainingRequest:
    """One training: a dataset by id and a recipe. What is None is the project's setting, or made up from its name."""

    dataset_id: str
    recipe: Recipe
    base_model: str | None = None
    seed: int | None = None
    model_name: str | None = None
    job_name: str | None = None
    detach: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What differs between backends, known before work or money is spent."""

    backend: str
    """Its name in ``[train] backend``."""

    records: tuple[int, int | None]
    """Fewest and most training records; None: no upper limit."""

    base_models: tuple[str, ...] | None = None
    """Base models it can train; None: any causal model that transformers loads."""

    hyperparameters: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Keys of the recipe that it limits, with the least and the greatest value, both allowed."""

    resumable: bool = False
    """Whether a stopped, failed or killed job can go on from a checkpoint."""

    detached: bool = False
    """Whether a job can outlive the command that submitted it."""

    weights: bool = False
    """Whether the adapter's file is the user's to copy; Bedrock never hands it out."""

    billed: bool = False
    """Whether training, storage and tokens cost money."""

    beams: bool = False
    """Whether it can search several answers beside each other (`Sampling.beams`), to replace one that is not valid."""

    def check(self, request: TrainingRequest, records: int, base_model: str) -> None:
        """ConfigError that lists everything about the request which this backend would refuse."""
        least, most = self.records
        problems: dict[str, str] = {}  # each with what mends it
        if records < least or (most is not None and records > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            problem = f"dataset {request.dataset_id} has {records} training records; it takes {bounds}"
            problems[problem] = f"{'more' if records < least else 'fewer'} examples in [[sources]], then sqlora prepare"
        if self.base_models is not None and base_model not in self.base_models:
            problems[f"base model {base_model!r}; it trains {', '.join(self.base_models)}"] = "another base model"
        for key, (low, high) in self.hyperparameters.items():
            value = getattr(request.recipe, key)
            if not low <= value <= high:
                problem = f"recipe {request.recipe.name!r}: {key} = {value}; it takes {low:g} to {high:g}"
                problems[problem] = self._other_recipe(key)
        if request.detach and not self.detached:
            problems["a detached job"] = "leave --detach out"
        if problems:
            lines = [f"the {self.backend} backend cannot train this:", *(f"  {problem}" for problem in problems)]
            raise ConfigError("\n".join(lines), "; ".join(dict.fromkeys(problems.values())))

    def _other_recipe(self, key: str) -> str:
        from sqlora.train.recipe import BUILT_IN

        fitting = [
            name
            for name, recipe in BUILT_IN.items()
            if all(low <= getattr(recipe, key) <= high for key, (low, high) in self.hyperparameters.items())
        ]
        return f"--recipe {fitting[0]}, or another {key} in [train]" if fitting else f"another {key} in [train]"


class Closing(ABC):
    """What is used in a ``with`` and closed when that is left."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Backend(Protocol):
    """Training and serving in one place. Jobs, models and deployments are named by id, name or ARN.

    A deployment called ``base`` is the untuned base model. All methods raise NotFoundError for what is not there; those
    of a cloud raise AccountError when it refuses and ServiceError when trying again later may help.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can and cannot do."""

    def close(self) -> None:
        """Let go of files, connections and attached workers."""

    # training -------------------------------------------------------------------------------------------------

    def estimate(self, request: TrainingRequest) -> Option | None:
        """The bill of the training, before anything is spent; None where nothing is billed."""

    def submit_training(self, request: TrainingRequest) -> Job:
        """Begin a training job. ConfigError before anything is spent, ConflictError for a taken name."""

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """The job that has trained, or may go on to train, exactly what is requested: nothing need be done twice."""

    def jobs(self) -> list[Job]:
        """All jobs, newest first, as they were last seen; `job` asks how one stands."""

    def job(self, id: str) -> Job:
        """How the job stands."""

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """Show each change of the job until it has ended, its custom model included."""

    def stop(self, id: str) -> Job:
        """Ask a job to stop; it is Stopping until it has. ConflictError when it has ended."""

    def resume(self, id: str, detach: bool = False) -> Job:
        """Go on with a job that was stopped, has failed or was killed. ConflictError for one that cannot."""

    def delete_job(self, id: str) -> Job:
        """Forget a job that has ended; the model that it made stays."""

    # models and deployments -----------------------------------------------------------------------------------

    def models(self) -> list[CustomModel]:
        """All custom models, newest first."""

    def model(self, id: str) -> CustomModel:
        """One of them."""

    def delete_model(self, id: str) -> None:
        """Take the model and its weights away; ConflictError while it is deployed."""

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        """Make a custom model answerable; when this returns, it is.

        The same model under the same name again is the existing deployment; another model under a taken name is
        a ConflictError.
        """

    def deployments(self) -> list[Deployment]:
        """All deployments, newest first, as they were last seen."""

    def deployment(self, id: str) -> Deployment:
        """How the deployment stands."""

    def delete_deployment(self, id: str) -> None:
        """Take it away; the model and the usage stay."""

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE, question: str = "") -> str:
        """The system text to ask ``question`` with: that of the data the deployment's model was trained on.

        Where that data shows each question what it needs of a wide schema, that of this question.
        """

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> Iterator[Delta | Completion]:
        """The answer to a record of `sqlora.prompting`, a question or a whole conversation: deltas as they come, then
        the completion.

        The usage of ``caller`` is on the books before the completion comes out. ContextError for a conversation that
        is too long for the model.
        """

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        """The answers to many, in their order, computed together where the backend can."""
