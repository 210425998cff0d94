"""The whole pipeline with a store in memory and workers that train nothing (fake_training.py)."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform import customization, worker
from sqlora.platform.customization import Customization, CustomizationRequest, Customizations
from sqlora.platform.customization_training import Training
from sqlora.platform.hyperparameters import recipe_of
from sqlora.platform.state import State
from sqlora.prepare.dataset import load_dataset
from sqlora.project import StateFolder
from tests.unit.platform.fake_training import COMMAND
from tests.unit.platform.memory_objects import MemoryObjects
from tests.unit.platform.test_customization_data import TRAIN, VALIDATION, jsonl

OUTPUT = "s3://bucket/out/"
LONG = {"steps": 10_000}  # at 10 ms a step: as long as any test could take
WAIT = 60.0


class Shop:
    """One project's customizations, which can be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.paths = StateFolder(folder)
        self.objects = MemoryObjects()
        self.objects.content = {TRAIN: jsonl(8), VALIDATION: jsonl(2, first=100)}
        self.state = State(self.paths.database)
        self.customizations = self.opened()

    def opened(self, command: Sequence[str] = COMMAND) -> Customizations:
        return Customizations(self.state, self.paths, self.objects, "base-model", 7, command, retries=(0.0, 0.0))

    def submit(self, name: str = "job", recipe: dict[str, Any] | None = None, **changes: Any) -> str:
        values: dict[str, Any] = {
            "kind": "bedrock",
            "region": "us-east-1",
            "job_name": name,
            "model_name": f"{name}-model",
            "training": (TRAIN,),
            "validation": (VALIDATION,),
            "output": OUTPUT,
            "recipe": recipe_of({}),
            "request": {"jobName": name},
            **changes,
        }
        id = self.customizations.submit(CustomizationRequest(**values)).id
        if recipe:
            known = self.get(id).details["recipe"]
            self.customizations.records.note(id, recipe={**known, **recipe})
        return id

    def get(self, id: str) -> Customization:
        return self.customizations.get(id)

    def start(self) -> None:
        self.customizations.start()

    def restart(self) -> None:
        """As after a kill, as far as the state can tell: what the old thread knew is gone."""
        self.customizations = self.opened()
        self.customizations.start()

    def until(self, id: str, what: Callable[[Customization], bool]) -> Customization:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            if what(found := self.get(id)):
                return found
            time.sleep(0.01)
        raise AssertionError(f"still {self.get(id)}")

    def ended(self, id: str) -> Customization:
        return self.until(id, lambda found: found.phase == "done")

    def training(self, id: str) -> Customization:
        """Until a worker has made its first step."""
        steps = self.paths.job(id) / "steps.txt"
        return self.until(id, lambda found: worker.alive(found.job) and steps.exists())

    def workers(self, id: str) -> list[int]:
        """The processes that have made steps, in order."""
        lines = (self.paths.job(id) / "steps.txt").read_text().splitlines()
        return list(dict.fromkeys(int(line.split()[0]) for line in lines))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path)
    yield found
    found.customizations.close()
    for job in found.state.jobs.list():
        if worker.alive(job) and job.pid is not None:
            psutil.Process(job.pid).kill()
    found.state.close()


def test_a_job_ends_with_a_model_here_and_metrics_in_the_bucket(shop: Shop) -> None:
    id = shop.submit(tags={"a": "1"}, model_tags={"b": "2"})
    assert shop.get(id).status == "InProgress"
    assert shop.get(id).steps["validation"].status == "NotStarted"
    shop.start()
    found = shop.ended(id)
    assert (found.status, found.failure_message, found.stop_requested) == ("Completed", None, False)
    model = shop.state.models.get(found.model_id or "")
    assert (model.name, model.job_id, model.base_model, model.origin) == ("job-model", id, "base-model", "trained")
    written = {uri: text for uri, text in shop.objects.content.items() if uri.startswith(OUTPUT)}
    metrics = f"{OUTPUT}model-customization-job-{id}/training_artifacts/step_wise_training_metrics.csv"
    assert [*written] == [metrics]  # the fake training validates nothing, and weights are never there
    assert written[metrics].splitlines()[:2] == [
        b"step_number,epoch_number,training_loss,perplexity",
        written[metrics].splitlines()[1],
    ]
    assert written[metrics].splitlines()[1].startswith(b"0,0,1.0,2.718")
    assert shop.state.tags.of(f"job/{id}") == {"a": "1"}
    assert shop.state.tags.of(f"model/{model.id}") == {"b": "2"}


