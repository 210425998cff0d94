"""``sqlora prepare`` and what it and ``sqlora datasets show`` say; ``--check`` of a file that is there already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.prompting import record
from tests.unit.cli.conftest import Run


def test_prepare_says_the_main_facts_and_where_the_card_is(run: Run, project: Path) -> None:
    done = run("prepare")
    assert done.exit_code == 0, done.stderr
    for words in ("18 train, 0 validation, 3 test", "SQL taught", "constructs; without", "schema taught", "2 of 2 tables", "on bedrock",
                  "card.html", "train.jsonl"):  # fmt: skip
        assert words in done.stdout, words
    assert "next: sqlora train" in done.stderr
    assert "warning: the validation split is empty, so training is not watched: " in done.stderr
    shown = run("datasets", "show")
    assert [line for line in done.stdout.splitlines() if line not in shown.stdout.splitlines()] == []


def test_what_was_left_out_is_shown_with_what_to_do(run: Run, project: Path) -> None:
    with (project / "train.jsonl").open("a") as stream:
        stream.write(json.dumps({"question": "colours of the stores", "sql": "SELECT colour FROM store"}) + "\n")
    assert run("prepare").exit_code == 0
    shown = run("datasets", "show", "--rejects", "5").stdout
    assert "colours of the stores" in shown
    assert "train.jsonl line 19" in shown
    rejects = json.loads(run("datasets", "show", "--rejects", "5", "--json").stdout)["rejects"]
    assert [(reject["reason"], reject["sql"]) for reject in rejects] == [("column", "SELECT colour FROM store")]
    assert rejects[0]["suggestion"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    file = tmp_path / "own.jsonl"
    lines = [json.dumps(record("s", f"question {n}", f"SELECT {n}")) for n in range(10)]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("backend", [[], ["--backend", "bedrock"], ["--backend", "sagemaker"], ["--backend", "local"]])
def test_a_good_file_passes_without_a_project(run: Run, records: Path, backend: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(records.parent)
    checked = run("prepare", "--check", str(records), *backend)
    assert checked.exit_code == 0, checked.stderr
    assert checked.stdout == f"own.jsonl: 10 records; {backend[-1] if backend else 'bedrock'} takes them\n"
    assert json.loads(run("prepare", "--check", str(records), *backend, "--json").stdout)["passed"] is True


def test_a_file_with_faults_is_told_line_by_line(run: Run, records: Path) -> None:
    lines = records.read_text().splitlines()
    lines[3] = json.dumps(record("s", "User: who are you", "SELECT 1"))
    lines[5] = "{"
    records.write_text("\n".join(lines))
    checked = run("prepare", "--check", str(records))
    assert checked.exit_code == 1
    assert "10 records, 2 problems; bedrock does not take it" in checked.stdout
    answer = json.loads(run("prepare", "--check", str(records), "--json").stdout)
    assert (answer["passed"], answer["count"], [problem["line"] for problem in answer["problems"]]) == (False, 2, [4, 6])
    assert all(problem["next"] for problem in answer["problems"])


def test_one_fault_is_one_problem(run: Run, records: Path) -> None:
    records.write_text("{}\n")
    assert "own.jsonl: 1 record, 1 problem; local" in run("prepare", "--check", str(records), "--backend", "local").stdout


def test_many_faults_are_counted_and_some_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("{\n" * 50)
    checked = run("prepare", "--check", str(file), "--backend", "local")
    assert checked.exit_code == 1
    assert "50 problems (30 more than are listed" in checked.stdout


def test_a_file_that_is_not_there_is_one_error(run: Run, tmp_path: Path) -> None:
    checked = run("prepare", "--check", str(tmp_path / "no.jsonl"))
    assert checked.exit_code == 1
    assert "no.jsonl" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_backend_without_check_is_a_mistake(run: Run, project: Path) -> None:
    done = run("prepare", "--backend", "local")
    assert done.exit_code == 2
    assert "--check FILE" in done.stderr
