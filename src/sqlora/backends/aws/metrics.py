"""The metric files that a Bedrock job leaves in its output folder: the loss of each step, and of each validation.

`sqlora.platform.customization_metrics` says where they lie. Headings vary from one published script to the next, so
columns are taken by their meaning.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

from sqlora.platform.customization_metrics import TRAINING, VALIDATION


@dataclass(frozen=True)
class Loss:
    """After ``step`` of ``epoch``, both counted from 0: nats a token."""

    step: int
    epoch: int
    loss: float


def read_losses(read: Callable[[str], bytes | None], output: str, job_arn: str) -> tuple[list[Loss], list[Loss]]:
    """(training, validation) losses in the order of the files; ``read`` gives an address's bytes, or None."""
    folder = f"{output.rstrip('/')}/model-customization-job-{job_arn.rsplit('/', 1)[-1]}"
    training = parse_losses(read(f"{folder}/{TRAINING}"))
    for name in VALIDATION:
        if validation := parse_losses(read(f"{folder}/{name}")):
            return training, validation
    return training, []


def parse_losses(data: bytes | None) -> list[Loss]:
    """The rows of one file; a row without numbers is left out."""
    rows = csv.DictReader(io.StringIO((data or b"").decode("utf-8-sig", errors="replace")))
    found = []
    for row in rows:
        values = {str(key).strip().lower(): value for key, value in row.items() if isinstance(value, str)}
        loss = _number(next((value for key, value in values.items() if "loss" in key), ""))
        step = _number(values.get("step_number", values.get("step", "")))
        if loss is not None and step is not None:
            found.append(Loss(int(step), int(_number(values.get("epoch_number", "")) or 0), loss))
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