def test_it_trains_on_the_buckets_records_by_the_calls_recipe(shop: Shop) -> None:
    id = shop.submit()
    shop.start()
    shop.ended(id)
    job = shop.state.jobs.get(id)
    dataset = load_dataset(shop.paths.dataset(job.dataset_id))
    assert (len([*dataset.records("train")]), len([*dataset.records("validation")])) == (8, 2)
    from sqlora.platform.spec import JobSpec

    spec = JobSpec.load(shop.paths.job(id))
    assert (spec.base_model, spec.seed, spec.recipe["epochs"]) == ("base-model", 7, 2)
    assert spec.manifest["system"] == "the schema"
    assert not (shop.paths.job(id) / "input").exists()


def test_each_phase_has_its_times(shop: Shop) -> None:
    id = shop.submit()
    shop.start()
    found = shop.ended(id)
    steps = [*found.steps.values()]
    assert [step.status for step in steps] == ["Completed"] * 4
    times = [time for step in steps for time in (step.created_at, step.updated_at)]
    assert times == sorted(times, key=str)
    assert found.ended_at is not None
    assert found.ended_at >= (steps[-1].created_at or "")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (jsonl(8) + b"{}\n", f"{TRAIN} line 9: messages is not a list"),
        (jsonl(3), "3 training records; at least 8"),
        (
            jsonl(8).replace(b"question 4?", b"User: 4?"),
            f"{TRAIN} line 5: messages[0].content[0].text contains 'User:'",
        ),
    ],
)
def test_bad_data_fails_the_job_with_file_and_line(shop: Shop, content: bytes, complaint: str) -> None:
    shop.objects.content[TRAIN] = content
    id = shop.submit()
    shop.start()
    found = shop.ended(id)
    assert found.status == "Failed"
    assert complaint in (found.failure_message or "")
    assert (found.steps["validation"].status, found.steps["training"].status) == ("Failed", "NotStarted")
    assert shop.state.jobs.get(id).status == "Failed"
    assert shop.state.models.list() == []


def test_a_failed_training_fails_the_job(shop: Shop) -> None:
    id = shop.submit(recipe={"fail": 2})
    shop.start()
    found = shop.ended(id)
    assert found.status == "Failed"
    assert "loss is not finite at step 2" in (found.failure_message or "")
    assert found.steps["training"].status == "Failed"


def test_jobs_are_worked_one_after_another_in_their_order(shop: Shop) -> None:
    ids = [shop.submit(f"job{number}") for number in range(3)]
    shop.start()
    found = [shop.ended(id) for id in ids]
    for before, after in itertools.pairwise(found):
        assert (before.ended_at or "") <= (after.steps["validation"].created_at or "")


def test_taken_names_are_conflicts_and_leave_nothing(shop: Shop) -> None:
    shop.submit()
    with pytest.raises(ConflictError):
        shop.submit()
    with pytest.raises(ConflictError):
        shop.submit("other", model_name="job-model")
    assert len(shop.customizations.list()) == 1


def test_jobs_of_the_command_line_are_no_customizations(shop: Shop) -> None:
    job = shop.state.jobs.create("plain", model_name="m", base_model="b", dataset_id="d", recipe="r")
    with pytest.raises(NotFoundError):
        shop.customizations.get(job.id)
    assert shop.customizations.list() == []


