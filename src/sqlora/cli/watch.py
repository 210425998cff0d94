"""A training job on the terminal, until it has ended."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlora.cli.progress import ProgressLine
from sqlora.errors import ConflictError, InterruptedRunError, TrainingError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.platform.jobs import Job


def watch(place: Everywhere, job: Job, line: ProgressLine, stop: bool = True) -> Job:
    """Show the job's progress until it has ended; the completed job.

    Ctrl-C tells a job on this machine to stop (it writes a checkpoint first), or with ``stop`` False leaves it running.
    One elsewhere goes on in any case: it could not be taken up again, and what it has cost would be lost. Raises
    TrainingError when the job failed, InterruptedRunError when somebody stopped it.
    """
    show = _Shown(line)
    try:
        job = place.wait(job.id, show)
    except KeyboardInterrupt:
        if job.backend != "local":
            line.message(f"the job goes on on {job.backend}; sqlora jobs stop {job.id} ends it")
        elif stop:
            line.message("stopping after this step; the checkpoint is kept")
            with contextlib.suppress(ConflictError):  # the worker heard Ctrl-C too and may have stopped by now
                place.stop(job.id)
            with contextlib.suppress(InterruptedRunError):
                place.wait(job.id, show)
        raise
    if job.status == "Failed":
        log = place.project.paths.job(job.id) / "worker.log"
        more = f"{log} says more; " if job.backend == "local" else ""
        raise TrainingError(
            f"job {job.id} failed: {job.failure_message or 'no reason given'}", f"{more}the same command tries again"
        )
    if job.status == "Stopped":
        resumable = place.backend(job.backend).capabilities.resumable
        raise InterruptedRunError(
            f"job {job.id} was stopped{'; its checkpoint is kept' if resumable else ''}",
            f"sqlora jobs resume {job.id}" if resumable else "sqlora train trains anew",
        )
    return job


class _Shown:
    """Job after job → the progress line; a new message stays on a line of its own."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._message = ""

    def __call__(self, job: Job) -> None:
        progress = job.progress
        message = str(progress.get("message") or "")
        if message and message != self._message:
            self._message = message
            self._line.message(message)
        if not job.ended:
            phase = str(progress.get("phase") or "starting")
            self._line.update(
                phase, progress.get("step") or 0, progress.get("steps") or None, _detail(progress),
                progress.get("seconds_left"),
            )  # fmt: skip


def _detail(progress: dict[str, Any]) -> str:
    parts = []
    if (loss := progress.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (validation := progress.get("validation_loss")) is not None:
        parts.append(f"validation {validation:.3f}")
    if (exact := progress.get("validation_exact")) is not None:
        parts.append(f"{exact:.0%} exact")
    if rate := progress.get("tokens_per_second"):
        parts.append(f"{rate:,.0f} tokens/s")
    if memory := progress.get("memory_mb"):
        parts.append(f"{memory:,.0f} MB")
    return ", ".join(parts)
