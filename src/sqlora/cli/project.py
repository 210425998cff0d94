"""What most commands begin with: the project, its backend, its newest dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from sqlora.errors import NotFoundError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.platform.state import State
    from sqlora.prepare.dataset import Dataset
    from sqlora.project import Project


def open_project(ctx: click.Context, overrides: Mapping[str, object] | None = None) -> Project:
    """The project of ``-C DIR`` or the current folder, with the command line's settings over the file's."""
    from sqlora.project import load_project

    return load_project(ctx.obj, overrides)


def open_state(project: Project) -> State:
    """Jobs, models, deployments and usage of the project."""
    from sqlora.platform.state import State

    return State(project.paths.database)


def open_backend(project: Project) -> Everywhere:
    """All backends of the project as one; those that are not needed are not even imported."""
    from sqlora.backends.everywhere import Everywhere

    return Everywhere(project)


def find_dataset(project: Project, id: str | None = None) -> Dataset:
    """The dataset of that id (its beginning is enough), or the newest."""
    from sqlora.prepare import list_datasets

    datasets = list_datasets(project.state)
    if id is None:
        if not datasets:
            raise NotFoundError(f"{project.folder} has no dataset yet", "sqlora prepare")
        return datasets[0]
    found = [dataset for dataset in datasets if dataset.id.startswith(id)] if id else []
    if len(found) != 1:
        many = f"{len(found)} datasets begin with {id!r}" if found else f"no dataset {id!r}"
        raise NotFoundError(many, "sqlora datasets list")
    return found[0]
