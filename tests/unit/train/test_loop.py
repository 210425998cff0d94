"""The training loop on a tiny model: it learns, resumes exactly, survives kill −9, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from sqlora.errors import DatasetError, TrainingError
from sqlora.prompting import record
from sqlora.train.checkpoint import Position
from sqlora.train.loop import Run, TrainingSpec, train
from sqlora.train.progress import Progress
from sqlora.train.recipe import Recipe
from tests.tiny import tiny_model

SYSTEM = "store(store_id, city, opened_on), employee(employee_id, store_id, full_name, hourly_wage)"  # worth sharing


def write_dataset(folder: Path, count: int = 24) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in (("train", count), ("validation", 4)):
        lines = [json.dumps(record(SYSTEM, f"count city {n % 5}", f"SELECT {n % 5};")) for n in range(size)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


def spec(base: Path, dataset: Path, **recipe: object) -> TrainingSpec:
    values = {"rank": 4, "alpha": 8, "learning_rate": 0.02, "epochs": 4, "batch_size": 8, "validate_every": 4}
    return TrainingSpec(str(base), dataset, Recipe(**{**values, **recipe}), seed=5)  # type: ignore[arg-type]


def read_position(job: Path) -> dict[str, Any]:
    with safe_open(job / "checkpoint" / "checkpoint.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["position"])  # type: ignore[no-any-return]


def losses(job: Path) -> list[float]:
    return read_position(job)["losses"]  # type: ignore[no-any-return]


def test_training_lowers_the_loss_and_stock_peft_loads_the_adapter(base: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = train(spec(base, write_dataset(tmp_path / "data")), tmp_path / "job", seen.append)
    assert result.steps == 12
    validation = [
        (p.validation_exact, -p.validation_loss) for p in seen
        if p.validation_loss is not None and p.validation_exact is not None
    ]  # fmt: skip
    assert validation[-1][1] > validation[0][1]
    assert (result.validation_exact, -(result.validation_loss or 0)) == max(validation[1:])
    assert any("parameters train" in p.message and "float" in p.message for p in seen)

    stock = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), result.adapter)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        tuned = stock(input_ids=ids).logits
        with stock.disable_adapter():
            untuned = stock(input_ids=ids).logits
    assert not torch.allclose(tuned, untuned)


@pytest.mark.parametrize("every", [1, 3, 16])
def test_a_stopped_run_goes_on_with_the_same_losses(base: Path, tmp_path: Path, every: int) -> None:
    """Also where it stops between two computations of the prefix: the one in use is in the checkpoint."""
    data = write_dataset(tmp_path / "data")
    run = spec(base, data, prefix_every=every)
    train(run, tmp_path / "whole")
    calls = iter(range(1000))
    stopped = train(run, tmp_path / "parts", should_stop=lambda: next(calls) >= 5)
    assert stopped.stopped
    assert stopped.steps == 5
    finished = train(run, tmp_path / "parts")
    assert not finished.stopped
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    again = train(run, tmp_path / "parts")  # a finished run does no work twice
    assert again.steps == finished.steps
    assert again.tokens == finished.tokens


def test_a_killed_run_goes_on_with_the_same_losses(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    train(spec(base, data), tmp_path / "whole")
    script = (
        "import sys; from pathlib import Path; from tests.unit.train.test_loop import spec; "
        "from sqlora.train.loop import train; "
        "train(spec(Path(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[3]), "
        "lambda p: print(p.phase, p.step, flush=True))"
    )
    command = [sys.executable, "-c", script, str(base), str(data), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split()[:2] == ["training", "6"]:  # after the checkpoint of step 4
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    train(spec(base, data), tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_a_prefix_is_computed_every_so_many_steps(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    tokens = {n: train(spec(base, data, prefix_every=n), tmp_path / f"{n}").tokens for n in (1, 4, 12)}
    saved = [tokens[1] - tokens[n] for n in (4, 12)]
    prefix = saved[1] // 11  # 12 steps share one computation
    assert 2 * len(SYSTEM) > prefix > len(SYSTEM)
    assert saved == [9 * prefix, 11 * prefix]
    first = [losses(tmp_path / f"{n}")[0] for n in (1, 4, 12)]
    assert first[1:] == pytest.approx([first[0]] * 2, rel=1e-4), "the step that computes it has the same loss"
    assert losses(tmp_path / "4")[1] != losses(tmp_path / "1")[1]


def test_the_best_validation_has_the_most_exact_answers_then_the_lowest_loss() -> None:
    position = Position()
    assert position.is_best(2.0, 0.0)
    position.best_loss, position.best_exact = 0.3, 0.5
    assert position.is_best(0.9, 0.51)
    assert position.is_best(0.29, 0.5)
    assert not position.is_best(0.3, 0.5)
    assert not position.is_best(0.1, 0.49)


def test_validation_takes_examples_from_all_over_the_file(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    lines = [json.dumps(record(SYSTEM, f"city {n}", f"SELECT {n}")) for n in range(10)]
    (data / "validation.jsonl").write_text("\n".join(lines) + "\n")
    run = Run(spec(base, data, validation_examples=5), tmp_path / "job", lambda _: None)
    decode = run.base.load_tokenizer().decode
    taken = {decode(completion[:-1]) for packed in run.validation for _, completion in packed.branches}
    assert taken == {"SELECT 0", "SELECT 2", "SELECT 4", "SELECT 6", "SELECT 8"}


def test_a_time_budget_is_fixed_once_and_kept(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    calls = iter(range(1000))
    first = train(
        spec(base, data, epochs=1000, minutes=0.02, warmup_steps=6), tmp_path / "job",
        should_stop=lambda: next(calls) >= 8,
    )  # fmt: skip
    assert first.steps <= read_position(tmp_path / "job")["planned"] < 3000
    done = train(spec(base, data, epochs=1000, minutes=0.02, warmup_steps=6, patience=1000), tmp_path / "other")
    assert done.steps < 3000


def test_patience_ends_a_run_that_no_longer_improves(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    result = train(spec(base, data, learning_rate=0.9, epochs=100, patience=2), tmp_path / "job")
    assert result.steps < 300


def test_a_checkpoint_of_another_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    train(spec(base, data, epochs=1), tmp_path / "job")
    with pytest.raises(TrainingError, match="another dataset, base model or recipe"):
        train(spec(base, data, epochs=2), tmp_path / "job")
    (tmp_path / "job" / "checkpoint" / "checkpoint.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="damaged"):
        train(spec(base, data, epochs=1), tmp_path / "job")


def test_bad_data_is_named_with_file_and_line(base: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    path = data / "train.jsonl"
    path.write_text(path.read_text() + "{not json\n")
    with pytest.raises(DatasetError, match=r"train\.jsonl:25"):
        train(spec(base, data), tmp_path / "job")
    path.write_text("")
    with pytest.raises(DatasetError, match="no records"):
        train(spec(base, data), tmp_path / "job2")


def test_a_full_disk_keeps_the_previous_checkpoint(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_dataset(tmp_path / "data")
    calls = iter(range(1000))
    train(spec(base, data), tmp_path / "job", should_stop=lambda: next(calls) >= 5)
    before = (tmp_path / "job" / "checkpoint" / "checkpoint.safetensors").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sqlora.train.checkpoint.save_file", full)
    with pytest.raises(TrainingError, match="No space left"):
        train(spec(base, data), tmp_path / "job")
    monkeypatch.undo()
    assert (tmp_path / "job" / "checkpoint" / "checkpoint.safetensors").read_bytes() == before
    assert not list((tmp_path / "job" / "checkpoint").glob("*.part"))
    assert train(spec(base, data), tmp_path / "job").steps == 12
