"""The local backend with nothing in place of anything, over a tiny random model: worker, training, engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.platform.metrics import read_metrics
from sqlora.project import load_project
from sqlora.prompting import record
from sqlora.train.recipe import Recipe
from tests.conformance.workplace import add_dataset, write_project
from tests.tiny import tiny_model

RECIPE = Recipe(name="tiny", rank=4, epochs=10, batch_size=4, warmup_steps=1, validate_every=100, learning_rate=0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model(tmp_path / "base")
    write_project(tmp_path, '[project]\nname = "larkspur"\n[train]\nbase_model = "./base"\n')
    return tmp_path


def test_train_deploy_ask(folder: Path) -> None:
    dataset = add_dataset(folder)
    with LocalBackend(load_project(folder, environ={})) as backend:
        submitted = backend.submit_training(TrainingRequest(dataset.id, RECIPE))
        job = backend.wait(submitted.id)
        log = backend.paths.job(job.id) / "worker.log"
        assert job.status == "Completed", f"{job.failure_message}\n{log.read_text()}"
        losses = [line["loss"] for line in read_metrics(backend.paths.job(job.id)) if line["loss"] is not None]
        assert losses[-1] < losses[0]
        deployment = backend.create_deployment("larkspur")
        asked = record(backend.system("larkspur"), "question 3?")
        *deltas, first = backend.converse("larkspur", asked, Sampling(max_tokens=12))
        assert isinstance(first, Completion)
        assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == first.text
        assert (backend.paths.deployment(deployment.id) / "prefix.safetensors").is_file()
        base, tuned = (
            backend.converse_batch(name, [asked], Sampling(max_tokens=12))[0] for name in ("base", "larkspur")
        )
        assert (tuned.text, tuned.cached_tokens > 0) == (first.text, True)
        assert base.text != tuned.text
    with LocalBackend(load_project(folder, environ={})) as again:
        *_, warm = again.converse("larkspur", asked, Sampling(max_tokens=12))
        assert isinstance(warm, Completion)
        assert (warm.text, warm.cached_tokens > 0) == (first.text, True)
        assert [row.deployment for row in again.state.usage.summary()] == ["base", "larkspur"]
