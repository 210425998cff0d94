"""The half of `Backend` that a vLLM server has not: it trains nothing, and its models are the local backend's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.cost.model import Option
from sqlora.errors import ConfigError, NotFoundError
from sqlora.platform.jobs import Job
from sqlora.platform.models import CustomModel

NAME = "vllm"


class ServesOnly:
    """Jobs and models of a backend that has none."""

    @property
    def capabilities(self) -> Capabilities:
        """It trains nothing; what it deploys are local models."""
        return Capabilities(NAME, records=(0, 0), base_models=(), beams=True)

    def estimate(self, request: TrainingRequest) -> Option | None:
        """None: it neither trains nor bills."""
        return None

    def submit_training(self, request: TrainingRequest) -> Job:
        """ConfigError."""
        raise ConfigError("a vLLM server does not train", 'sqlora train with [train] backend = "local"')

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """None."""
        return None

    def jobs(self) -> list[Job]:
        """None of its own."""
        return []

    def job(self, id: str) -> Job:
        """NotFoundError, as of every job here."""
        _no_job(id)

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """See `job`."""
        _no_job(id)

    def stop(self, id: str) -> Job:
        """See `job`."""
        _no_job(id)

    def resume(self, id: str, detach: bool = False) -> Job:
        """See `job`."""
        _no_job(id)

    def delete_job(self, id: str) -> Job:
        """See `job`."""
        _no_job(id)

    def models(self) -> list[CustomModel]:
        """None of its own."""
        return []

    def model(self, id: str) -> CustomModel:
        """NotFoundError, as of every model here."""
        raise NotFoundError(f"the vllm backend has no custom model {id!r} of its own", "sqlora models list")

    def delete_model(self, id: str) -> None:
        """See `model`."""
        self.model(id)


def _no_job(id: str) -> NoReturn:
    raise NotFoundError(f"the vllm backend has no job {id!r}", "sqlora jobs list")
