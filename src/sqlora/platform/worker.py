"""The one place that spawns processes for jobs: a training runs in a worker of its own.

    start_worker ──spawns──> python -m sqlora.platform.worker STATE_FOLDER JOB_ID [--attached]
                               takes jobs/<id>/worker.lock for as long as it lives: two workers never train one job
                               claims the job (pid and start time into the state), then imports torch and trains
                               progress → state (at most once a second) and metrics.jsonl (every one)
                               Stopping in the state, a signal, or the end of its command → checkpoint → Stopped
                               adapter → models/<id>, then job Completed and model registered in one transaction

With ``processes`` in [train] above 1, torchrun stands between the two and starts so many workers. The first of them
(rank 0) does all of the above, the others help it compute and tell nobody (`sqlora.train.parallel`).

A worker that is killed leaves an InProgress job without a living process; `interrupted` sees that, and starting a
worker again goes on from the checkpoint. Attached workers read a pipe whose other end only the starting process
holds: when that process ends, however it ends, the pipe does too. Detached ones live in a session of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from filelock import FileLock, Timeout

from sqlora.errors import BusyError, InterruptedRunError, TrainingError
from sqlora.platform.jobs import Job
from sqlora.platform.state import State
from sqlora.project import StateFolder

LOCK_NAME = "worker.lock"
LOG_NAME = "worker.log"
START_SECONDS = 60.0  # a cold disk and a busy processor; usually 0.3
GRACE_SECONDS = 60.0  # for the step, the validation and the checkpoint after a command has gone
STARTED_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"  # as in sqlora.train.parallel, which imports torch
EXIT_BUSY = 75  # EX_TEMPFAIL of sysexits.h


def worker_command(processes: int) -> tuple[str, ...]:
    """The command line of a worker, or of torchrun with so many."""
    if processes == 1:
        return (sys.executable, "-m", "sqlora.platform.worker")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return (sys.executable, *torchrun, "-m", "sqlora.platform.worker")


def alive(job: Job) -> bool:
    """Whether the worker that claimed the job still runs: same pid and same start, and not a zombie."""
    if job.pid is None or job.pid_started is None:
        return False
    try:
        process = psutil.Process(job.pid)
        # Start times are derived from ticks since boot: the same process may differ by a rounding, never by seconds.
        same = abs(process.create_time() - job.pid_started) < 2.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def interrupted(job: Job) -> bool:
    """Whether the job has not ended, yet nobody works on it: its worker was killed or never began.

    Of a job that the server works on, only the server can tell, and of one elsewhere its backend.
    """
    return job.backend == "local" and not job.ended and not job.served and not alive(job)


class Worker:
    """A worker that this process has started. An attached one stops when this is closed, or when this process ends."""

    def __init__(self, state_folder: Path, job_id: str, process: subprocess.Popen[bytes], detached: bool) -> None:
        self.state_folder, self.job_id, self.pid, self.detached = state_folder, job_id, process.pid, detached
        self._process = process
        # From now on Popen is only asked for the exit code; a detached worker's is nobody's to wait for.
        self._reaper = threading.Thread(target=process.wait, daemon=True, name=f"worker-{job_id}")
        self._reaper.start()

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._reaper.is_alive()

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, or None after ``timeout`` seconds."""
        self._reaper.join(timeout)
        return None if self._reaper.is_alive() else self._process.returncode

    def close(self) -> None:
        """Let go: an attached worker finishes its step, writes its checkpoint and stops."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_worker(state_folder: Path, job_id: str, detach: bool = False, command: Sequence[str] | None = None) -> Worker:
    """Start the job's worker and return once it has claimed the job.

    ``command`` is what to run instead of this module, given the same arguments. Raises BusyError when another worker
    has the job, TrainingError with the end of its log when it ends before it begins.
    """
    folder = StateFolder(state_folder).job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [str(state_folder), job_id, *([] if detach else ["--attached"])]
    with (folder / LOG_NAME).open("ab") as log:
        worker = Worker(
            state_folder,
            job_id,
            subprocess.Popen(
                [*(command or worker_command(1)), *arguments],
                stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=detach,
                env=_environment(),
            ),
            detach,
        )
    try:
        _await_claim(worker)
    except BaseException:
        worker.close()
        raise
    return worker


def _environment() -> dict[str, str]:
    """This process's, and glibc's allocator asked for 2 MB pages: a step takes and frees gigabytes (docs/LOG.md)."""
    return {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **os.environ}


def resume(state: State, job_id: str, detach: bool = False, command: Sequence[str] | None = None) -> Worker:
    """Go on with a job that was stopped, has failed, or lost its worker, from its checkpoint.

    Raises ConflictError for a completed job, BusyError for one that has a worker or is the server's.
    """
    job = state.jobs.get(job_id)
    if job.served:
        raise BusyError(f"job {job.name!r} is the server's, which goes on with it", "sqlora serve")
    if alive(job) and not job.ended:
        raise BusyError(f"job {job.name!r} is being trained by process {job.pid}", f"sqlora jobs show {job.id}")
    state.jobs.restart(job.id)
    return start_worker(state.path.parent, job.id, detach, command)


def stop(state: State, job_id: str) -> Job:
    """Ask the job to stop; one that has no worker any more is Stopped at once. ConflictError if it has ended."""
    with state.transaction():
        job = state.jobs.request_stop(job_id)
        return job if alive(job) else state.jobs.stopped(job.id)


def _await_claim(worker: Worker) -> None:
    deadline = time.monotonic() + START_SECONDS
    with State(StateFolder(worker.state_folder).database) as state:
        while not _claimed(worker, state.jobs.get(worker.job_id)):
            code = worker.wait(timeout=0.02)
            if code == EXIT_BUSY:
                raise BusyError(f"another worker has job {worker.job_id}", f"sqlora jobs show {worker.job_id}")
            if code is not None and not _claimed(worker, state.jobs.get(worker.job_id)):
                log = StateFolder(worker.state_folder).job(worker.job_id) / LOG_NAME
                last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] or ["nothing in its log"]
                raise TrainingError(f"the worker of job {worker.job_id} ended at once: {last[0]}", f"cat {log}")
            if time.monotonic() > deadline:
                raise BusyError(f"the worker of job {worker.job_id} does not start", "sqlora doctor")


def _claimed(worker: Worker, job: Job) -> bool:
    """Whether it was this worker, or one that torchrun has started in its place; that one may have ended already."""
    if job.pid is None or job.pid == worker.pid:
        return job.pid is not None
    try:
        return bool(psutil.Process(job.pid).ppid() == worker.pid)
    except psutil.Error:
        return job.ended and worker.running


def follow(state: State, job_id: str, on_progress: Callable[[Job], None], interval: float = 0.25) -> Job:
    """Call ``on_progress`` whenever the job's row changes, until it has ended; the ended job.

    Raises InterruptedRunError when its worker was killed.
    """
    for job in _changes(state, job_id, interval):
        on_progress(job)
    return state.jobs.get(job_id)


def _changes(state: State, job_id: str, interval: float) -> Iterator[Job]:
    seen: Job | None = None
    while True:
        job = state.jobs.get(job_id)
        # Read again: between the row and the look at the process, the worker may have written its end and gone.
        if interrupted(job) and interrupted(state.jobs.get(job_id)):
            raise InterruptedRunError(
                f"the worker of job {job.name!r} was killed; its checkpoint is kept", f"sqlora jobs resume {job.id}"
            )
        if job != seen:
            seen = job
            yield job
        if job.ended:
            return
        time.sleep(interval)


class StopRequest:
    """Why a running worker should stop: the state says Stopping, a signal came, or its command has gone.

    Without a state (`sqlora.platform.run.assist`), a signal alone.
    """

    def __init__(self, state: State | None, job_id: str, interval: float = 0.5) -> None:
        self._state, self._job_id, self._interval = state, job_id, interval
        self._asked, self._looked = threading.Event(), 0.0

    def __call__(self) -> bool:
        """Whether to stop; looks into the state at most every ``interval`` seconds."""
        if self._state is None or self._asked.is_set():
            return self._asked.is_set()
        if time.monotonic() - self._looked >= self._interval:
            self._looked = time.monotonic()
            if self._state.jobs.get(self._job_id).status == "Stopping":
                self._asked.set()
        return self._asked.is_set()

    def on_signals(self, detached: bool) -> None:
        """Stop at SIGINT, SIGTERM and, unless detached, SIGHUP (the terminal was closed)."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                ignored = name == "SIGHUP" and detached
                signal.signal(getattr(signal, name), signal.SIG_IGN if ignored else lambda *_: self._asked.set())

    def on_end_of(self, pipe: int) -> None:
        """Stop when the other end of ``pipe`` is closed; end at once if that takes too long."""

        def watch() -> None:
            while os.read(pipe, 1):
                pass
            self._asked.set()
            time.sleep(GRACE_SECONDS)
            os._exit(EXIT_BUSY)  # the job is left InProgress and interrupted; the checkpoint is whole

        threading.Thread(target=watch, daemon=True, name="command-watch").start()


def only_worker(folder: Path) -> FileLock:
    """The lock of the job in ``folder``, taken; released when the process ends. BusyError if another worker has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyError(f"another worker trains the job in {folder}", "wait for it, or stop it") from None
    return lock


def main(arguments: Sequence[str]) -> int:
    """``STATE_FOLDER JOB_ID [--attached]``; see `sqlora.platform.run`."""
    from sqlora.platform.run import assist, run_job

    if STARTED_BY_TORCHRUN in os.environ and os.environ["RANK"] != "0":
        return assist(Path(arguments[0]), arguments[1])
    return run_job(Path(arguments[0]), arguments[1], attached="--attached" in arguments[2:])


def own_start() -> float:
    """When this process began, Unix seconds."""
    return float(psutil.Process().create_time())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
