"""The same commands with ``--backend bedrock``, over HTTP against the server: bill, train, deploy, ask, destroy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends import everywhere
from sqlora.platform.state import State
from sqlora.prepare.examples import Example
from sqlora.prepare.write import write_dataset
from tests.conformance.cloud import BUCKET, cloud_project
from tests.conformance.workplace import SYSTEM
from tests.unit.cli.cloud import KILLED_AT
from tests.unit.cli.conftest import Run
from tests.wire.clients import KEY, SECRET, boto
from tests.wire.live import Live, live

QUICK = "tests.unit.cli.cloud:QuickBedrock"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Live]:
    """With an empty bucket: S3 is in this process's memory, where other tests' servers have it too."""
    with live(tmp_path / "server", aws=True) as server:
        s3 = boto(server.url, "s3")
        s3.create_bucket(Bucket=BUCKET)
        for key in keys(server):
            s3.delete_object(Bucket=BUCKET, Key=key)
        yield server


@pytest.fixture
def cloud(server: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is a project that trains on bedrock, with a dataset."""
    folder = tmp_path / "shop"
    folder.mkdir()
    cloud_project(folder, server.url)
    pairs = [(f"question {n}?", f"SELECT {n}", "train" if n < 8 else "validation" if n < 10 else "test") for n in range(13)]
    examples = [Example(question, sql, "test", split=split) for question, sql, split in pairs]
    write_dataset(folder / ".sqlora", examples, SYSTEM, {"dialect": "duckdb"}, "2026-11-23T00:00:00Z")
    monkeypatch.chdir(folder)
    monkeypatch.setitem(everywhere.BACKENDS, "bedrock", QUICK)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return folder