# stopping -----------------------------------------------------------------------------------------------------


def test_a_job_that_waits_is_stopped_at_once(shop: Shop) -> None:
    id = shop.submit()
    shop.customizations.stop("job")
    assert shop.get(id).status == "Stopped"
    shop.start()
    other = shop.submit("other")
    assert shop.ended(other).status == "Completed"
    assert shop.get(id).status == "Stopped"


def test_a_training_job_is_stopped_with_its_worker(shop: Shop) -> None:
    id = shop.submit(recipe=LONG)
    shop.start()
    job = shop.training(id).job
    shop.customizations.stop(id)
    assert shop.get(id).status in ("Stopping", "Stopped")
    shop.customizations.stop(id)  # asking twice is the same
    found = shop.ended(id)
    assert (found.status, found.steps["training"].status) == ("Stopped", "Stopped")
    shop.until(id, lambda found: not worker.alive(job))
    assert shop.state.models.list() == []
    with pytest.raises(ConflictError, match="is Stopped"):
        shop.customizations.stop(id)


def test_a_job_is_stopped_while_its_records_are_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customization, "LOOK_SECONDS", 0.0)
    reading, go_on = threading.Event(), threading.Event()
    lines = jsonl(8).splitlines()

    def slowly(uri: str) -> Iterator[bytes]:
        for line in lines:
            yield line
            reading.set()
            go_on.wait(WAIT)

    monkeypatch.setattr(shop.objects, "open", slowly)
    id = shop.submit()
    shop.start()
    assert reading.wait(WAIT)
    shop.customizations.stop(id)
    go_on.set()
    assert shop.ended(id).status == "Stopped"
    assert shop.ended(shop.submit("other", validation=())).status == "Completed"
    assert not (shop.paths.job(id) / "input").exists()


def test_a_stop_on_the_command_line_is_a_stop(shop: Shop) -> None:
    id = shop.submit(recipe=LONG)
    shop.start()
    shop.training(id)
    worker.stop(shop.state, id)
    assert shop.ended(id).status == "Stopped"


def test_stopped_while_uploading_it_leaves_no_model(shop: Shop) -> None:
    uploading, go_on = threading.Event(), threading.Event()

    def upload(job: Any, found: Customization) -> None:
        uploading.set()
        go_on.wait(WAIT)

    shop.customizations.artifacts["bedrock"] = upload
    id = shop.submit()
    shop.start()
    assert uploading.wait(WAIT)
    assert shop.get(id).status == "InProgress"  # the model is there, the customer's job not done
    shop.customizations.stop(id)
    assert shop.get(id).status == "Stopping"
    go_on.set()
    assert shop.ended(id).status == "Stopped"
    assert shop.state.models.list() == []
    folder = shop.paths.model(shop.state.jobs.get(id).reserved_model_id)
    shop.until(id, lambda found: not folder.exists())


def test_a_job_over_its_time_is_stopped(shop: Shop) -> None:
    id = shop.submit(recipe=LONG, max_runtime_seconds=0.05)
    shop.start()
    found = shop.ended(id)
    assert (found.status, found.timed_out) == ("Stopped", True)


# what fails for a while or for good ---------------------------------------------------------------------------


def test_a_store_that_is_away_for_a_moment_costs_nothing(shop: Shop) -> None:
    shop.objects.failing = 2
    id = shop.submit()
    shop.start()
    assert shop.ended(id).status == "Completed"


def test_a_store_that_stays_away_fails_the_job(shop: Shop) -> None:
    shop.objects.failing = 100
    id = shop.submit()
    shop.start()
    assert "does not answer" in (shop.ended(id).failure_message or "")


