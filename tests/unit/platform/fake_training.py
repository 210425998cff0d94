"""A worker's training without a model: numbered steps with a checkpoint, at the speed and with the end asked for."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlora.errors import TrainingError
from sqlora.platform.spec import JobSpec

# The same file is the worker's command line and imported by tests.
COMMAND = (sys.executable, str(Path(__file__)))


@dataclass(frozen=True)
class FakeProgress:
    phase: str
    step: int
    steps: int
    loss: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FakeResult:
    adapter: Path
    train_loss: float
    validation_loss: float | None
    stopped: bool


def fake_train(
    spec: JobSpec,
    dataset: Path,
    folder: Path,
    on_progress: Callable[[Any], None],
    should_stop: Callable[[], bool],
) -> FakeResult:
    """``spec.recipe``: ``steps`` (or a real recipe's epochs), ``seconds`` a step, ``fail`` or ``crash`` at a step."""
    wanted = {"steps": int(spec.recipe.get("epochs", 3)), **spec.recipe}
    checkpoint = folder / "checkpoint" / "step"
    checkpoint.parent.mkdir(exist_ok=True)
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    on_progress(FakeProgress("loading", 0, wanted["steps"]))
    stopped = False
    while step < wanted["steps"] and not (stopped := should_stop()):
        step += 1
        time.sleep(wanted.get("seconds", 0.01))
        with (folder / "steps.txt").open("a") as log:
            log.write(f"{os.getpid()} {step}\n")
        if step == wanted.get("fail"):
            raise TrainingError(f"loss is not finite at step {step}", "a lower learning_rate")
        if step == wanted.get("crash"):
            raise ZeroDivisionError("by design")
        aside = checkpoint.with_suffix(".part")
        aside.write_text(str(step))
        aside.replace(checkpoint)
        on_progress(FakeProgress("training", step, wanted["steps"], loss=1.0 / step))
    adapter = folder / "adapter"
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "manifest.json").write_text(json.dumps(spec.manifest))
    return FakeResult(adapter, 0.5, float("nan"), stopped)


if __name__ == "__main__":
    from sqlora.platform.run import run_job

    sys.exit(run_job(Path(sys.argv[1]), sys.argv[2], "--attached" in sys.argv, train=fake_train))
