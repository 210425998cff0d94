from __future__ import annotations

from pathlib import Path

import pytest

from sqlora.prepare.dataset import Dataset
from sqlora.project import Project
from tests.unit.evaluate.fake import make_dataset, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "shop")


@pytest.fixture
def dataset(project: Project) -> Dataset:
    return make_dataset(project)
