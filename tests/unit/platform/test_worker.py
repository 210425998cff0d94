"""Worker processes: killed, stopped, orphaned, doubled; the training in them is a fake one, the processes are real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sqlora.errors import BusyError, ConflictError, InterruptedRunError, NotFoundError, TrainingError
from sqlora.platform import run, worker
from sqlora.platform.jobs import Job
from sqlora.platform.metrics import read_metrics
from sqlora.platform.run import register, run_job
from sqlora.platform.spec import JobSpec
from sqlora.platform.state import State
from sqlora.project import StateFolder
from tests.unit.platform.fake_training import COMMAND, FakeResult, fake_train


def make(state: State, name: str = "job-1", model: str = "retail", **recipe: Any) -> Job:
    spec = JobSpec("tiny", "d" * 12, {"steps": 3, **recipe}, manifest={"model_name": model})
    with state.transaction():
        job = state.jobs.create(name, model_name=model, base_model="tiny", dataset_id=spec.dataset_id, recipe="demo")
        spec.save(StateFolder(state.path.parent).job(job.id))
    return job


def start(state: State, job: Job, detach: bool = False) -> worker.Worker:
    return worker.start_worker(state.path.parent, job.id, detach, COMMAND)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def step(state: State, job: Job) -> int:
    return int(state.jobs.get(job.id).progress.get("step", 0))


def steps_done(state: State, job: Job) -> list[int]:
    """The steps in the order they were computed, by any worker."""
    log = StateFolder(state.path.parent).job(job.id) / "steps.txt"
    return [int(line.split()[1]) for line in log.read_text().splitlines()]


def test_a_job_runs_to_its_model(state: State) -> None:
    job = make(state)
    seen: list[str] = []
    with start(state, job) as started:
        ended = worker.follow(state, job.id, lambda job: seen.append(job.status))
        assert started.wait(30) == 0
    assert (ended.status, ended.progress["step"], ended.pid) == ("Completed", 3, started.pid)
    assert (seen[0], seen[-1]) == ("InProgress", "Completed")
    model = state.models.get("retail")
    folder = state.path.parent / model.folder
    assert sorted(file.name for file in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    ]
    assert (model.train_loss, model.validation_loss) == (0.5, None)
    assert [line["step"] for line in read_metrics(StateFolder(state.path.parent).job(job.id))] == [0, 1, 2, 3]


def test_a_killed_worker_is_seen_and_the_job_goes_on_from_its_checkpoint(state: State) -> None:
    job = make(state, steps=8, seconds=0.1)
    with start(state, job) as first:
        until(lambda: len(steps_done(state, job)) > 3 if step(state, job) else False)
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(InterruptedRunError, match="'job-1' was killed; its checkpoint is kept"):
            worker.follow(state, job.id, lambda job: None)
    assert worker.interrupted(state.jobs.get(job.id))
    assert state.models.list() == []
    with worker.resume(state, job.id, command=COMMAND):
        assert worker.follow(state, job.id, lambda job: None).status == "Completed"
    done = steps_done(state, job)
    assert sorted(set(done)) == list(range(1, 9))
    assert len(done) <= 9, "at most the step that the kill cut off is computed twice"


def test_a_stop_request_ends_in_a_checkpoint_and_resume_goes_on(state: State) -> None:
    job = make(state, steps=40, seconds=0.05)
    with start(state, job):
        until(lambda: step(state, job) > 0)
        assert worker.stop(state, job.id).status == "Stopping"
        ended = worker.follow(state, job.id, lambda job: None)
    assert ended.status == "Stopped"
    assert 0 < len(steps_done(state, job)) < 40
    assert state.models.list() == []
    with worker.resume(state, job.id, command=COMMAND):
        worker.follow(state, job.id, lambda job: None)
    assert steps_done(state, job) == list(range(1, 41))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_stop_request(state: State, number: signal.Signals) -> None:
    job = make(state, steps=1000, seconds=0.02)
    with start(state, job) as started:
        os.kill(started.pid, number)
        assert worker.follow(state, job.id, lambda job: None).status == "Stopped"
        assert started.wait(30) == 0


COMMAND_THAT_WAITS = """
import sys, time
from pathlib import Path
from sqlora.platform.worker import start_worker
started = start_worker(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "detach", sys.argv[4:])
print(started.pid, flush=True)
time.sleep(60)
"""


def command_that_waits(state: State, job: Job, mode: str) -> subprocess.Popen[str]:
    arguments = [str(state.path.parent), job.id, mode, *COMMAND]
    return subprocess.Popen([sys.executable, "-c", COMMAND_THAT_WAITS, *arguments], stdout=subprocess.PIPE, text=True)


def test_an_attached_worker_stops_when_its_command_is_killed(state: State) -> None:
    job = make(state, steps=1000, seconds=0.02)
    with command_that_waits(state, job, "attach") as command:
        assert command.stdout is not None
        pid = int(command.stdout.readline())
        command.kill()
    until(lambda: state.jobs.get(job.id).status == "Stopped")
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_detached_worker_survives_its_command(state: State) -> None:
    job = make(state, steps=30, seconds=0.02)
    with command_that_waits(state, job, "detach") as command:
        assert command.stdout is not None
        pid = int(command.stdout.readline())
        assert os.getsid(pid) == pid
        command.kill()
    assert worker.follow(state, job.id, lambda job: None).status == "Completed"
    assert len(steps_done(state, job)) == 30


def test_closing_stops_an_attached_worker(state: State) -> None:
    job = make(state, steps=1000, seconds=0.02)
    start(state, job).close()
    assert worker.follow(state, job.id, lambda job: None).status == "Stopped"


def test_two_workers_never_train_one_job(state: State) -> None:
    job = make(state, steps=1000, seconds=0.02)
    with start(state, job) as first:
        with pytest.raises(BusyError, match="another worker has job"):
            start(state, job)
        with pytest.raises(BusyError, match=f"is being trained by process {first.pid}"):
            worker.resume(state, job.id, command=COMMAND)
        assert state.jobs.get(job.id).pid == first.pid
        worker.stop(state, job.id)
        worker.follow(state, job.id, lambda job: None)


def test_a_user_error_is_the_failure_message_and_the_traceback_is_in_the_log(state: State) -> None:
    job = make(state, steps=5, fail=2)
    with start(state, job) as started:
        ended = worker.follow(state, job.id, lambda job: None)
        assert started.wait(30) == 1
    assert ended.status == "Failed"
    assert ended.failure_message == "loss is not finite at step 2\n  next: a lower learning_rate"
    assert "Traceback" in (StateFolder(state.path.parent).job(job.id) / "worker.log").read_text()


def test_an_unforeseen_error_names_itself_and_the_log(state: State) -> None:
    job = make(state, crash=2)
    with start(state, job):
        ended = worker.follow(state, job.id, lambda job: None)
    assert ended.failure_message is not None
    assert ended.failure_message.startswith("training failed: ZeroDivisionError: by design\n  next: cat ")


def test_a_worker_that_cannot_begin(state: State) -> None:
    job = make(state)
    with pytest.raises(TrainingError, match="ended at once: no python today"):
        worker.start_worker(state.path.parent, job.id, command=(sys.executable, "-c", "exit('no python today')"))
    assert worker.interrupted(state.jobs.get(job.id))


def test_a_job_without_its_folder_fails_with_a_message(state: State) -> None:
    job = make(state)
    (StateFolder(state.path.parent).job(job.id) / "spec.json").unlink()
    with start(state, job):
        assert "no job spec in" in (worker.follow(state, job.id, lambda job: None).failure_message or "")


def test_stopping_a_job_whose_worker_is_dead_stops_it_at_once(state: State) -> None:
    job = make(state)
    assert worker.stop(state, job.id).status == "Stopped"
    with pytest.raises(ConflictError, match="is Stopped and cannot become Stopping"):
        worker.stop(state, job.id)


def test_a_completed_job_is_not_resumed(state: State) -> None:
    job = make(state)
    state.jobs.complete(job.id, folder="models/x", train_loss=None, validation_loss=None)
    with pytest.raises(ConflictError, match="Completed"):
        worker.resume(state, job.id, command=COMMAND)


def test_an_other_process_with_the_same_pid_is_not_the_worker(state: State) -> None:
    job = make(state)
    own = psutil.Process().create_time()
    assert worker.alive(state.jobs.claim(job.id, os.getpid(), own))
    assert not worker.alive(state.jobs.claim(job.id, os.getpid(), own - 3600))
    assert not worker.alive(state.jobs.claim(job.id, 2**22 + 12345, own))


class Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


def result(state: State, job: Job) -> FakeResult:
    folder = StateFolder(state.path.parent).job(job.id)
    return fake_train(JobSpec.load(folder), folder, folder, lambda progress: None, lambda: False)


def test_killed_after_the_adapter_moved_the_job_is_as_before_and_the_next_run_replaces_it(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, paths = make(state), StateFolder(state.path.parent)

    def killed(*arguments: object, **keywords: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(state.jobs, "complete", killed)
        with pytest.raises(Killed):
            register(state, paths, job, result(state, job))
    assert paths.model(job.reserved_model_id).exists()
    assert (state.jobs.get(job.id).status, state.models.list()) == ("InProgress", [])
    register(state, paths, job, result(state, job))
    assert state.jobs.get(job.id).status == "Completed"
    assert [folder.name for folder in (paths.path / "models").iterdir()] == [job.reserved_model_id]


KILLED_AT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.platform.fake_training import fake_train
from sqlora.platform.run import run_job
calls = 0
def audit(event, arguments):
    # every rename, unlink, open and sqlite connection is a place to be killed at
    global calls
    if event in ("os.rename", "os.remove", "open", "os.mkdir", "os.truncate", "sqlite3.connect", "os.rmdir"):
        calls += 1
        if calls == int(sys.argv[4]):
            os.kill(os.getpid(), 9)
from sqlora.platform.state import State
import traceback, json, sqlite3, filelock
sys.addaudithook(audit)
sys.exit(run_job(Path(sys.argv[2]), sys.argv[3], train=fake_train))
"""


