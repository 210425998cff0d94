from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from sqlora.cost.figures import project_figures
from sqlora.cost.prices import own_prices
from sqlora.errors import DatasetError
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.project import Project, load_project
from sqlora.prompting import record

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "sqlora.toml").write_text('[project]\nname = "shop"\n')
    return load_project(tmp_path, environ={})


def dataset(project: Project, id: str = "d1") -> Path:
    folder = project.paths.dataset(id)
    folder.mkdir(parents=True)
    for name in ("validation.jsonl", "test.jsonl", "examples.jsonl"):
        (folder / name).touch()
    (folder / "card.json").write_text(json.dumps({"created": "2026-11-01T00:00:00Z"}))
    (folder / "train.jsonl").write_text((json.dumps(record("s" * 200, "q" * 30, "a" * 30)) + "\n") * 10)
    return folder


def test_a_project_without_anything_makes_no_state(project: Project) -> None:
    found = project_figures(project, own_prices(), NOW)
    assert (found.data, found.training, found.measured, found.spent, found.pace) == (None, None, None, (), None)
    assert not project.state.exists()


def test_the_newest_dataset_is_what_would_be_trained_on(project: Project) -> None:
    dataset(project)
    data = project_figures(project, own_prices(), NOW).data
    assert data is not None
    assert (data.dataset, data.records, data.tokens) == ("d1", 10, 1_000)


def test_a_damaged_dataset_is_named(project: Project) -> None:
    (dataset(project) / "train.jsonl").write_text("{")
    with pytest.raises(DatasetError, match=r"train\.jsonl:1"):
        project_figures(project, own_prices(), NOW)


def test_seconds_are_those_of_questions_asked_one_by_one_here(project: Project) -> None:
    with State(project.paths.database) as state:
        state.usage.record(
            [UsageRow("shop", "ask", 800, 60, 0, 1.5, 0.2), UsageRow("shop", "ask", 800, 60, 0, 2.0, 0.2)]
        )
        state.usage.record([UsageRow("shop", "evaluate", 800, 60, 0, 90.0, 0.2)])
        state.usage.record([UsageRow("shop", "ask", 800, 60, 0, 0.1, 0.2, backend="bedrock")])
    measured = project_figures(project, own_prices(), NOW).measured
    assert measured is not None
    assert (measured.seconds, measured.questions) == (Decimal("1.75"), 2)


def test_a_customization_is_reckoned_by_its_dataset_while_that_is_there(project: Project) -> None:
    folder = dataset(project)
    details = {"base_model": "amazon.nova-micro-v1:0:128k", "dataset_id": "d1", "hyperparameters": {"epochCount": "2"}}
    with State(project.paths.database) as state:
        job = state.ledger.plan("bedrock", "job", "one", details={**details, "status": "Completed"})
        state.ledger.created(job.id, "arn:job")
    [bedrock] = project_figures(project, own_prices(), NOW).spent
    assert bedrock.total == Decimal("0.002")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    [bedrock] = project_figures(project, own_prices(), NOW).spent
    assert bedrock.total is None


def test_the_last_local_training_took_from_its_beginning_to_its_end(project: Project) -> None:
    with State(project.paths.database) as state:
        job = state.jobs.create("one", model_name="shop", base_model="tiny", dataset_id="d1", recipe="demo")
        state.jobs.complete(job.id, folder="models/x", train_loss=1.0, validation_loss=None)
        state.execute("UPDATE jobs SET created_at = '2026-11-01T00:00:00Z', ended_at = '2026-11-01T00:30:00Z'")
    training = project_figures(project, own_prices(), NOW).training
    assert training is not None
    assert (training.job, training.hours) == ("one", Decimal("0.5"))
