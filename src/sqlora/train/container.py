"""sqlora's trainer inside a training job of SageMaker: the same loop and recipe as here, between SageMaker's folders.

    /opt/ml/input/data/job/spec.json           base model, recipe, seed, manifest   (`sqlora.backends.sagemaker`)
    /opt/ml/input/data/train, …/validation     the records
    /opt/ml/input/data/base/base.tar           the base model, if it is a folder or file of the user's
    /opt/ml/checkpoints                        kept in S3 by SageMaker as the training goes on, and there again for
                                               a job that goes on: a spare instance that was taken away, or `resume`
    /opt/ml/model                              the adapter and result.json, which become model.tar.gz
    /opt/ml/output/failure                     why it failed, for DescribeTrainingJob

Another root than /opt/ml is ``$SQLORA_ML_ROOT``: tests run this as a process. By torchrun it is one process of several
(`sqlora.train.parallel`); the first of them hands over and tells. Progress goes to the log as lines of the
word sqlora and JSON. SIGTERM, which SageMaker sends two minutes before it kills, writes a checkpoint and no model.

Source: "How Amazon SageMaker AI provides training information", docs.aws.amazon.com/sagemaker/latest/dg.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import tarfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import ConfigError, SqloraError

if TYPE_CHECKING:
    from sqlora.train.loop import TrainingResult, TrainingSpec
    from sqlora.train.progress import Progress

ROOT = "SQLORA_ML_ROOT"
WORD = "sqlora "
REPORT_SECONDS = 1.0
LONGEST_FAILURE = 1024  # characters of a FailureReason
CONFIG = "adapter_config.json"


def main() -> int:
    """Train what the folders ask for; the process's exit code."""
    root = Path(os.environ.get(ROOT, "/opt/ml"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        run(root, stop)
        return 0
    except Exception as error:
        traceback.print_exc()
        message = str(error) if isinstance(error, SqloraError) else f"{type(error).__name__}: {error}"
        failure = root / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(message[:LONGEST_FAILURE], encoding="utf-8")
        return 1


def run(root: Path, stop: threading.Event) -> None:
    """Train, or go on from the checkpoint; the adapter is in ``model`` unless it was stopped."""
    rank = int(os.environ.get("RANK", "0"))
    spec, base_model = read_spec(root, root / "work" / str(rank))
    from sqlora.train.loop import train

    checkpoints = root / "checkpoints"
    result = train(spec, checkpoints if checkpoints.is_dir() else root / "work", Report(), stop.is_set)
    if rank == 0 and not result.stopped:
        hand_over(result, base_model, root / "model")


def read_spec(root: Path, work: Path) -> tuple[TrainingSpec, str]:
    """What to train, and the base model's name where the job was submitted; ConfigError for folders without it.

    What has to be unpacked or put together for it goes into ``work``.
    """
    from sqlora.train.loop import TrainingSpec
    from sqlora.train.recipe import Recipe

    told: dict[str, Any] = json.loads(_only(root, "job", "*.json").read_text(encoding="utf-8"))
    dataset = work / "dataset"
    dataset.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_only(root, "train", "*.jsonl"), dataset / "train.jsonl")
    if (root / "input" / "data" / "validation").is_dir():
        shutil.copyfile(_only(root, "validation", "*.jsonl"), dataset / "validation.jsonl")
    base = told["base_model"]
    if told.get("base_path"):
        with tarfile.open(_only(root, "base", "*.tar")) as archive:
            archive.extractall(work / "base", filter="data")
        base = str(work / "base" / told["base_path"])
    recipe = Recipe.model_validate(told["recipe"])
    return TrainingSpec(base, dataset, recipe, told["seed"], told["manifest"]), told["base_model"]


def _only(root: Path, channel: str, pattern: str) -> Path:
    found = sorted((root / "input" / "data" / channel).glob(pattern))
    if len(found) != 1:
        raise ConfigError(f"the channel {channel} has {len(found) or 'no'} files {pattern}; there should be one")
    return found[0]


def hand_over(result: TrainingResult, base_model: str, folder: Path) -> None:
    """Put the adapter where SageMaker takes it from, with the base model's own name, and what came of the training."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in result.adapter.iterdir():
        shutil.copyfile(file, folder / file.name)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": base_model}, indent=2) + "\n")
    losses = {"train_loss": _finite(result.train_loss), "validation_loss": _finite(result.validation_loss)}
    told = {**losses, "steps": result.steps, "tokens": result.tokens, "seconds": result.seconds}
    (folder / "result.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


class Report:
    """Progress → lines of the log: each new phase, message and validation, and a step a second."""

    def __init__(self) -> None:
        self._phase, self._at = "", -math.inf

    def __call__(self, progress: Progress) -> None:
        """Write one line, or none."""
        now = time.monotonic()
        if progress.phase == self._phase and not progress.message and now - self._at < REPORT_SECONDS:
            return
        self._phase, self._at = progress.phase, now
        told = {key: _finite(value) for key, value in progress.as_dict().items()}
        print(WORD + json.dumps({key: value for key, value in told.items() if value is not None}), flush=True)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
