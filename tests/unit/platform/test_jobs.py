"""Which status may follow which, and what comes with it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from sqlora.errors import BusyError, ConfigError, ConflictError, NotFoundError
from sqlora.platform import worker
from sqlora.platform.jobs import Job
from sqlora.platform.state import State


def make(state: State, name: str = "job-1", model: str = "retail") -> Job:
    return state.jobs.create(
        name, model_name=model, base_model="tiny", dataset_id="d" * 12, recipe="demo", fingerprint="f"
    )


def complete(state: State, id: str) -> None:
    state.jobs.complete(id, folder=f"models/{id}", train_loss=0.5, validation_loss=0.25)


def test_a_new_job(state: State) -> None:
    job = make(state)
    assert (job.status, job.ended, job.progress, job.pid, job.model_id) == ("InProgress", False, {}, None, None)
    assert state.jobs.get(job.id) == state.jobs.get("job-1") == job
    assert state.jobs.list() == [job]


def test_completion_registers_the_model_with_it(state: State) -> None:
    job = make(state)
    complete(state, job.id)
    done = state.jobs.get(job.id)
    model = state.models.get("retail")
    assert (done.status, done.ended, done.model_id) == ("Completed", True, job.reserved_model_id)
    assert (model.id, model.job_id, model.train_loss, model.validation_loss) == (done.model_id, job.id, 0.5, 0.25)


@pytest.mark.parametrize(("kind", "origin"), [("bedrock", "trained"), ("sagemaker", "escrow")])
def test_what_came_over_the_wire_goes_with_its_job_and_says_where_the_model_is(
    state: State, kind: str, origin: str
) -> None:
    job = make(state)
    state.execute(
        """INSERT INTO customizations (job_id, kind, region, request, created_at, updated_at)
           VALUES (?, ?, 'us-east-1', '{}', ?, ?)""",
        (job.id, kind, job.created_at, job.created_at),
    )
    complete(state, job.id)
    assert state.models.get("retail").origin == origin
    assert state.rows("SELECT phase, details, error FROM customizations") == [
        {"phase": "validation", "details": "{}", "error": None}
    ]
    state.jobs.delete(job.id)
    assert state.rows("SELECT * FROM customizations") == []


def test_neither_is_done_when_the_model_cannot_be_registered(state: State) -> None:
    job = make(state)
    state.models.create("retail", base_model="tiny")
    with pytest.raises(ConflictError, match="custom model named 'retail' exists"):
        complete(state, job.id)
    assert state.jobs.get(job.id).status == "InProgress"
    assert [model.job_id for model in state.models.list()] == [None]


def test_neither_is_done_when_the_job_has_ended(state: State) -> None:
    job = make(state)
    state.jobs.fail(job.id, "no luck")
    with pytest.raises(ConflictError, match="is Failed and cannot become Completed"):
        complete(state, job.id)
    assert state.models.list() == []


def test_stop_then_resume_then_complete(state: State) -> None:
    job = make(state)
    state.jobs.claim(job.id, 42, 1.5)
    assert state.jobs.request_stop(job.id).status == "Stopping"
    assert state.jobs.request_stop(job.id).status == "Stopping"
    stopped = state.jobs.stopped(job.id)
    assert (stopped.status, stopped.ended) == ("Stopped", True)
    again = state.jobs.restart(job.id)
    assert (again.status, again.ended_at, again.pid) == ("InProgress", None, None)
    complete(state, job.id)
    with pytest.raises(ConflictError, match="is Completed and cannot become InProgress"):
        state.jobs.restart(job.id)


def test_restarting_a_running_job_leaves_its_worker_alone(state: State) -> None:
    job = make(state)
    claimed = state.jobs.claim(job.id, 42, 1.5)
    assert state.jobs.restart(job.id) == claimed


def test_a_failed_job_keeps_its_message_until_it_is_restarted(state: State) -> None:
    job = make(state)
    assert state.jobs.fail(job.id, "disk full").failure_message == "disk full"
    assert state.jobs.restart(job.id).failure_message is None


def test_names_are_taken_once(state: State) -> None:
    first = make(state)
    with pytest.raises(ConflictError, match="a job named 'job-1' exists"):
        make(state, model="other")
    with pytest.raises(ConflictError, match="is to make the custom model 'retail' and has not ended"):
        make(state, "job-2")
    state.jobs.fail(first.id, "no luck")
    second = make(state, "job-2")
    with pytest.raises(ConflictError, match="is to make the custom model 'retail'"):
        state.jobs.restart(first.id)
    complete(state, second.id)
    with pytest.raises(ConflictError, match="custom model named 'retail' exists"):
        make(state, "job-3")


def test_only_an_ended_job_can_be_forgotten_and_its_model_stays(state: State) -> None:
    job = make(state)
    with pytest.raises(ConflictError, match="is InProgress"):
        state.jobs.delete(job.id)
    complete(state, job.id)
    state.jobs.delete(job.id)
    assert state.models.get("retail").job_id is None
    with pytest.raises(NotFoundError, match="no job"):
        state.jobs.get(job.id)


def test_an_ended_job_takes_no_worker(state: State) -> None:
    job = make(state)
    state.jobs.fail(job.id, "no luck")
    with pytest.raises(ConflictError, match="is Failed"):
        state.jobs.claim(job.id, 42, 1.5)


def test_list_filters(state: State) -> None:
    first, second = make(state), make(state, "other", "m2")
    state.jobs.fail(first.id, "x")
    assert [job.id for job in state.jobs.list()] == [second.id, first.id]
    assert [job.id for job in state.jobs.list(status="Failed")] == [first.id]
    assert [job.id for job in state.jobs.list(name_contains="oth")] == [second.id]
    assert state.jobs.list(fingerprint="g") == []


def test_names_that_bedrock_refuses(state: State) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a model"):
        make(state, model="two words")


@pytest.mark.parametrize("status", ["Stopped", "Completed", "Failed"])
def test_the_database_itself_holds_the_rules(state: State, status: str) -> None:
    job = make(state)
    with pytest.raises(sqlite3.IntegrityError):
        state.execute("UPDATE jobs SET status = ? WHERE id = ?", (status, job.id))


class JobMachine(RuleBasedStateMachine):
    """Any order of commands: the model here and the database agree on what is allowed and on what follows."""

    ALLOWED: ClassVar = {
        "Completed": {"InProgress", "Stopping"},
        "Failed": {"InProgress", "Stopping"},
        "Stopping": {"InProgress", "Stopping"},
        "Stopped": {"Stopping"},
        "InProgress": {"InProgress", "Stopping", "Stopped", "Failed"},
    }
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.state = State(Path(self.folder.name) / "state.db")
        # fsync of every step would be most of the test's time
        self.state.execute("PRAGMA synchronous = OFF")
        self.expected: dict[str, str] = {}
        self.created = 0

    def teardown(self) -> None:
        self.state.close()
        self.folder.cleanup()

    @rule(target=jobs)
    def create(self) -> str:
        self.created += 1
        job = make(self.state, f"job-{self.created}", f"model-{self.created}")
        self.expected[job.id] = job.status
        return job.id

    def attempt(self, job: str, status: str, command: Callable[[], object]) -> None:
        before = self.state.jobs.get(job)
        if self.expected[job] in self.ALLOWED[status]:
            command()
            self.expected[job] = status
        else:
            with pytest.raises(ConflictError):
                command()
            assert self.state.jobs.get(job) == before

    @rule(job=jobs)
    def stop(self, job: str) -> None:
        self.attempt(job, "Stopping", lambda: self.state.jobs.request_stop(job))

    @rule(job=jobs)
    def stopped(self, job: str) -> None:
        self.attempt(job, "Stopped", lambda: self.state.jobs.stopped(job))

    @rule(job=jobs)
    def fail(self, job: str) -> None:
        self.attempt(job, "Failed", lambda: self.state.jobs.fail(job, "no luck"))

    @rule(job=jobs)
    def complete(self, job: str) -> None:
        self.attempt(job, "Completed", lambda: complete(self.state, job))

    @rule(job=jobs)
    def restart(self, job: str) -> None:
        self.attempt(job, "InProgress", lambda: self.state.jobs.restart(job))

    @rule(target=jobs, job=consumes(jobs))
    def delete(self, job: str) -> object:
        if self.expected[job] in ("InProgress", "Stopping"):
            with pytest.raises(ConflictError):
                self.state.jobs.delete(job)
            return job
        self.state.jobs.delete(job)
        del self.expected[job]
        return multiple()

    @invariant()
    def rows_are_as_expected(self) -> None:
        jobs = {job.id: job for job in self.state.jobs.list()}
        assert {id: job.status for id, job in jobs.items()} == self.expected
        for job in jobs.values():
            assert job.ended == (job.status in ("Completed", "Failed", "Stopped"))
            assert (job.failure_message is not None) == (job.status == "Failed")
            assert (job.model_id is not None) == (job.status == "Completed")
        models = {model.job_id for model in self.state.models.list()} - {None}
        assert models == {job.id for job in jobs.values() if job.status == "Completed"}


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_a_job_of_the_server_is_never_interrupted(state: State) -> None:
    job = make(state)
    assert worker.interrupted(job)
    state.execute(
        """INSERT INTO customizations (job_id, kind, region, request, created_at, updated_at)
           VALUES (?, 'bedrock', 'us-east-1', '{}', '', '')""",
        (job.id,),
    )
    assert not worker.interrupted(state.jobs.get(job.id))
    with pytest.raises(BusyError, match="the server's"):
        worker.resume(state, job.id)
    state.execute("UPDATE customizations SET phase = 'done'")
    assert worker.interrupted(state.jobs.list()[0])
