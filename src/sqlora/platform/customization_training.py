"""The training of a customization job: a detached worker, followed as long as this process lives.

The worker outlives a server that is killed, and the next one follows it. A server that ends in an orderly way takes it
along (`Training.run` raises `Closing`): checkpoint, row Stopped, and ``paused`` noted in the record.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlora.errors import BusyError, TrainingError
from sqlora.platform import worker
from sqlora.platform.customization_record import Customization, CustomizationRecords
from sqlora.platform.jobs import Job
from sqlora.platform.names import now
from sqlora.platform.state import State
from sqlora.project import StateFolder

MOST_RESUMES = 3  # of a worker that is killed under a running server; a fourth time it is the job that kills it
POLL_SECONDS = 0.25
GRACE_SECONDS = 30.0  # for a worker's step and checkpoint when the server ends


class Closing(Exception):
    """Not an error: the server ends, and the next one goes on."""


def request_stop(state: State, records: CustomizationRecords, found: Customization, *, timed_out: bool = False) -> None:
    """Stop a job that has not ended, for good; one that has no worker is settled at once."""
    with state.transaction():
        records.note(found.id, stop_requested=now(), timed_out=timed_out)
        if found.paused or (not found.job.ended and worker.stop(state, found.id).ended):
            records.settle(found.id, "Stopped")  # there is no worker that must write a checkpoint first


class Training:
    """Runs workers, one job at a time; ``closing`` is set when the server ends."""

    def __init__(
        self,
        state: State,
        paths: StateFolder,
        records: CustomizationRecords,
        closing: threading.Event,
        worker_command: Sequence[str] | None,
    ) -> None:
        self._state, self._paths, self._records = state, paths, records
        self._closing, self._worker_command = closing, worker_command

    def run(self, id: str) -> Job:
        """The job, once it has ended. A worker killed meanwhile is started again, from its checkpoint.

        TrainingError when that does not help; `Closing` when the server ends.
        """
        starts, followed = 0, False
        while self._goes_on(id):
            if self._closing.is_set():
                raise Closing
            if not worker.alive(self._state.jobs.get(id)):
                starts += 1 if followed else 0
                if starts > MOST_RESUMES:
                    log = self._paths.job(id) / worker.LOG_NAME
                    raise TrainingError(f"the worker was killed {starts} times", f"cat {log}")
                self._start(id)
            followed = True
            self._follow(id)
        return self._state.jobs.get(id)

    def _goes_on(self, id: str) -> bool:
        """Whether there is training to do; one that was paused with the server is InProgress again."""
        with self._state.transaction():
            found = self._records.get(id)
            if found.paused:
                self._state.jobs.restart(id)
                self._records.note(id, paused=False)
                return True
            return not found.job.ended

    def _start(self, id: str) -> None:
        """Start the worker. One that ends because the job was stopped at this moment is no failure."""
        self._records.note(id, paused=False)
        until = time.monotonic() + GRACE_SECONDS
        while True:
            try:
                worker.start_worker(self._paths.path, id, detach=True, command=self._worker_command)
                return
            except BusyError:  # the worker before it still ends
                if self._state.jobs.get(id).ended:
                    return
                if time.monotonic() > until:
                    raise
                if self._closing.wait(POLL_SECONDS):
                    raise Closing from None
            except TrainingError:
                if self._state.jobs.get(id).ended:
                    return
                raise

    def _follow(self, id: str) -> None:
        """Until the job has ended or its worker has gone."""
        while True:
            found = self._records.get(id)
            if found.job.ended or not worker.alive(found.job):
                return
            if _overdue(found) and not found.stop_requested:
                request_stop(self._state, self._records, found, timed_out=True)
            if self._closing.wait(POLL_SECONDS):
                self._pause(id)
                raise Closing

    def _pause(self, id: str) -> None:
        """Stop the worker with its checkpoint, and note that it is not the customer who wanted that."""
        with self._state.transaction():
            found = self._records.get(id)
            if not found.job.ended and not found.stop_requested:
                self._records.note(id, paused=True)
        if found.job.pid is not None and worker.alive(found.job):
            try:
                os.kill(found.job.pid, signal.SIGTERM)
            except ProcessLookupError:
                return
        until = time.monotonic() + GRACE_SECONDS
        while worker.alive(self._state.jobs.get(id)) and time.monotonic() < until:
            time.sleep(0.02)


def _overdue(found: Customization) -> bool:
    limit, began = found.max_runtime_seconds, found.steps["training"].created_at
    if limit is None or began is None:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds() > limit