def test_a_failed_upload_fails_the_job_and_keeps_the_model(shop: Shop) -> None:
    id = shop.submit(output="s3://elsewhere/out")
    shop.start()
    found = shop.ended(id)
    assert (found.status, found.model_id) == ("Failed", None)
    assert found.failure_message == (
        f"s3://elsewhere/out/model-customization-job-{id}/training_artifacts/step_wise_training_metrics.csv: "
        "there is no such bucket; the custom model job-model was made and is kept"
    )
    assert [model.name for model in shop.state.models.list()] == ["job-model"]


def test_another_kind_of_job_uploads_in_its_own_way(shop: Shop) -> None:
    seen: list[tuple[str, str, str]] = []
    shop.customizations.artifacts["sagemaker"] = lambda job, found: seen.append((job.id, found.output, found.kind))
    id = shop.submit(kind="sagemaker")
    shop.start()
    assert shop.ended(id).status == "Completed"
    assert seen == [(id, OUTPUT, "sagemaker")]
    assert shop.state.models.list()[0].origin == "escrow"
    assert [found.id for found in shop.customizations.list("bedrock")] == []


def test_a_killed_worker_is_resumed_from_its_checkpoint(shop: Shop) -> None:
    id = shop.submit(recipe={"steps": 60})
    shop.start()
    os.kill(shop.training(id).job.pid or 0, signal.SIGKILL)
    assert shop.ended(id).status == "Completed"
    steps = [int(line.split()[1]) for line in (shop.paths.job(id) / "steps.txt").read_text().splitlines()]
    assert len(shop.workers(id)) == 2
    assert steps[-1] == 60
    assert len(steps) <= 61  # the step that was under way is made twice, no other


def test_a_job_that_kills_its_worker_each_time_fails(shop: Shop, tmp_path: Path) -> None:
    command = tmp_path / "killing.py"
    command.write_text(
        "import os, sys\n"
        f"sys.path[:0] = {[str(Path(__file__).parents[3])]!r}\n"
        "from pathlib import Path\n"
        "from sqlora.platform.run import run_job\n"
        "def train(*_):\n"
        "    with open(sys.argv[1] + '/starts', 'a') as file: file.write('x')\n"
        "    os.kill(os.getpid(), 9)\n"
        "run_job(Path(sys.argv[1]), sys.argv[2], train=train)\n"
    )
    shop.customizations = shop.opened((COMMAND[0], str(command)))
    id = shop.submit()
    shop.start()
    found = shop.ended(id)
    assert found.status == "Failed"
    assert "the worker was killed 4 times" in (found.failure_message or "")
    assert (shop.paths.path / "starts").read_text() == "xxxx"


# the server ends ----------------------------------------------------------------------------------------------


def test_closed_with_its_checkpoint_and_gone_on_with_at_the_next_start(shop: Shop) -> None:
    id = shop.submit(recipe={"steps": 80})
    shop.start()
    job = shop.training(id).job
    shop.customizations.close()
    assert not worker.alive(job)
    assert shop.state.jobs.get(id).status == "Stopped"
    assert shop.get(id).status == "InProgress"  # the customer did not stop it
    shop.restart()
    assert shop.ended(id).status == "Completed"
    steps = [int(line.split()[1]) for line in (shop.paths.job(id) / "steps.txt").read_text().splitlines()]
    assert steps == [*range(1, 81)]


def test_stopped_while_the_server_is_closed(shop: Shop) -> None:
    id = shop.submit(recipe=LONG)
    shop.start()
    shop.training(id)
    shop.customizations.close()
    shop.customizations.stop(id)
    assert shop.get(id).status == "Stopped"
    shop.restart()
    assert shop.ended(shop.submit("other")).status == "Completed"
    assert shop.get(id).status == "Stopped"