def done(run: Run, *arguments: str) -> Any:
    """What the command prints as JSON."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def rows(folder: Path) -> list[tuple[str, str]]:
    with State(folder / ".sqlora" / "state.db") as state:
        return [(row.kind, row.status) for row in state.ledger.list()]


def there(server: Live) -> list[str]:
    """What the account has, but for the bucket that it had before."""
    bedrock = boto(server.url, "bedrock")
    deployments = bedrock.list_custom_model_deployments()["modelDeploymentSummaries"]
    return [
        *(found["modelName"] for found in bedrock.list_custom_models()["modelSummaries"]),
        *(found["customModelDeploymentName"] for found in deployments),
        *keys(server),
    ]


def keys(server: Live) -> list[str]:
    found = boto(server.url, "s3").list_objects_v2(Bucket=BUCKET)
    return [each["Key"] for each in found.get("Contents", [])]


def test_train_deploy_ask_and_destroy(run: Run, cloud: Path, server: Live) -> None:
    trained = run("train", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert "bill: $" in trained.stderr
    answer = json.loads(trained.stdout)
    assert (answer["status"], answer["backend"], answer["model"]) == ("Completed", "bedrock", "larkspur-markets-bedrock")
    assert answer["arn"].startswith("arn:aws:bedrock:us-east-1:")
    again = run("train", "--json")
    assert "was trained from this data with this recipe already" in again.stderr
    assert "bill" not in again.stderr

    [job], [model] = done(run, "jobs", "list"), done(run, "models", "list")
    assert (job["backend"], job["status"], model["backend"]) == ("bedrock", "Completed", "bedrock")
    assert done(run, "jobs", "show", job["name"])["arn"] == job["arn"]
    assert "arn:aws:bedrock" in run("models", "show", model["name"]).stdout

    deployed = done(run, "deploy", model["name"], "--name", "live")
    assert (deployed["status"], deployed["backend"]) == ("Active", "bedrock")
    assert done(run, "deploy", model["name"], "--name", "live")["id"] == deployed["id"]
    assert "bedrock" in run("deployments", "list").stdout
    assert done(run, "ask", "How many regions?")["deployment"] == "live"
    assert done(run, "deployments", "show", "live")["usage"]["requests"] == 1

    report = done(run, "evaluate", "--cold-idle", "0.001")
    assert [model["name"] for model in report["models"]] == ["base", "live"]
    assert [model["latency"]["cold_first_token"]["n"] for model in report["models"]] == [3, 3]
    used = {row["deployment"]: row["requests"] for row in done(run, "usage", "show")}
    # Three questions, three cold calls, one uncounted, ten warm; none is asked twice where beams can't be searched.
    assert used == {"base": 17, "live": 18}
    refused = run("models", "rm", model["name"])
    assert (refused.exit_code, "deployed as live" in refused.stderr) == (1, True)

    plan = done(run, "destroy", "--plan")
    kinds = [step["kind"] for step in plan if step["backend"] == "bedrock"]
    assert kinds[:3] == ["deployment", "job", "model"]
    assert set(kinds[3:]) == {"object"}
    assert BUCKET not in [step["name"] for step in plan], "it was there before"
    assert there(server)
    destroyed = run("destroy", "--yes")
    assert destroyed.exit_code == 0, destroyed.stderr
    assert there(server) == []
    assert not (cloud / ".sqlora").exists()
    assert boto(server.url, "s3").head_bucket(Bucket=BUCKET)


def test_a_bill_above_the_limit_is_refused_before_anything_is_sent(run: Run, cloud: Path, server: Live) -> None:
    file = cloud / "sqlora.toml"
    file.write_text(file.read_text() + "confirm_above = 0.0\n")
    for options in (["--no-input"], ["--json"], []):  # the last: there is no terminal
        result = run("train", *options)
        assert result.exit_code == 1
        assert "error: nothing was spent: $" in result.stderr
        assert "--yes" in result.stderr
    assert rows(cloud) == []
    assert there(server) == []
    assert run("train", "--no-input", "--yes").exit_code == 0


def test_what_the_service_cannot_train_is_refused_before_the_bill(run: Run, cloud: Path) -> None:
    result = run("train", "--base-model", "smollm2-135m")
    assert result.exit_code == 1
    assert "base model 'smollm2-135m'; it trains amazon.nova-micro" in result.stderr
    assert "bill" not in result.stderr


def test_a_job_goes_on_without_its_command(run: Run, cloud: Path, server: Live) -> None:
    begun = done(run, "train", "--detach", "--name", "north-waits")
    assert begun["status"] == "InProgress"
    same = run("train", "--detach", "--name", "north-waits")
    assert f"job {begun['job']} is being trained already" in same.stderr
    [served] = server.backend.state.jobs.list()
    server.at_work(served.id)
    server.let_go(served.id)
    watched = done(run, "jobs", "watch", begun["job"])
    assert (watched["status"], watched["model_name"]) == ("Completed", "north-waits")


def test_a_stopped_job_cannot_be_taken_up_again(run: Run, cloud: Path, server: Live) -> None:
    begun = done(run, "train", "--detach", "--name", "north-waits")
    stopped = run("jobs", "stop", begun["job"])
    assert stopped.exit_code == 0, stopped.stderr
    assert stopped.stderr.splitlines()[-1] == f"next: sqlora jobs show {begun['job']}"
    watched = run("jobs", "watch", begun["job"])
    assert watched.exit_code == 1
    assert "next: sqlora train trains anew" in watched.stderr
    anew = done(run, "train", "--detach", "--name", "north-waits")
    assert anew["job"] != begun["job"]


def test_a_cloud_out_of_reach_hides_no_job(run: Run, cloud: Path, server: Live) -> None:
    done(run, "train", "--detach", "--name", "north-waits")
    os.environ["SQLORA_AWS__ENDPOINT_URL"] = "http://127.0.0.1:9"
    try:
        result = run("jobs", "list", "--json")
    finally:
        del os.environ["SQLORA_AWS__ENDPOINT_URL"]
    assert result.exit_code == 0
    assert "as it was last seen" in result.stderr
    assert json.loads(result.stdout)[0]["status"] == "InProgress"


def test_destroy_stops_what_runs(run: Run, cloud: Path, server: Live) -> None:
    done(run, "train", "--detach", "--name", "north-waits")
    plan = done(run, "destroy", "--plan")
    assert (plan[0]["action"], plan[0]["backend"]) == ("stop", "bedrock")
    assert run("destroy", "--yes").exit_code == 0
    assert there(server) == []
    [job] = server.backend.state.jobs.list()
    assert job.status == "Stopped"


def test_killed_in_the_middle_the_same_commands_go_on(run: Run, cloud: Path, server: Live) -> None:
    """kill -9 before one request of the training, and before one of each destruction, ever later ones."""
    assert killed("train", "--name", "north", at=3)
    assert done(run, "train", "--name", "north")["status"] == "Completed"
    assert len(boto(server.url, "bedrock").list_custom_models()["modelSummaries"]) == 1
    assert len(done(run, "jobs", "list")) == 1
    done(run, "deploy", "north", "--name", "live")
    at = 2
    while killed("destroy", "--yes", at=at):
        assert (cloud / ".sqlora" / "state.db").is_file(), "the ledger outlives what it names"
        at += 4  # what is begun again asks again, so it needs more requests to get further
    assert at > 2
    assert there(server) == []
    assert not (cloud / ".sqlora").exists()


def killed(*arguments: str, at: int) -> bool:
    """Run the command in a process of its own; whether it was killed before its request ``at``."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from sqlora.backends import everywhere; from sqlora.cli.app import app\n"
        f"everywhere.BACKENDS['bedrock'] = {QUICK!r}\n"
        f"app({list(arguments)!r}, prog_name='sqlora')"
    )
    environment = os.environ | {KILLED_AT: str(at)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode != 0
