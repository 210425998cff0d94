"""`tests.conformance.test_faults` for SageMaker: training job, manifest, import into Bedrock, deployment, and back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from sqlora.project import load_project
from tests.conformance.desk import hasty_server
from tests.conformance.sagemaker_desk import SageMakerDesk
from tests.conformance.test_faults import EXAMPLES, Life, plans, there_and_back
from tests.conformance.trouble import DEATHS
from tests.wire.live import Live

ROOT = Path(__file__).parents[2]
HEALTH = list(HealthCheck)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with hasty_server(tmp_path_factory.mktemp("sagemaker")) as running:
        yield running


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=HEALTH)
@given(st.lists(plans(), min_size=1, max_size=6), st.lists(plans(), min_size=1, max_size=4))
def test_tried_again_and_again_it_is_done_once(
    server: Live,
    tmp_path_factory: pytest.TempPathFactory,
    making: list[dict[int, str]],
    taking: list[dict[int, str]],
) -> None:
    desk = SageMakerDesk(server.url, tmp_path_factory.mktemp("once"))
    try:
        there_and_back(desk, making, taking)
        assert list(desk.made().values()) == [1]
    finally:
        desk.close()


class SageMakerLife(Life):
    """The same commands."""

    @initialize()
    def begin(self) -> None:
        self.desk = SageMakerDesk(self.server.url, self.folder)


def test_any_life_leaves_nothing_behind(server: Live, tmp_path: Path) -> None:
    machine = type("SageMakerLives", (SageMakerLife,), {"server": server, "folder": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=10, deadline=None, suppress_health_check=HEALTH),
    )


@pytest.mark.parametrize("fault", DEATHS)
def test_a_death_at_every_operation(server: Live, tmp_path: Path, fault: str) -> None:
    """One after the other, each process further than the one before, to the last operation of all."""
    desk = SageMakerDesk(server.url, tmp_path)
    try:
        operation = 0
        while not desk.attempt(desk.make, {operation: fault}):
            desk.check()
            operation += 1
            assert operation < 500
        assert list(desk.made().values()) == [1]
        operation = 0
        while not desk.attempt(desk.destroy, {operation: fault}):
            desk.check()
            operation += 1
            assert operation < 500
        assert (desk.there(), desk.objects(), desk.backend.resources()) == ([], [], [])
    finally:
        desk.close()


def test_killed_for_real(server: Live, tmp_path: Path) -> None:
    desk = SageMakerDesk(server.url, tmp_path)
    command = [sys.executable, "-m", "tests.conformance.killed", "sagemaker", server.url, str(tmp_path), str(desk.number)]
    try:
        for verb, operations in (("make", (6, 11, 7)), ("destroy", (4, 7))):
            for operation in operations:
                arguments = [verb, str(operation), DEATHS[operation % 2]]
                ended = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180)
                assert ended.returncode == -signal.SIGKILL, ended.stderr
                desk.check()
            desk.make() if verb == "make" else desk.destroy()
        assert list(desk.made().values()) == [1]
        assert (desk.there(), desk.objects(), desk.backend.resources()) == ([], [], [])
    finally:
        desk.close()


def test_an_import_that_failed_is_had_again_without_training_again(
    server: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = SageMakerDesk(server.url, tmp_path)
    try:
        with monkeypatch.context() as broken:
            broken.setattr(server.application.place.backend, "_check_adapter", _refuse)
            failed = desk.train("retail")
        assert failed.status == "Failed"
        assert "the import into Bedrock failed: the adapter does not fit" in (failed.failure_message or "")
        assert desk.there() == []
        job = desk.backend.matching_job(desk.request("retail"))
        assert job == failed
        assert desk.backend.wait(desk.backend.resume(job.id).id).status == "Completed"
        assert list(desk.made().values()) == [1]
        assert Counter(kind for kind, _ in desk.there()) == {"model": 1}
        assert load_project(desk.folder, environ={}).aws.model == desk.backend.model(desk.model_name("retail")).base_model
        desk.destroy()
    finally:
        desk.close()


def _refuse(folder: Path, base_model: str) -> dict[str, object]:
    from sqlora.errors import ModelError

    raise ModelError("the adapter does not fit")
