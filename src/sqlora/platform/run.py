"""What a worker does with its job, from the claim to the registered model."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sqlora.errors import BusyError, InterruptedRunError, SqloraError
from sqlora.platform.jobs import Job
from sqlora.platform.metrics import MetricsLog
from sqlora.platform.spec import JobSpec
from sqlora.platform.state import State
from sqlora.platform.worker import EXIT_BUSY, LOG_NAME, StopRequest, only_worker, own_start
from sqlora.project import StateFolder

REPORT_SECONDS = 1.0  # each report is a synced write; the metrics file has every step


class ProgressLike(Protocol):
    """`sqlora.train.progress.Progress`, as far as it matters here."""

    @property
    def phase(self) -> str:
        """What is being done."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""


class ResultLike(Protocol):
    """`sqlora.train.loop.TrainingResult`, as far as it matters here."""

    @property
    def adapter(self) -> Path:
        """Folder of the adapter, in the job's folder."""

    @property
    def train_loss(self) -> float:
        """Nats a token."""

    @property
    def validation_loss(self) -> float | None:
        """Nats a token."""

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before its end."""


class TrainFunction(Protocol):
    """Trains a job in its folder, or goes on from the checkpoint there. ``dataset`` is the dataset's folder."""

    def __call__(
        self,
        spec: JobSpec,
        dataset: Path,
        folder: Path,
        on_progress: Callable[[ProgressLike], None],
        should_stop: Callable[[], bool],
    ) -> ResultLike:
        """Returns when finished or stopped."""


def train_job(
    spec: JobSpec,
    dataset: Path,
    folder: Path,
    on_progress: Callable[[ProgressLike], None],
    should_stop: Callable[[], bool],
) -> ResultLike:
    """The real training, `sqlora.train.loop.train`."""
    from sqlora.train.loop import TrainingSpec, train
    from sqlora.train.recipe import Recipe

    recipe = Recipe.model_validate(spec.recipe)
    return train(
        TrainingSpec(spec.base_model, dataset, recipe, spec.seed, spec.manifest), folder, on_progress, should_stop
    )


def run_job(state_folder: Path, job_id: str, attached: bool = False, train: TrainFunction = train_job) -> int:
    """Train the job in this process and settle its end in the state; the process's exit code.

    Attached: standard input is a pipe from the command that waits for the job; its end means stop.
    """
    paths = StateFolder(state_folder.absolute())
    try:
        lock = only_worker(paths.job(job_id))
    except BusyError as error:
        print(error, file=sys.stderr)
        return EXIT_BUSY
    with lock, State(paths.database) as state:
        stop = StopRequest(state, job_id)
        stop.on_signals(detached=not attached)
        try:
            job = state.jobs.claim(job_id, os.getpid(), own_start())
        except SqloraError as error:
            print(error, file=sys.stderr)
            return 1
        if attached:
            stop.on_end_of(sys.stdin.fileno())
        return _train(state, paths, job, stop, train)


def assist(state_folder: Path, job_id: str, train: TrainFunction = train_job) -> int:
    """Compute this process's share of a job that another one of the same torchrun has claimed; the exit code.

    It reads the job's spec and dataset, and writes nothing but errors.
    """
    paths = StateFolder(state_folder.absolute())
    stop = StopRequest(None, job_id)
    stop.on_signals(detached=True)  # a terminal that is closed is the leader's to notice
    try:
        spec = JobSpec.load(paths.job(job_id))
        train(spec, paths.dataset(spec.dataset_id), paths.job(job_id), lambda progress: None, stop)
        return 0
    except SqloraError as error:
        print(f"process {os.environ['RANK']}: {error}", file=sys.stderr)
        return 1


def _train(state: State, paths: StateFolder, job: Job, stop: StopRequest, train: TrainFunction) -> int:
    folder = paths.job(job.id)
    try:
        spec = JobSpec.load(folder)
        report = Report(state, job.id, folder)
        result = train(spec, paths.dataset(spec.dataset_id), folder, report, stop)
        report.flush()
        if result.stopped:
            _stopped(state, job.id)
        else:
            register(state, paths, job, result)
        return 0
    except InterruptedRunError:
        _stopped(state, job.id)
        return 0
    except SqloraError as error:
        traceback.print_exc()
        state.jobs.fail(job.id, str(error))
    except Exception as error:
        traceback.print_exc()
        state.jobs.fail(job.id, f"{_plain(error)}\n  next: cat {folder / LOG_NAME}")
    return 1


def _plain(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; lower pack_tokens in [train]"
    return f"training failed: {type(error).__name__}: {error}"


def _stopped(state: State, job_id: str) -> None:
    """Stopped, also when a signal and not the state had asked for it."""
    with state.transaction():
        state.jobs.request_stop(job_id)
        state.jobs.stopped(job_id)


class Report:
    """Where progress goes: every one to metrics.jsonl, one a second (and each new phase) to the state."""

    def __init__(self, state: State, job_id: str, folder: Path) -> None:
        self._state, self._job_id, self._metrics = state, job_id, MetricsLog(folder)
        self._written, self._phase, self._pending = -math.inf, "", dict[str, Any]()

    def __call__(self, progress: ProgressLike) -> None:
        """Take one progress."""
        self._pending = {key: _finite(value) for key, value in progress.as_dict().items()}
        self._metrics.write(self._pending)
        if progress.phase != self._phase or time.monotonic() - self._written >= REPORT_SECONDS:
            self._phase = progress.phase
            self.flush()

    def flush(self) -> None:
        """Write the last progress to the state, if it isn't there yet."""
        if self._pending:
            self._state.jobs.report(self._job_id, self._pending)
            self._written, self._pending = time.monotonic(), {}


def _finite(value: Any) -> Any:
    """JSON has no NaN; a browser refuses the whole document."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def register(state: State, paths: StateFolder, job: Job, result: ResultLike) -> None:
    """Move the adapter to where its model is to be, then complete the job and register the model together.

    Killed in between, the job is still InProgress and the folder is nobody's: the next worker replaces it.
    """
    target = paths.model(job.reserved_model_id)
    _sync(result.adapter)
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(result.adapter, target)
    _sync_entry(target.parent)
    state.jobs.complete(
        job.id,
        folder=target.relative_to(paths.path).as_posix(),
        train_loss=result.train_loss,
        validation_loss=result.validation_loss,
    )


def _sync(folder: Path) -> None:
    """Put the folder's files on the disk itself: the database must not outlive the files it speaks of."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    _sync_entry(folder)


def _sync_entry(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder, and writes renames through
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