def test_closing_while_records_are_read_begins_them_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = threading.Event()

    def endlessly(uri: str) -> Iterator[bytes]:
        while True:
            yield jsonl(1).strip()
            reading.set()

    with monkeypatch.context() as patched:
        patched.setattr(shop.objects, "open", endlessly)
        patched.setattr("sqlora.platform.customization_data.MOST", 10**9)
        id = shop.submit()
        shop.start()
        assert reading.wait(WAIT)
        shop.customizations.close()
    assert shop.get(id).status == "InProgress"
    shop.restart()
    assert shop.ended(id).status == "Completed"


def abandoned(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends as with its process: nothing is noted, the worker runs on."""
    with monkeypatch.context() as patched:
        patched.setattr(Training, "_pause", lambda self, id: None)
        shop.customizations.close()


def test_a_killed_server_follows_the_worker_that_has_gone_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    id = shop.submit(recipe={"steps": 150})
    shop.start()
    shop.training(id)
    abandoned(shop, monkeypatch)
    shop.restart()
    assert shop.ended(id).status == "Completed"
    assert len(shop.workers(id)) == 1


def test_a_killed_server_whose_worker_was_killed_too_resumes_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    id = shop.submit(recipe={"steps": 80})
    shop.start()
    job = shop.training(id).job
    abandoned(shop, monkeypatch)
    os.kill(job.pid or 0, signal.SIGKILL)
    shop.restart()
    assert shop.ended(id).status == "Completed"
    assert len(shop.workers(id)) == 2


def test_a_killed_server_whose_worker_ended_meanwhile_uploads(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    id = shop.submit(recipe={"steps": 40})
    shop.start()
    shop.training(id)
    abandoned(shop, monkeypatch)
    shop.until(id, lambda found: found.job.status == "Completed")
    assert shop.get(id).status == "InProgress"
    shop.restart()
    assert shop.ended(id).status == "Completed"
    assert any(uri.endswith("training_metrics.csv") for uri in shop.objects.content)


def test_a_server_killed_in_the_upload_does_it_again(shop: Shop) -> None:
    id = shop.submit()
    shop.start()
    shop.ended(id)
    before = dict(shop.objects.content)
    shop.customizations.close()
    shop.objects.content = {TRAIN: before[TRAIN]}
    details = {key: value for key, value in shop.get(id).details.items() if key not in ("outcome", "ended_at")}
    shop.state.execute("UPDATE customizations SET phase = 'upload', details = ?", (json.dumps(details),))
    shop.restart()
    assert shop.ended(id).status == "Completed"
    assert {**before, **shop.objects.content} == before
    assert len(shop.objects.content) == 2


def test_a_server_killed_between_the_phases_of_its_data_begins_them_again(shop: Shop) -> None:
    id = shop.submit()
    shop.customizations.records.begin(id, "validation")
    shop.customizations.records.begin(id, "data")
    torn = shop.paths.job(id) / "input" / "train.jsonl"
    torn.parent.mkdir(parents=True)
    torn.write_text("{torn")
    shop.start()
    assert shop.ended(id).status == "Completed"


def test_a_removed_job_is_no_obstacle(shop: Shop) -> None:
    id = shop.submit()
    shop.customizations.stop(id)
    shop.state.jobs.delete(id)
    assert shop.customizations.list() == []
    shop.start()
    assert shop.ended(shop.submit("other")).status == "Completed"


KILLED = """
import sys
from pathlib import Path
from tests.unit.platform.test_customization import Shop
shop = Shop(Path(sys.argv[1]))
id = shop.submit(recipe={"steps": 150})
shop.start()
print(id, flush=True)
sys.stdin.read()
"""


def test_a_server_killed_for_real(tmp_path: Path) -> None:
    """SIGKILL while its worker trains: the worker goes on, the next server follows it and uploads."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stdout is not None
        id = server.stdout.readline().strip()
        shop = Shop(tmp_path)
        try:
            shop.training(id)
            server.kill()
            server.wait()
            shop.start()
            assert shop.ended(id).status == "Completed"
            assert len(shop.workers(id)) == 1
        finally:
            server.kill()
            shop.customizations.close()
            shop.state.close()
