"""Several processes give what one gives, in the same order; one that ends early is one clear error, and no hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from sqlora.errors import DatasetError, SqloraError
from sqlora.prepare import prepare
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources import read_source
from sqlora.prepare.workers import BATCH, ParallelChecker, Result, Worker, open_checker
from sqlora.project import Project

from .conftest import MakeProject

PAIRS = '[[sources]]\nkind = "pairs"\npath = "a.jsonl"\n'
Open = Callable[..., Any]


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    return make_project(PAIRS, a=[])


@contextmanager
def checking(project: Project, processes: int = 2, alone: int = 5) -> Iterator[ParallelChecker]:
    with open_checker(project) as here, ParallelChecker(here, project, processes, alone) as parallel:
        yield parallel


def candidates(count: int) -> Iterator[Candidate | Rejection]:
    for number in range(count):
        example = Example(f"products over {number}", f"SELECT product_name FROM product WHERE price > {number}", "a")
        if number % 7 == 3:
            yield Rejection("malformed", Example("", "", "a"), "not JSON", f"a line {number}")
        elif number % 5 == 4:
            yield Candidate(Example(example.question, "SELECT colour FROM product", "a"), f"a line {number}")
        else:
            yield Candidate(example, f"a line {number}")


def test_two_processes_give_what_one_gives_in_order(project: Project) -> None:
    count = 3 * BATCH + 11
    with checking(project, processes=1) as one:
        expected = list(one.check(candidates(count)))
    with checking(project) as two:
        found = list(two.check(candidates(count)))
        assert len(two.pids) == 2
    assert found == expected
    assert [result[0] for result in found] == [f"a line {number}" for number in range(count)]
    assert {type(result[1]) for result in found} == {Example, Rejection}


def test_a_small_source_starts_no_process(project: Project) -> None:
    with checking(project, alone=50) as parallel:
        assert len(list(parallel.check(candidates(50)))) == 50
        assert parallel.pids == []


def test_a_second_source_uses_the_same_processes(project: Project) -> None:
    with checking(project) as parallel:
        first = list(parallel.check(candidates(20)))
        pids = parallel.pids
        assert list(parallel.check(candidates(20))) == first
        assert parallel.pids == pids


def test_a_source_may_be_left_before_its_end(project: Project) -> None:
    def endless() -> Iterator[Candidate | Rejection]:
        while True:
            yield from candidates(100)

    with checking(project) as parallel:
        results = parallel.check(endless())
        assert len([next(results) for _ in range(300)]) == 300
        results.close()  # type: ignore[attr-defined]
        assert len(list(parallel.check(candidates(30)))) == 30
        pids = parallel.pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_is_a_clear_error(project: Project, how: signal.Signals) -> None:
    with checking(project) as parallel:
        results = parallel.check(candidates(100_000))
        for _ in range(10):
            next(results)
        for pid in parallel.pids:
            os.kill(pid, how)
        with pytest.raises(DatasetError, match=rf"{how.name}.*while checking a line \d+ to a line \d+") as caught:
            list(results)
    assert "processes = 1" in str(caught.value.next_step)


def test_the_error_of_a_process_is_that_of_its_starter(make_project: MakeProject) -> None:
    project = make_project(PAIRS, a=[])
    with checking(project) as parallel:
        missing = project.settings.database.model_copy(update={"url": "duckdb:///gone.duckdb"})
        lost = Project(project.folder, project.settings.model_copy(update={"database": missing}))
        parallel._project = lost
        with pytest.raises(SqloraError, match=r"no database file .*gone\.duckdb"):
            list(parallel.check(candidates(20)))


def test_what_a_process_dies_of_is_said(project: Project) -> None:
    worker = Worker(project)
    try:
        with pytest.raises(DatasetError, match=r"ended with code 1.*AttributeError"):
            worker.ask([Candidate(None)])  # type: ignore[arg-type]
    finally:
        worker.close()


def test_memory_that_runs_out_is_a_clear_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlora.prepare import workers

    def answer(batch: list[Any]) -> list[Result]:
        raise MemoryError

    found = workers._answer(answer, list(candidates(2)))
    assert isinstance(found, DatasetError)
    assert "memory ran out while checking a line 0 to a line 1" in found.message


def test_a_dataset_is_the_same_with_any_number_of_processes(
    make_project: MakeProject, pairs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlora.prepare import workers

    monkeypatch.setattr(workers, "ALONE", 3)
    rows = pairs + [
        {"question": f"products over {number} euros", "sql": f"SELECT product_name FROM product WHERE price > {number}"}
        for number in range(90)
    ]
    ids = []
    for processes in (1, 2, 3):
        project = make_project(PAIRS, f"[prepare]\nprocesses = {processes}\n", a=rows)
        ids.append(prepare(project, again=True).id)
    assert len(set(ids)) == 1


@pytest.mark.shared
def test_public_pairs_in_a_custom_dialect_are_the_same_from_two_processes(make_project: MakeProject) -> None:
    data = Path(__file__).parents[4] / "shared" / "data" / "sql-create-context" / "wikisql_dev.jsonl.gz"
    if not data.is_file():
        pytest.skip(f"{data} is not here")
    project = make_project(f'[[sources]]\nkind = "sql-create-context"\npath = "{data}"\n')
    [source] = project.sources

    def some() -> list[Candidate | Rejection]:
        return list(islice(read_source(source, project, "dev"), 200))

    with checking(project, processes=1) as one:
        expected = list(one.check(some()))
    with checking(project) as two:
        assert list(two.check(some())) == expected
    examples = [found for _, found, _ in expected if isinstance(found, Example)]
    assert len(examples) > 190
    dialect = project.dialect()
    assert all(dialect.normalize(example.sql) == example.sql for example in examples)
