"""In place of the container's trainer: numbered steps, a checkpoint, and an adapter of no weight, without torch."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from sqlora.models.digest import hash_file

COMMAND = (sys.executable, str(Path(__file__)))


def main() -> int:
    root, stopped = Path(os.environ["SQLORA_ML_ROOT"]), []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    told = json.loads(next((root / "input/data/job").glob("*.json")).read_text())
    steps, checkpoint = int(told["recipe"]["epochs"]), root / "checkpoints" / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    say(phase="training", step=step, steps=steps, message=f"goes on from {step}" if step else "begins")
    while step < steps and not stopped:
        step += 1
        checkpoint.write_text(str(step))
        say(phase="training", step=step, steps=steps, loss=1 / step)
        if "breaks" in told["manifest"]["model_name"] and step == 2:
            (root / "output").mkdir()
            (root / "output" / "failure").write_text("the loss is nan at step 2")
            return 1
        time.sleep(0.005)
    if not stopped:
        adapter(root / "model", told)
    return 0


def adapter(folder: Path, told: dict[str, object]) -> None:
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "adapter_config.json").write_text("{}")
    manifest = {**told["manifest"], "weights_sha256": hash_file(folder / "adapter_model.safetensors")}  # type: ignore[dict-item]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "result.json").write_text(json.dumps({"train_loss": 0.5, "validation_loss": 0.75}))
    (folder / "surprise.sh").write_text("rm -rf /")


def say(**progress: object) -> None:
    print("sqlora " + json.dumps(progress), flush=True)


if __name__ == "__main__":
    sys.exit(main())
