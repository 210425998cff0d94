"""Two processes train what one does: the same losses, the same adapter, and each goes on with the other's checkpoint."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import TrainingError
from sqlora.models.adapter import load_adapter
from sqlora.models.precision import Precision
from sqlora.prompting import Encoded
from sqlora.train import loop
from sqlora.train.loop import Run, train
from sqlora.train.packing import pack
from sqlora.train.parallel import ALONE, Group, joined, share, together
from tests.tiny import tiny_model
from tests.unit.train import parallel_runs
from tests.unit.train.parallel_runs import RUNS, STOP_AT, of, write_data
from tests.unit.train.test_loop import losses, read_position

ROOT = Path(__file__).parents[3]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")


class Both:
    """The same runs by one process and by two."""

    def __init__(self, folder: Path) -> None:
        self.base, self.data = tiny_model(folder / "base"), folder
        self.one, self.two = folder / "one", folder / "two"
        write_data(folder)
        for name in RUNS:
            train(of(name, self.base, folder), self.one / name)
        calls = iter(range(1000))
        begun = self.two / "begun alone"
        train(of("held", self.base, folder), begun, should_stop=lambda: next(calls) >= STOP_AT)
        self.begun = shutil.copytree(begun, folder / "as it was begun")
        command = [*TORCHRUN, "--nproc-per-node", "2", "-m", parallel_runs.__name__]
        done = subprocess.run(
            [*command, str(self.base), str(folder), str(self.two)],
            capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "choose_precision", lambda: Precision("cpu", torch.float32, "a test"))
        return Both(tmp_path_factory.mktemp("parallel"))


@pytest.mark.parametrize("name", RUNS)
def test_the_losses_are_those_of_one_process(both: Both, name: str) -> None:
    alone, together = read_position(both.one / name), read_position(both.two / name)
    assert len(together["losses"]) == len(alone["losses"]) > 10
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert together["losses"][0] == pytest.approx(alone["losses"][0], rel=1e-6)
    for mine, other in zip(together["validation"], alone["validation"], strict=True):
        assert mine == pytest.approx(other, rel=1e-4)
    assert together["best_step"] == alone["best_step"]


@pytest.mark.parametrize("name", RUNS)
def test_the_adapter_is_that_of_one_process(both: Both, name: str) -> None:
    alone, _, about = load_adapter(both.one / name / "adapter")
    together, _, told = load_adapter(both.two / name / "adapter")
    for key, tensor in alone.items():
        assert torch.allclose(together[key], tensor, rtol=1e-2, atol=1e-4), key
    assert told["steps"] == about["steps"]


def test_all_stop_together_and_one_process_goes_on_with_the_same_losses(both: Both, tmp_path: Path) -> None:
    stopped = shutil.copytree(both.two / "stopped", tmp_path / "stopped")
    assert len(losses(stopped)) == STOP_AT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "choose_precision", lambda: Precision("cpu", torch.float32, "a test"))
        train(of("held", both.base, both.data), stopped)
    assert losses(stopped) == pytest.approx(losses(both.one / "held"), rel=1e-4)


def test_two_go_on_with_what_one_began(both: Both) -> None:
    assert len(losses(both.begun)) == STOP_AT
    assert losses(both.two / "begun alone")[:STOP_AT] == losses(both.begun)
    assert losses(both.two / "begun alone") == pytest.approx(losses(both.one / "held"), rel=1e-4)


def test_a_plan_made_by_the_clock_is_the_leaders(both: Both) -> None:
    """Otherwise one process would wait for a step that the other does not make."""
    position = read_position(both.two / "timed")
    assert len(position["losses"]) == position["planned"] < 1500


# without processes --------------------------------------------------------------------------------------------

tokens = st.lists(st.integers(0, 3), min_size=1, max_size=12).map(tuple)
examples = st.lists(st.builds(Encoded, tokens, tokens), min_size=1, max_size=30)


@given(examples, st.integers(1, 5), st.integers(8, 64))
def test_the_shares_together_are_the_whole_and_every_prefix_is_in_each(
    examples: list[Encoded], size: int, pack_tokens: int
) -> None:
    whole = pack(examples, pack_tokens)
    shares = [share(whole, rank, size, pack_tokens) for rank in range(size)]
    branches = [(p.prefix, branch) for mine in shares for p in mine for branch in p.branches]
    assert sorted(branches) == sorted((p.prefix, branch) for p in whole for branch in p.branches)
    for mine in shares:
        assert list(dict.fromkeys(p.prefix for p in mine)) == list(dict.fromkeys(p.prefix for p in whole))
        assert all(len(p.branches) <= 1 or p.tokens <= pack_tokens for p in mine)
    counts = [sum(len(p.branches) for p in mine) for mine in shares]
    assert max(counts) - min(counts) <= 1


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # some schedulers set it for everything they start
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with joined() as group:
        assert group is ALONE
    assert group.leads


def test_more_processes_than_examples_a_step(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    write_data(tmp_path)
    with pytest.raises(TrainingError, match="16 processes cannot share a step of 8 examples"):
        Run(of("held", base, tmp_path), tmp_path / "job", lambda progress: None, Group(3, 16))


def test_a_process_that_has_ended_is_named_as_the_reason() -> None:
    with pytest.raises(TrainingError, match=r"another process of this training has ended.*closed by peer"), together():
        raise RuntimeError("Connection closed by peer [127.0.0.1]:22938")
