"""The container's entry point as a process between folders laid out as SageMaker's, with the real trainer."""

from __future__ import annotations

import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.backends.sagemaker.code import ARGUMENTS, requirements, write_archive
from sqlora.engines.base import Completion, Sampling
from sqlora.models.adapter import load_adapter
from sqlora.prompting import record
from sqlora.train import container
from sqlora.train.loop import TrainingSpec, train
from sqlora.train.recipe import Recipe
from tests.conformance.cloud import BUCKET
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.tiny import tiny_model
from tests.unit.backends.sagemaker.container_host import container_host
from tests.unit.backends.sagemaker.open_place import open_backend, open_project
from tests.wire.clients import boto

RECIPE = Recipe(name="tiny", rank=4, epochs=5, batch_size=4, warmup_steps=1, validate_every=4, learning_rate=0.01)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in load_adapter(folder)[0].items()}


def test_a_job_by_its_own_entry_point_trains_in_two_processes_what_one_trains_here(tmp_path: Path) -> None:
    tiny_model(tmp_path / "base")
    with container_host(tmp_path / "host") as host:
        boto(host.url, "s3", s3={"addressing_style": "path"}).create_bucket(Bucket=BUCKET)
        project = open_project(tmp_path, host.url, 'instance = "ml.m5.large"', "./base", "processes = 2")
        dataset = add_dataset(tmp_path, held_out=2)
        with open_backend(project) as backend:
            job = backend.submit_training(TrainingRequest(dataset.id, RECIPE, model_name="retail"))
            job = backend.wait(job.id)
        log = (project.paths.job(job.id) / "worker.log").read_text()
        assert job.status == "Completed", f"{job.failure_message}\n{log}"
        assert "parameters train" in log
    here = train(TrainingSpec(str(tmp_path / "base"), dataset.folder, RECIPE), tmp_path / "here")
    assert json.loads(log[log.index("sqlora {") :].splitlines()[0].removeprefix("sqlora "))["phase"] == "loading"
    assert "2 processes" in log
    assert job.progress["loss"] == pytest.approx(here.train_loss, rel=1e-4)
    trained, own = (load_adapter(folder)[0] for folder in (project.paths.model(job.model_id or ""), here.adapter))
    for name, tensor in own.items():
        torch.testing.assert_close(trained[name], tensor, rtol=1e-2, atol=1e-3)
    with LocalBackend(project) as local:
        assert local.state.models.get("retail").base_model == str(tmp_path / "base")
        local.create_deployment("retail")
        assert local.system("retail") == SYSTEM
        *_, answer = local.converse("retail", record(SYSTEM, "question 3?"), Sampling(max_tokens=8))
        assert isinstance(answer, Completion)


def lay_out(root: Path, base: Path, dataset: Path, **told: Any) -> Path:
    """What SageMaker has laid out when the container begins."""
    for channel in ("train", "validation"):
        (root / "input/data" / channel).mkdir(parents=True)
        (root / "input/data" / channel / "x.jsonl").write_bytes((dataset / f"{channel}.jsonl").read_bytes())
    (root / "input/data/job").mkdir()
    spec = {"base_model": str(base), "recipe": RECIPE.model_dump(), "seed": 0, "manifest": {"job_id": "j"}, **told}
    (root / "input/data/job/spec.json").write_text(json.dumps(spec))
    (root / "checkpoints").mkdir()
    return root


class Stop(threading.Event):
    """Set at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_stopped_it_keeps_a_checkpoint_and_goes_on_to_the_same_adapter(tmp_path: Path) -> None:
    base, dataset = tiny_model(tmp_path / "base"), add_dataset(tmp_path, held_out=2).folder
    whole, halves = (lay_out(tmp_path / name, base, dataset) for name in ("whole", "halves"))
    container.run(whole, threading.Event())
    container.run(halves, Stop(3))
    assert (halves / "checkpoints/checkpoint").is_dir()
    assert not (halves / "model").exists()
    container.run(halves, threading.Event())
    assert weights(halves / "model") == weights(whole / "model")
    told = json.loads((whole / "model/result.json").read_text())
    assert (told["steps"], told["train_loss"] > 0) == (10, True)
    config = json.loads((whole / "model/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"base_model": "nowhere"}, "no base model 'nowhere'"),
        ({"recipe": {"epochs": 0}}, "epochs"),
        ({"base_path": "base"}, "the channel base has no files"),
    ],
)
def test_what_is_wrong_is_in_the_failure_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], said: str
) -> None:
    root = lay_out(tmp_path / "ml", tmp_path / "base", add_dataset(tmp_path, held_out=2).folder, **told)
    monkeypatch.setenv(container.ROOT, str(root))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert container.main() == 1
    assert said in (root / "output/failure").read_text()


def test_the_archive_is_the_same_for_the_same_source_and_has_all_that_it_needs(tmp_path: Path) -> None:
    first, second = write_archive(tmp_path / "a"), write_archive(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        names = archive.getnames()
    assert {"start.sh", "requirements.txt", "sqlora/train/container.py", "sqlora/train/loop.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    assert any(each.startswith("torch>=") for each in requirements())
    assert not any("moto" in each or ";" in each for each in requirements())
    assert len(ARGUMENTS[0]) <= 256  # the service's limit
