"""prepare: sources → examples → check → dedupe → split → write. What a model is taught, and what it is tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlora.prepare.dataset import Dataset, list_datasets, load_dataset
from sqlora.prepare.examples import Example, PrepareProgress, Rejection

if TYPE_CHECKING:
    from sqlora.prepare.examples import ReportProgress
    from sqlora.project import Project

__all__ = ["Dataset", "Example", "PrepareProgress", "Rejection", "list_datasets", "load_dataset", "prepare"]


def prepare(project: Project, progress: ReportProgress | None = None, *, again: bool = False) -> Dataset:
    """The dataset of ``project``'s sources; returns at once when nothing changed since it was made.

    ``progress`` is called with a `PrepareProgress` now and then; ``again`` looks at everything anew, which a database
    on a server needs after its data changed. Raises DatasetError when what is left can't be trained on.
    """
    from sqlora.prepare.run import prepare_dataset

    return prepare_dataset(project, progress, again=again)
