"""A project's model as something to export: adapter, base model, and the system text that it was trained with."""

from __future__ import annotations

from collections.abc import Callable

from sqlora.backends.systems import Systems
from sqlora.backends.target import Target, target_of_base
from sqlora.errors import ConfigError, ConflictError
from sqlora.models.export import Source
from sqlora.platform.models import CustomModel
from sqlora.project import Project


def base_source(project: Project, progress: Callable[[str], None] | None = None) -> Source:
    """The untuned base model of the project, by its own name."""
    from sqlora.models.base import resolve_base_model
    from sqlora.models.export.export import base_name

    target = target_of_base(project)
    base = resolve_base_model(target.base_model, progress)
    return Source(base_name(base), base, None, Systems(project).known(target))


def model_source(project: Project, model: CustomModel, progress: Callable[[str], None] | None = None) -> Source:
    """A custom model. ConfigError for one whose weights a cloud keeps, ConflictError for one that is not Active."""
    from sqlora.models.base import resolve_base_model

    if model.backend != "local" or not model.folder:
        raise ConfigError(
            f"custom model {model.name!r} is on {model.backend}, which never hands out weights",
            "sqlora train --backend local, or --backend sagemaker with an open [aws] model",
        )
    if model.status != "Active":
        raise ConflictError(f"custom model {model.name!r} is {model.status}", f"sqlora models show {model.id}")
    folder = project.state / model.folder
    target = Target(model.name, model.base_model, model, folder)
    return Source(model.name, resolve_base_model(model.base_model, progress), folder, Systems(project).known(target))
