"""The whole way with the tiny model: prepare, train, deploy, ask, evaluate; and Ctrl-C in the middle of training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqlora.platform.state import State
from tests.unit.cli.conftest import Run


def test_prepare_train_deploy_ask_evaluate(run: Run, project: Path) -> None:
    prepared = run("prepare", "--json")
    assert prepared.exit_code == 0, prepared.stderr
    assert json.loads(prepared.stdout)["splits"]["test"] == 3

    trained = run("train")
    assert trained.exit_code == 0, trained.stderr
    assert trained.stderr.splitlines()[-1] == "next: sqlora deploy shop"
    assert "parameters train" in trained.stderr  # device, number format and trainable share
    again = run("train", "--json")
    assert "was trained from this data with this recipe already" in again.stderr
    assert json.loads(again.stdout)["status"] == "Completed"
    assert len(json.loads(run("jobs", "list", "--json").stdout)) == 1

    deployed = run("deploy", "shop", "--name", "live")
    assert deployed.exit_code == 0, deployed.stderr
    assert run("deploy", "shop", "--name", "live").exit_code == 0  # the same again is the same

    asked = run("ask", "How many stores are in Leeds?", "--json")
    assert asked.exit_code == 0, asked.stderr
    assert json.loads(asked.stdout)["deployment"] == "live"

    evaluated = run("evaluate", "--no-latency", "--json")
    assert evaluated.exit_code == 0, evaluated.stderr
    report = json.loads(evaluated.stdout)
    assert [model["name"] for model in report["models"]] == ["base", "live"]
    assert (Path(report["folder"]) / "report.html").is_file()
    shown = run("evaluate", "--no-latency")
    assert "95 % interval" in shown.stdout
    assert "live against base" in shown.stdout

    used = {row["deployment"]: row["requests"] for row in json.loads(run("usage", "show", "--json").stdout)}
    # One question asked and three evaluated; none of the tiny model's answers is valid, so each is revised once.
    assert used == {"base": 3, "live": 8}
    assert run("doctor").exit_code == 0


def test_training_without_data_says_to_prepare(run: Run, project: Path) -> None:
    result = run("train")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "next: sqlora prepare"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "bedrock"], "recipe 'demo': learning_rate = 0.003; it takes 1e-06 to 0.0001"),
        (["--recipe", "fast"], "unknown recipe 'fast'"),
        (["--base-model", "smollm3"], "no base model 'smollm3'"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_starts(
    run: Run, project: Path, arguments: list[str], words: str
) -> None:
    run("prepare")
    result = run("train", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert json.loads(run("jobs", "list", "--json").stdout) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a group of processes")
def test_ctrl_c_keeps_a_checkpoint_and_the_same_command_goes_on(run: Run, project: Path) -> None:
    assert run("prepare").exit_code == 0
    environment = os.environ | {"SQLORA_TRAIN__EPOCHS": "1000", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sqlora", "train"]

    def interrupt_after_a_step() -> tuple[int, str]:
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )  # fmt: skip
        before = steps()
        deadline = time.monotonic() + 120
        while steps() <= before and started.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does: the command and its worker
        _, errors = started.communicate(timeout=120)
        return started.returncode, errors

    def steps() -> int:
        path = project / ".sqlora" / "state.db"
        if not path.exists():
            return 0
        with State(path) as state:
            return max((job.progress.get("step") or 0 for job in state.jobs.list()), default=0)

    code, errors = interrupt_after_a_step()
    assert code == 130, errors
    assert "next: sqlora train    (goes on from here)" in errors
    job = json.loads(run("jobs", "list", "--json").stdout)[0]
    assert job["status"] == "Stopped"
    reached = steps()
    assert reached > 0

    code, errors = interrupt_after_a_step()
    assert code == 130, errors
    assert f"job {job['id']} goes on from its last checkpoint" in errors
    assert steps() > reached
    assert len(json.loads(run("jobs", "list", "--json").stdout)) == 1
    deadline = time.monotonic() + 60  # a worker says Stopped, then ends
    while (left := [line for line in _workers() if str(project) in line]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def _workers() -> list[str]:
    import psutil

    lines = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "sqlora.platform.worker" in words:
            lines.append(" ".join(words))
    return lines
