"""A worker that trains nothing, in a way that the model's name asks for.

``…-waits``: until a file ``go`` lies in the job's folder, or it is stopped; ``…-lingers``: until the file lies there,
even when it is to stop. ``…-fails``: at its first step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlora.platform.spec import JobSpec
from tests.unit.platform.fake_training import FakeResult, fake_train

ROOT = Path(__file__).parents[2]
# Wherever the server runs: the worker's folder need not be the checkout.
COMMAND = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tests.wire.training as t; t.main()",
)
GO = "go"
VALIDATION_LOSS = 0.75


@dataclass(frozen=True)
class StagedProgress:
    phase: str
    step: int
    steps: int = 1
    epoch: float = 1.0
    loss: float | None = None
    validation_loss: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def staged_train(
    spec: JobSpec,
    dataset: Path,
    folder: Path,
    on_progress: Callable[[Any], None],
    should_stop: Callable[[], bool],
) -> FakeResult:
    """`fake_train`, after what the name asks for; the adapter answers with the model's name."""
    name = spec.manifest["model_name"]
    on_progress(StagedProgress("loading", 0))
    while ("-waits" in name and not should_stop()) or "-lingers" in name:
        if (folder / GO).exists():
            break
        time.sleep(0.01)
    recipe = {**spec.recipe, "fail": 1} if "-fails" in name else spec.recipe
    result = fake_train(replace(spec, recipe=recipe), dataset, folder, on_progress, should_stop)
    on_progress(StagedProgress("validating", 1, validation_loss=VALIDATION_LOSS))
    (result.adapter / "adapter_model.safetensors").write_text(name)
    return replace(result, validation_loss=VALIDATION_LOSS)


def main() -> None:
    """As ``python -m sqlora.platform.worker``."""
    from sqlora.platform.run import run_job

    sys.exit(run_job(Path(sys.argv[1]), sys.argv[2], "--attached" in sys.argv, train=staged_train))
