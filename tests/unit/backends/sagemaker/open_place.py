"""A project that trains an open model on SageMaker, and its backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.platform.state import State
from sqlora.project import Project, load_project
from tests.conformance.cloud import BUCKET, QUICK, ROLE, account_of
from tests.conformance.workplace import write_project


def open_project(
    folder: Path, url: str, more: str = 'instance = "ml.g5.2xlarge"', model: str = "other/hub", train: str = ""
) -> Project:
    """``more`` goes into ``[aws]``, ``train`` into ``[train]``."""
    write_project(
        folder,
        f"""[project]
name = "Larkspur Markets"
[train]
backend = "sagemaker"
base_model = "{model}"
{train}
[aws]
model = "{model}"
endpoint_url = "{url}"
bucket = "{BUCKET}"
role_arn = "{ROLE}"
{more}""",
    )
    return load_project(folder, environ={})


@contextmanager
def open_backend(project: Project) -> Iterator[SageMakerBackend]:
    with State(project.paths.database) as state:
        backend = SageMakerBackend(project, state, account_of(project), polling=QUICK)
        try:
            yield backend
        finally:
            backend.account.close()
