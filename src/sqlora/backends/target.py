"""What a deployment's name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlora.backends.base import BASE
from sqlora.platform.models import CustomModel
from sqlora.project import Project


@dataclass(frozen=True)
class Target:
    """A base model, or a custom model over it. ``model`` None: the untuned base; ``folder`` keeps its prefix cache."""

    name: str
    base_model: str
    model: CustomModel | None
    folder: Path

    @property
    def adapter(self) -> str | None:
        """The adapter's name in the engine: deployments of one model share it."""
        return self.model.id if self.model else None


def target_of_base(project: Project) -> Target:
    """The untuned base model of the project."""
    return Target(BASE, project.train.base_model, None, project.paths.deployment(BASE))
