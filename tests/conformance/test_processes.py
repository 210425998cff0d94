"""``processes = 2`` in [train], for real: torchrun, two workers over a tiny model, killed on the way."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.platform import worker
from sqlora.platform.metrics import read_metrics
from sqlora.project import load_project
from sqlora.train.recipe import Recipe
from tests.conformance.workplace import add_dataset, write_project
from tests.tiny import tiny_model

RECIPE = Recipe(name="tiny", rank=4, epochs=20, batch_size=4, warmup_steps=1, validate_every=2, learning_rate=0.01)
SETTINGS = '[project]\nname = "larkspur"\n[train]\nbase_model = "./base"\nprocesses = 2\n'


def test_killed_and_gone_on_with(tmp_path: Path) -> None:
    tiny_model(tmp_path / "base")
    write_project(tmp_path, SETTINGS)
    dataset = add_dataset(tmp_path)
    with LocalBackend(load_project(tmp_path, environ={})) as backend:
        job = backend.submit_training(TrainingRequest(dataset.id, RECIPE))
        folder = backend.paths.job(job.id)
        deadline = time.monotonic() + 120
        while not (folder / "checkpoint" / "checkpoint.safetensors").exists():
            assert time.monotonic() < deadline, (folder / "worker.log").read_text()
            time.sleep(0.02)
        leader = backend.job(job.id).pid
        assert leader is not None
        os.kill(leader, signal.SIGKILL)
        while not worker.interrupted(backend.job(job.id)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = read_metrics(folder)

        backend.resume(job.id)
        ended = backend.wait(job.id)
        assert ended.status == "Completed", f"{ended.failure_message}\n{(folder / 'worker.log').read_text()}"
        messages = [line["message"] for line in read_metrics(folder) if line["message"]]
        assert "2 processes" in messages[1]
        assert messages[-1].endswith("resumed")
        steps = [line["step"] for line in read_metrics(folder)[len(before) :] if line["loss"] is not None]
        assert steps[0] > 1  # it went on, and only the leader wrote
        assert ended.progress["step"] == 40
        assert backend.models()[0].id == ended.model_id
