"""The real base model through the whole way: prepare, train (killed in the middle and resumed), deploy, ask, evaluate.

Needs the package registry, or a cache with the converted model; skipped with a reason where neither is there.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import duckdb
import pytest

from sqlora.backends.base import TrainingRequest
from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import InterruptedRunError, RetryableError
from sqlora.evaluate.run import evaluate
from sqlora.models.base import resolve_base_model
from sqlora.prepare import Dataset, prepare
from sqlora.project import Project, load_project
from sqlora.prompting import clean_sql, record
from sqlora.train.recipe import Recipe

pytestmark = pytest.mark.e2e

CITIES = ("Leeds", "York", "Cork", "Oslo", "Bergen", "Galway", "Derby", "Malmo")
WORDINGS = ("how many stores are in {}", "number of stores in {}", "count the {} stores", "stores in {}?")
RECIPE = Recipe(name="e2e", epochs=4, batch_size=8, rank=8, validate_every=4, validation_examples=4, warmup_steps=2)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    try:
        resolve_base_model("smollm2-135m")
    except RetryableError as error:
        pytest.skip(f"the base model can't be fetched: {error.message}")
    folder = tmp_path_factory.mktemp("project")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE store (store_id INTEGER PRIMARY KEY, store_name VARCHAR, city VARCHAR)")
        rows = [(n, f"Shop {n}", CITIES[n % len(CITIES)]) for n in range(60)]
        connection.executemany("INSERT INTO store VALUES (?, ?, ?)", rows)
    pairs = [
        {"question": wording.format(city), "sql": f"SELECT COUNT(*) FROM store WHERE city = '{city}'"}
        for city in CITIES[:-1]
        for wording in WORDINGS
    ]
    test = [
        {"question": f"how many stores have a name like {n}", "sql": f"SELECT COUNT(*) FROM store WHERE store_id = {n}"}
        for n in (3, 4)
    ]
    validation = [
        {"question": "Malmo stores, how many?", "sql": "SELECT COUNT(*) FROM store WHERE city = 'Malmo'"}
    ]
    for name, lines in (("train", pairs), ("test", test), ("validation", validation)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    sources = "".join(
        f'[[sources]]\nkind = "pairs"\npath = "{name}.jsonl"\nsplit = "{name}"\n'
        for name in ("train", "test", "validation")
    )
    (folder / "sqlora.toml").write_text(
        f'[project]\nname = "shop"\ndialect = "duckdb"\n[database]\nurl = "duckdb:///shop.duckdb"\n{sources}'
    )
    return load_project(folder)


@pytest.fixture(scope="module")
def dataset(project: Project) -> Dataset:
    return prepare(project)


@pytest.fixture(scope="module")
def backend(project: Project, dataset: Dataset) -> Iterator[LocalBackend]:
    """A backend with a model that was trained with its worker killed in the middle."""
    with LocalBackend(project) as backend:
        request = TrainingRequest(dataset.id, RECIPE, model_name="whole")
        whole = backend.wait(backend.submit_training(request).id)
        assert whole.status == "Completed", whole.failure_message
        killed = backend.submit_training(TrainingRequest(dataset.id, RECIPE, model_name="killed"))
        deadline = time.monotonic() + 600
        while (backend.job(killed.id).progress or {}).get("step", 0) < 6:  # a checkpoint was written at step 4
            assert time.monotonic() < deadline
            time.sleep(0.2)
        pid = backend.job(killed.id).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(InterruptedRunError):
            backend.wait(killed.id)
        again = backend.wait(backend.resume(killed.id).id)
        assert again.status == "Completed", again.failure_message
        backend.create_deployment("killed", "shop")
        yield backend


def losses(project: Project, backend: LocalBackend, model: str) -> dict[int, float]:
    job = next(job for job in backend.state.jobs.list() if job.model_name == model)
    lines = (project.paths.job(job.id) / "metrics.jsonl").read_text().splitlines()
    return {m["step"]: m["loss"] for m in map(json.loads, lines) if m["phase"] == "training" and m["loss"] is not None}


def test_a_killed_training_ends_with_the_same_losses(project: Project, backend: LocalBackend) -> None:
    whole, killed = losses(project, backend, "whole"), losses(project, backend, "killed")
    both = whole.keys() & killed.keys()  # the file is written a few times a second, so a step may be missing
    assert len(both) >= 7
    assert {step: killed[step] for step in both} == {step: whole[step] for step in both}
    assert min(whole.values()) < whole[1] / 3


def test_the_tuned_model_answers_what_it_was_taught_in_a_city_it_never_saw(
    project: Project, backend: LocalBackend
) -> None:
    question = record(backend.system("shop"), f"count the {CITIES[-1]} stores")
    items = list(backend.converse("shop", question, Sampling(max_tokens=60)))
    done = items[-1]
    assert isinstance(done, Completion)
    assert "".join(item.text for item in items if isinstance(item, Delta)) == done.text
    sql = clean_sql(done.text)
    with project.open_database() as database:
        assert [tuple(row) for row in database.run(sql).rows] == [(7,)]
    summary = backend.state.usage.summary(deployment="shop")
    assert sum(row.output_tokens for row in summary) >= done.output_tokens


def test_evaluation_compares_base_and_tuned(project: Project, backend: LocalBackend, dataset: Dataset) -> None:
    report = evaluate(project, dataset, backend, ["base", "shop"], sampling=Sampling(max_tokens=40), latency=None)
    base, tuned = report.models
    assert (base.name, tuned.name) == ("base", "shop")
    assert tuned.valid.count > base.valid.count
    assert (project.paths.evaluation(report.id) / "report.html").is_file()
