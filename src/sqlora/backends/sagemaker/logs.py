"""What a training job writes to CloudWatch, followed as it comes, and the steps and losses in it.

    group /aws/sagemaker/TrainingJobs, streams <job>/algo-<n>-<seconds>

Nova's container writes PyTorch Lightning's progress bars. Their form is not documented; AWS's own monitoring script
(amazon-nova-samples, SageMakerJobsMonitoring) looks for ``Epoch 0: : 12it``, and NeMo, which the recipe's keys are of,
names the losses reduced_train_loss and val_loss. Lines of sqlora's own container are JSON after the word sqlora.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.errors import aws_errors, is_missing

GROUP = "/aws/sagemaker/TrainingJobs"
TAIL = 100  # lines that are looked at for the last step
OWN = "sqlora "

_BAR = re.compile(r"Epoch (?P<epoch>\d+):.*?(?P<step>\d+)(?:it|/\d+)\b")
_STEP = re.compile(r"\bglobal_step[=: ]+(\d+)")
_STEPS = re.compile(r"\bmax_steps[=: ]+(\d+)")
_LOSS = re.compile(r"\b(?:reduced_train_loss|train_loss)[=: ]+([0-9][0-9.eE+-]*)")
_VALIDATION = re.compile(r"\b(?:val_loss|validation_loss)[=: ]+([0-9][0-9.eE+-]*)")


@dataclass(frozen=True)
class Line:
    """``at``: milliseconds since 1970."""

    at: int
    text: str


class TrainingLog:
    """The log of one job. Missing streams are a job that has not begun; not being allowed to read is AccountError."""

    def __init__(self, account: Account, job: str) -> None:
        self._account, self._job = account, job
        self._tokens: dict[str, str] = {}

    @property
    def _logs(self) -> Any:
        return self._account.client("logs")

    def new(self) -> Iterator[Line]:
        """What has come since the last time; at first everything from the beginning."""
        for stream in self._streams():
            while True:
                after = {"nextToken": self._tokens[stream]} if stream in self._tokens else {"startFromHead": True}
                page = self._page(stream, after)
                yield from (Line(event["timestamp"], event["message"]) for event in page["events"])
                token = page["nextForwardToken"]
                if token == self._tokens.get(stream):
                    break  # the service gives the same token again at the end
                self._tokens[stream] = token

    def tail(self) -> list[Line]:
        """The last lines."""
        return [
            Line(event["timestamp"], event["message"])
            for stream in self._streams()
            for event in self._page(stream, {"limit": TAIL, "startFromHead": False})["events"]
        ]

    def _page(self, stream: str, more: dict[str, Any]) -> dict[str, Any]:
        with aws_errors(f"read the log {stream}"):
            found: dict[str, Any] = self._logs.get_log_events(logGroupName=GROUP, logStreamName=stream, **more)
        return found

    def _streams(self) -> list[str]:
        with aws_errors(f"look for the log of {self._job}"):
            try:
                found = self._logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{self._job}/")
            except Exception as error:
                if is_missing(error):  # no job has ever written anything
                    return []
                raise
        return [stream["logStreamName"] for stream in found["logStreams"]]


@dataclass
class Seen:
    """What the lines so far say. ``steps`` in all, if it is known; losses are nats a token."""

    steps: int | None = None
    step: int | None = None
    epoch: int | None = None
    loss: float | None = None
    validation_loss: float | None = None
    phase: str | None = None
    seconds_left: float | None = None
    _first: tuple[int, int] | None = field(default=None, repr=False)

    def take(self, line: Line) -> bool:
        """Whether the line was one of progress, which is now in here."""
        if line.text.startswith(OWN):
            return self._take_own(line)
        bar = _BAR.search(line.text)
        if bar is None:
            return False
        self.phase, self.epoch = "training", int(bar["epoch"])
        self.steps = int(found[1]) if (found := _STEPS.search(line.text)) else self.steps
        self.loss = _number(_LOSS.search(line.text), self.loss)
        self.validation_loss = _number(_VALIDATION.search(line.text), self.validation_loss)
        self._at(int(found[1]) if (found := _STEP.search(line.text)) else int(bar["step"]), line.at)
        return True

    def _take_own(self, line: Line) -> bool:
        try:
            told = json.loads(line.text.removeprefix(OWN))
        except ValueError:
            return False
        if not isinstance(told, dict) or "phase" not in told:
            return False
        self.phase, self.steps = str(told["phase"]), told.get("steps") or self.steps
        self.loss = told.get("loss") if told.get("loss") is not None else self.loss
        if told.get("validation_loss") is not None:
            self.validation_loss = told["validation_loss"]
        self._at(int(told.get("step") or 0), line.at)
        if told.get("seconds_left") is not None:
            self.seconds_left = told["seconds_left"]
        return not told.get("message")

    def _at(self, step: int, at: int) -> None:
        if self._first is None or step < self._first[1]:
            self._first = (at, step)
        self.step = step
        began, first = self._first
        if self.steps and step > first:
            self.seconds_left = max(0, self.steps - step) * (at - began) / 1000 / (step - first)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `Job.progress`."""
        return {
            "step": self.step,
            "steps": self.steps,
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "seconds_left": self.seconds_left,
        }


def message_of(line: Line) -> str:
    """What a line says to a reader."""
    if line.text.startswith(OWN):
        try:
            return str(json.loads(line.text.removeprefix(OWN)).get("message") or line.text)
        except (ValueError, AttributeError):
            pass
    return line.text.rstrip()


def _number(found: re.Match[str] | None, otherwise: float | None) -> float | None:
    if found is None:
        return otherwise
    try:
        return float(found[1])
    except ValueError:
        return otherwise
