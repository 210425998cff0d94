"""What the test of several processes runs in each of them: ``torchrun … parallel_runs.py BASE FOLDER``.

In float32, so that the order of additions shows in the sixth digit and not in the third.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from sqlora.models.precision import Precision
from sqlora.prompting import record
from sqlora.train import loop
from sqlora.train.loop import TrainingSpec, train
from sqlora.train.parallel import joined
from sqlora.train.progress import Progress
from sqlora.train.recipe import Recipe
from tests.unit.train.test_loop import SYSTEM, spec, write_dataset

RUNS: dict[str, dict[str, Any]] = {
    "exact": {"prefix_every": 1, "batch_size": 5},
    "held": {"prefix_every": 3},
    "small packs": {"pack_tokens": 256, "prefix_every": 1},
    "several schemas": {"prefix_every": 4},
}
STOP_AT = 5


def write_data(folder: Path) -> None:
    write_dataset(folder / "one schema")
    other = SYSTEM.replace("store", "warehouse")
    write_dataset(folder / "several schemas")
    lines = [record(other if n % 8 == 0 else SYSTEM, f"count city {n % 5}", f"SELECT {n % 5};") for n in range(24)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "several schemas" / "train.jsonl").write_text(text)


def of(name: str, base: Path, folder: Path) -> TrainingSpec:
    data = "several schemas" if name == "several schemas" else "one schema"
    return spec(base, folder / data, validation_examples=3, **RUNS[name])


def in_float32() -> None:
    loop.choose_precision = lambda: Precision("cpu", torch.float32, "a test")  # type: ignore[attr-defined]


def run_all(base: Path, folder: Path, to: Path) -> None:
    """Each run from its beginning to its end; one stopped; one gone on with that another process began."""
    for name in RUNS:
        train(of(name, base, folder), to / name)
    calls = iter(range(1000))
    train(of("held", base, folder), to / "stopped", should_stop=lambda: next(calls) >= STOP_AT)
    train(of("held", base, folder), to / "begun alone")
    seen: list[Progress] = []
    timed = TrainingSpec(str(base), folder / "one schema", Recipe(rank=4, epochs=500, minutes=0.004, batch_size=8))
    train(timed, to / "timed", seen.append)


if __name__ == "__main__":
    in_float32()
    with joined():
        run_all(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
