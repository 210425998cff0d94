"""What training jobs write to CloudWatch: their statuses, and a line for each step as Nova's container writes it.

    group /aws/sagemaker/TrainingJobs   stream <job>/algo-1-<seconds of its creation>
    Epoch 0: : 12it, reduced_train_loss=0.512, global_step=12
    Epoch 0: : 12it, val_loss=0.487, global_step=12

The form is that of PyTorch Lightning's progress bars, which AWS's own monitoring script (amazon-nova-samples,
SageMakerJobsMonitoring) looks for as ``Epoch (\\d+): : (\\d+)it``. Lines are made of the metrics of the job's worker
when somebody asks for logs, so they are there again after a restart; their times are those at which they were made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlora.platform.customization import Customization
from sqlora.platform.metrics import read_metrics
from sqlora.serve.place import Place
from sqlora.serve.sagemaker.describe import failure_reason, transitions

GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded")


@dataclass(frozen=True)
class Written:
    """New lines of one stream, oldest first; ``at`` is milliseconds since 1970."""

    region: str
    stream: str
    lines: tuple[str, ...]
    at: int


class TrainingLogs:
    """The lines of all training jobs, each given out once. Not for several threads at a time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._given: dict[str, int] = {}
        self._done: set[str] = set()

    def new(self) -> list[Written]:
        """What has come since the last time."""
        jobs = self._place.customizations.list("sagemaker")
        found = (self._of(job) for job in reversed(jobs) if job.id not in self._done)
        return [written for written in found if written is not None]

    def _of(self, job: Customization) -> Written | None:
        lines = self._lines(job)
        given = min(self._given.get(job.id, 0), len(lines))  # a resumed worker may take lines back
        self._given[job.id] = len(lines)
        if job.ended_at is not None:
            self._done.add(job.id)
        fresh = tuple(lines[given:])
        return Written(job.region, stream(job), fresh, int(time.time() * 1000)) if fresh else None

    def _lines(self, job: Customization) -> list[str]:
        """All lines so far; only ever added to, unless a killed worker repeats steps."""
        began = [f"Training job {job.job.name}: {each['StatusMessage']}" for each in transitions(job)]
        ended = job.ended_at is not None
        metrics = [line for each in read_metrics(self._place.backend.paths.job(job.id)) if (line := _line(each))]
        # Before the steps what comes before them, after them how it ended; what lies between is told by the steps.
        return [began[0], *metrics, *([f"{began[-1]}{_reason(job)}"] if ended else [])]


def stream(job: Customization) -> str:
    """The name of a job's stream of its only host."""
    return f"{job.job.name}/algo-1-{int(datetime.fromisoformat(job.created_at).timestamp())}"


def _reason(job: Customization) -> str:
    reason = failure_reason(job)
    return f": {reason}" if reason else ""


def _line(progress: Mapping[str, Any]) -> str | None:
    """One of the worker's reports as a line; None for what has none."""
    step, steps, epoch = progress.get("step") or 0, progress.get("steps") or 0, progress.get("epoch") or 0.0
    if progress.get("phase") == "validating":
        name, loss = "val_loss", progress.get("validation_loss")
    else:
        name, loss = "reduced_train_loss", progress.get("loss")
    if loss is None or progress.get("phase") not in ("training", "validating"):
        return str(progress["message"]) if progress.get("message") else None
    number = max(0, math.ceil(epoch) - 1)  # an epoch's last step still belongs to it
    within = step - round(number * step / epoch) if epoch else step
    return f"Epoch {number}: : {within}it, {name}={loss:.6g}, global_step={step}, max_steps={steps}"