def test_killed_at_any_file_operation_the_state_is_the_old_or_the_new_one(state: State) -> None:
    root = str(Path(__file__).parents[3])
    outcomes = set()
    for number in range(1, 200, 7):
        job = make(state, f"job-{number}", f"model-{number}")
        arguments = [root, str(state.path.parent), job.id, str(number)]
        code = subprocess.run([sys.executable, "-c", KILLED_AT, *arguments], stderr=subprocess.DEVNULL).returncode
        after = state.jobs.get(job.id)
        models = [model for model in state.models.list() if model.job_id == job.id]
        outcomes.add((code, after.status))
        if after.status == "Completed":
            assert [model.id for model in models] == [after.model_id]
            assert (state.path.parent / models[0].folder / "adapter_model.safetensors").read_bytes() == b"weights"
        else:
            assert (after.status, models) == ("InProgress", [])
            assert run_in_process(state, job) == 0
            assert state.jobs.get(job.id).status == "Completed"
        if code == 0:
            break
    assert (0, "Completed") in outcomes, "some run was never killed"
    assert (-9, "InProgress") in outcomes


def run_in_process(state: State, job: Job) -> int:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return run_job(state.path.parent, job.id, train=fake_train)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_a_job_that_is_not_there(state: State) -> None:
    with pytest.raises(NotFoundError):
        worker.resume(state, "nowhere", command=COMMAND)


def test_progress_reaches_the_state_once_a_second_and_at_the_end(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(state, steps=200)
    reports: list[int] = []
    report = type(state.jobs).report
    monkeypatch.setattr(
        type(state.jobs), "report", lambda self, id, p: (reports.append(p["step"]), report(self, id, p))[1]
    )
    monkeypatch.setattr(run, "REPORT_SECONDS", 1e9)
    assert run_in_process(state, job) == 0
    assert reports == [0, 1, 200]
    assert state.jobs.get(job.id).progress["step"] == 200


def test_a_fingerprint_is_of_what_changes_the_adapter() -> None:
    spec = JobSpec("tiny", "d1", {"name": "demo", "rank": 8}, 0, {"job_id": "a"})
    assert spec.fingerprint() == JobSpec("tiny", "d1", {"name": "mine", "rank": 8}, 0).fingerprint()
    assert spec.fingerprint() != JobSpec("tiny", "d1", {"name": "demo", "rank": 9}, 0).fingerprint()
    assert spec.fingerprint() != JobSpec("tiny", "d1", {"name": "demo", "rank": 8}, 1).fingerprint()
