"""The two CSV files that a finished Bedrock job leaves in its customer's bucket. Weights are never among them.

    {output}/model-customization-job-{id}/training_artifacts/step_wise_training_metrics.csv
    {output}/model-customization-job-{id}/validation_artifacts/post_fine_tuning_validation/validation_metrics.csv
    {output}/model-customization-job-{id}/validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv

The service's guide names the second place, published scripts read the third: the same file lies in both.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlora.platform.customization_record import Customization
from sqlora.platform.jobs import Job
from sqlora.platform.metrics import read_metrics
from sqlora.platform.objects import Objects, under
from sqlora.project import StateFolder

TRAINING = "training_artifacts/step_wise_training_metrics.csv"
VALIDATION = (
    "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
    "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
)

Row = tuple[int, int, float, float]


class BedrockArtifacts:
    """Uploads a finished job's metrics; doing it again writes the same files."""

    def __init__(self, paths: StateFolder, objects: Objects) -> None:
        self._paths, self._objects = paths, objects

    def __call__(self, job: Job, customization: Customization) -> None:
        """See `sqlora.platform.customization.Artifacts`."""
        lines = read_metrics(self._paths.job(job.id))
        folder = under(customization.output, f"model-customization-job-{job.id}")
        self._objects.put(under(folder, TRAINING), as_csv("training_loss", training_rows(lines)))
        if validation := list(validation_rows(lines)):
            for name in VALIDATION:
                self._objects.put(under(folder, name), as_csv("validation_loss", validation))


def training_rows(lines: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """(step, epoch, loss, perplexity) of each step; steps and epochs count from 0, losses are nats a token."""
    for line in lines:
        if line.get("phase") == "training" and line.get("loss") is not None:
            yield _row(line, line["loss"])


def validation_rows(lines: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Likewise for each validation after a step; the one before the first is not the service's to report."""
    for line in lines:
        if line.get("phase") == "validating" and line.get("validation_loss") is not None and line.get("step", 0) > 0:
            yield _row(line, line["validation_loss"])


def _row(line: Mapping[str, Any], loss: float) -> Row:
    # ``step`` and ``epoch`` say what has been done, so the step that ended an epoch still belongs to it.
    return line["step"] - 1, max(0, math.ceil(line.get("epoch", 0.0)) - 1), loss, perplexity(loss)


def perplexity(loss: float) -> float:
    """e to the loss; infinite where that is no number any more."""
    return math.exp(loss) if loss < 700 else math.inf


def as_csv(loss_name: str, rows: Iterable[Row]) -> bytes:
    """The file, with its header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step_number", "epoch_number", loss_name, "perplexity"))
    writer.writerows(rows)
    return text.getvalue().encode()
