"""Which model is asked, and what its answers belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlora.backends.base import BASE
from sqlora.errors import ConfigError
from sqlora.project import Project


class Deployed(Protocol):
    """What is read of a deployment."""

    @property
    def model_id(self) -> str:
        """The custom model it serves."""

    @property
    def backend(self) -> str:
        """Where it is."""


class Deployments(Protocol):
    """A backend, as far as deployments can be looked up in it."""

    def deployment(self, id: str, /) -> Deployed:
        """By id or name; NotFoundError."""


def is_base(project: Project, name: str) -> bool:
    """Whether ``name`` is the untuned model: "base", or its own name."""
    return name in (BASE, project.train.base_model)


def identify(project: Project, backend: Deployments, names: Sequence[str]) -> dict[str, str]:
    """Name → identity. Two custom models deployed under one name in turn are two models.

    ConfigError when there is no name or one is there twice, NotFoundError for an unknown deployment.
    """
    if not names:
        raise ConfigError("no model to evaluate", "sqlora evaluate --model base --model NAME")
    if twice := [name for name in dict.fromkeys(names) if list(names).count(name) > 1]:
        raise ConfigError(f"model {twice[0]!r} is named twice", "name each model once")
    return {name: _identity(project, backend, name) for name in names}


def _identity(project: Project, backend: Deployments, name: str) -> str:
    if name == BASE:
        return f"{project.train.backend} {_base_model(project, project.train.backend)}"
    if is_base(project, name):
        return f"local {name}"
    found = backend.deployment(name)
    return f"{found.backend} {_base_model(project, found.backend)} {found.model_id}"


def _base_model(project: Project, backend: str) -> str:
    return project.aws.model if backend in ("bedrock", "sagemaker") else project.train.base_model
