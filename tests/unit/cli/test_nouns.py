"""list, show and rm of every noun, over a state that was filled by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.cli.project import find_dataset
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.project import load_project
from tests.unit.cli.conftest import Run


@pytest.fixture
def filled(project: Path, run: Run) -> Path:
    """A dataset, a completed and a stopped job, a model in use and one that is not, some usage."""
    assert run("prepare").exit_code == 0
    with State(project / ".sqlora" / "state.db") as state:
        dataset = find_dataset(load_project(project)).id
        shared = {"base_model": "tiny", "dataset_id": dataset, "recipe": "demo"}
        done = state.jobs.create("job-one", model_name="shop", **shared)
        state.jobs.report(done.id, {"phase": "training", "step": 40, "steps": 1200, "loss": 0.5})
        folder = project / ".sqlora" / "models" / done.reserved_model_id
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"dataset_id": dataset, "recipe": {"name": "demo"}}))
        (folder / "adapter_model.safetensors").write_bytes(b"x" * 2_500_000)
        model = state.jobs.complete(
            done.id, folder=f"models/{done.reserved_model_id}", train_loss=0.5, validation_loss=0.75
        )
        other = state.jobs.create("job-two", model_name="other", **shared)
        state.jobs.request_stop(other.id)
        state.jobs.stopped(other.id)
        (project / ".sqlora" / "jobs" / other.id / "checkpoint").mkdir(parents=True)
        state.models.create("spare", base_model="tiny")
        state.deployments.create("live", model.id)
        state.deployments.update("live", status="Active")
        state.usage.record(
            [UsageRow("live", "anna", 100, 10, 80, 0.5, 0.1), UsageRow("live", "ben", 50, 5, 0, 0.5, 0.1)]
        )
    return project


@pytest.mark.parametrize(
    ("noun", "words"),
    [
        ("datasets", ["18", "duckdb"]),
        ("jobs", ["job-one", "Completed", "40 of 1,200", "job-two", "Stopped"]),
        ("models", ["shop", "0.75", "spare"]),
        ("deployments", ["live", "Active", "shop"]),
        ("usage", ["anna", "ben", "100"]),
    ],
)
def test_list_is_a_table_and_json(run: Run, filled: Path, noun: str, words: list[str]) -> None:
    shown = run(noun, "list")
    assert shown.exit_code == 0
    for word in words:
        assert word in shown.stdout
    listed = json.loads(run(noun, "list", "--json").stdout)
    assert isinstance(listed, list)
    assert listed


@pytest.mark.parametrize("noun", ["datasets", "jobs", "models", "deployments", "usage"])
def test_an_empty_list_is_no_error(run: Run, project: Path, noun: str) -> None:
    assert run(noun, "list").exit_code == 0
    assert json.loads(run(noun, "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["datasets", "show"], ["18 train", "train.jsonl"]),
        (["datasets", "show", "--examples", "2"], ["how many stores are in Leeds", "average sale"]),
        (["jobs", "show", "job-one"], ["Completed", "40 of 1,200", "worker.log"]),
        (["models", "show", "shop"], ["2.5 MB", "live", "demo"]),
        (["models", "show", "spare"], ["its weights are gone"]),
        (["deployments", "show", "live"], ["shop", "150"]),
        (["usage", "show"], ["live", "150", "15"]),
        (["usage", "show", "live", "--by", "caller"], ["anna", "ben"]),
    ],
)
def test_show(run: Run, filled: Path, arguments: list[str], words: list[str]) -> None:
    shown = run(*arguments)
    assert shown.exit_code == 0, shown.stderr
    for word in words:
        assert word in shown.stdout
    assert json.loads(run(*arguments, "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["datasets", "show", "ffffff"], "no dataset 'ffffff'"),
        (["datasets", "rm", ""], "no dataset ''"),
        (["jobs", "show", "x"], "no job 'x'"),
        (["jobs", "stop", "job-one"], "Completed"),
        (["jobs", "resume", "job-one"], "Completed"),
        (["models", "show", "x"], "no custom model 'x'"),
        (["models", "rm", "shop"], "deployed as live"),
        (["deployments", "show", "x"], "no deployment 'x'"),
        (["usage", "show", "x"], "no deployment 'x'"),
        (["deploy", "x"], "no custom model 'x'"),
        (["deploy", "spare"], "has lost"),
    ],
)
def test_what_cannot_be_done_says_why(run: Run, filled: Path, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr


def test_rm_takes_things_away_in_the_order_that_errors_name(run: Run, filled: Path) -> None:
    state = filled / ".sqlora"
    assert run("deployments", "rm", "live").stdout == "removed deployment live\n"
    assert json.loads(run("models", "rm", "shop", "--json").stdout)["removed"]
    assert not [path for path in (state / "models").iterdir()]
    assert run("jobs", "rm", "job-two").exit_code == 0
    assert not [path for path in (state / "jobs").iterdir()]
    id = json.loads(run("datasets", "list", "--json").stdout)[0]["id"]
    assert run("datasets", "rm", id[:6]).stdout == f"removed dataset {id}\n"
    assert not [path for path in (state / "datasets").iterdir() if path.is_dir()]
    assert json.loads(run("usage", "show", "--json").stdout)[0]["requests"] == 2  # a bill is kept


def test_a_dataset_in_use_stays(run: Run, filled: Path) -> None:
    with State(filled / ".sqlora" / "state.db") as state:
        id = state.jobs.get("job-one").dataset_id
        job = state.jobs.create("job-three", model_name="third", base_model="tiny", dataset_id=id, recipe="demo")
    result = run("datasets", "rm", id)
    assert result.exit_code == 1
    assert f"next: sqlora jobs stop {job.id}" in result.stderr
    assert json.loads(run("jobs", "show", job.id, "--json").stdout)["status"] == "Interrupted"  # it has no worker


def test_destroy_shows_the_plan_and_does_nothing_unconfirmed(run: Run, filled: Path) -> None:
    result = run("destroy")
    assert result.exit_code == 1
    assert "next: sqlora destroy --yes" in result.stderr
    plan = json.loads(run("destroy", "--plan", "--json").stdout)
    kinds = [step["kind"] for step in plan]
    assert kinds == ["deployment", "model", "model", "job", "job", "dataset", "usage"]
    assert (filled / ".sqlora").is_dir()


def test_destroy_removes_what_was_created_and_nothing_else(run: Run, filled: Path) -> None:
    before = {path.name for path in filled.iterdir()}
    with State(filled / ".sqlora" / "state.db") as state:
        id = state.jobs.get("job-one").dataset_id
        state.jobs.create("job-three", model_name="third", base_model="tiny", dataset_id=id, recipe="demo")
    result = run("destroy", "--yes")
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in filled.iterdir()} == before - {".sqlora"}
    assert run("destroy", "--yes").stdout == "nothing to remove\n"
