from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest

from sqlora.engines.base import Sampling
from sqlora.errors import BusyError, ConfigError, DatasetError, InterruptedRunError, NotFoundError
from sqlora.evaluate.report.contents import KINDS, Report
from sqlora.evaluate.report.json import read_json, schema
from sqlora.evaluate.run import Answering, EvaluateProgress, evaluate
from sqlora.prepare.dataset import Dataset
from sqlora.project import Project
from sqlora.sql.execute.isolated import IsolatedDatabase
from tests.unit.evaluate.fake import MUTATED, QUESTIONS, FakeBackend, make_dataset, make_project

ROOT = Path(__file__).parents[3]
GOLD: Mapping[str, Mapping[str, str]] = {"base": MUTATED, "tuned": QUESTIONS}


def run(project: Project, dataset: Dataset, backend: Answering, *models: str, chunk: int = 3) -> Report:
    return evaluate(project, dataset, backend, models, latency=None, chunk=chunk)


def answered(project: Project, question: str, sql: str, answer: str) -> Report:
    dataset = make_dataset(project, {question: sql})
    return run(project, dataset, FakeBackend({"base": {question: answer}}), "base")


def test_references_as_answers_are_all_right_and_mutated_ones_are_not(project: Project, dataset: Dataset) -> None:
    report = run(project, dataset, FakeBackend(GOLD), "base", "tuned")
    base, tuned = report.models
    assert tuned.execution_accuracy.value == tuned.exact.value == tuned.valid.value == 1.0
    assert tuned.errors == {}
    assert base.execution_accuracy.value == 0.0
    assert base.valid.value == base.runs.value == 1.0
    [found] = report.differences
    assert (found.fixed, found.regressions, found.difference) == (8, 0, 1.0)
    assert found.p_value == pytest.approx(2 / 2**8)
    assert found.significant


def test_mutated_answers_fail_as_what_they_are(project: Project, dataset: Dataset) -> None:
    report = run(project, dataset, FakeBackend(GOLD), "base")
    kinds = {question.question: question.answers[0].kind for question in report.questions}
    assert kinds["how many stores are there"] == "wrong rows"
    assert kinds["which stores are in Leeds"] == "row count"
    assert kinds["sales per month"] == "row count"
    assert sum(report.models[0].errors.values()) == 8
    assert set(report.models[0].errors) <= set(KINDS)


def test_a_tuned_models_answer_that_fails_gives_way_to_the_best_beam_that_does_not(
    project: Project, dataset: Dataset
) -> None:
    oldest, sales = "oldest store", "sales by store"
    wrong = QUESTIONS | {oldest: "SELECT name FROM store", sales: "SELECT store_name, SUM(amount) FROM sale"}
    beams = {oldest: ("SELECT shop FROM store", QUESTIONS[oldest]), sales: ("SELECT amount FROM",)}
    backend = FakeBackend({"base": wrong, "tuned": wrong}, beams=beams)
    report = run(project, dataset, backend, "base", "tuned")
    base, tuned = report.models
    assert (base.revised, tuned.revised) == (0, 1)
    assert (base.valid.value, tuned.valid.value) == (0.75, 0.875)
    judged = {question.question: question.answers[1] for question in report.questions}
    assert (judged[oldest].sql, judged[oldest].correct, judged[oldest].revised) == (QUESTIONS[oldest], True, True)
    assert (judged[sales].sql, judged[sales].valid, judged[sales].revised) == (wrong[sales], False, False)
    asked = [question for name, question in backend.asked if name == "tuned"]
    assert sorted(q for q in asked if asked.count(q) > 1) == sorted([oldest, oldest, sales, sales])
    again = FakeBackend({"base": wrong, "tuned": wrong}, beams=beams)
    assert run(project, dataset, again, "base", "tuned").models[1].revised == 1
    assert again.asked == []


@pytest.mark.parametrize(
    ("answer", "kind", "valid", "runs"),
    [
        ("", "no answer", False, False),
        ("I don't know any stores, sorry.", "syntax", False, False),
        ("SELECT store_name FROM shops", "unknown table", False, False),
        ("SELECT shop_name FROM store", "unknown column", False, False),
        ("SELECT store_id FROM store, sale", "ambiguous column", False, False),
        ("SELECT frobnicate(store_name) FROM store", "unknown function", False, False),
        ("SELECT CAST(store_name AS INTEGER) FROM store", "refused by the database", True, False),
        ("SELECT store_name, city FROM store ORDER BY opened_on", "wrong columns", True, True),
        ("SELECT store_name FROM store WHERE store_id > 1", "row count", True, True),
        ("SELECT store_name FROM store ORDER BY opened_on DESC", "wrong order", True, True),
        ("SELECT city FROM store ORDER BY opened_on", "wrong rows", True, True),
    ],
)
def test_error_kinds(project: Project, answer: str, kind: str, valid: bool, runs: bool) -> None:
    report = answered(project, "stores by age", "SELECT store_name FROM store ORDER BY opened_on", answer)
    [judged] = report.questions[0].answers
    assert (judged.kind, judged.valid, judged.runs, judged.correct) == (kind, valid, runs, False)
    assert judged.detail
    assert kind in KINDS


@pytest.mark.parametrize(
    "answer",
    [
        "SELECT store_name, city FROM store",
        "select city, store_name from store",
        "SELECT s.store_name AS name, s.city FROM store AS s ORDER BY 1",
        "```sql\nSELECT store_name, city FROM store;\n```",
    ],
)
def test_other_ways_to_say_it_are_right(project: Project, answer: str) -> None:
    report = answered(project, "stores and cities", "SELECT store_name, city FROM store", answer)
    [judged] = report.questions[0].answers
    assert judged.correct
    assert judged.columns_permuted == answer.startswith("select city")


@pytest.mark.parametrize(
    "hostile",
    [
        "DROP TABLE store",
        "SELECT 1; DROP TABLE store",
        "DELETE FROM sale",
        "COPY store TO '{folder}/stolen.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '{folder}/new.db' AS x",
        "WITH x AS (DELETE FROM sale RETURNING *) SELECT * FROM x",
        "INSTALL httpfs",
        "UPDATE store SET city = 'x'",
    ],
)
def test_hostile_sql_is_invalid_and_never_reaches_the_database(
    project: Project, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    original = IsolatedDatabase.run

    def spy(self: IsolatedDatabase, sql: str, *limits: object) -> object:
        sent.append(sql)
        return original(self, sql, *limits)  # type: ignore[arg-type]

    monkeypatch.setattr(IsolatedDatabase, "run", spy)
    folder = project.folder
    report = answered(project, "q", "SELECT COUNT(*) FROM store", hostile.replace("{folder}", str(folder)))
    [judged] = report.questions[0].answers
    assert not judged.valid
    assert not judged.runs
    assert judged.kind in ("syntax", "not a query", "unknown table", "unknown function")
    assert sent == ["SELECT COUNT(*) FROM store"]
    assert not list(folder.glob("stolen*"))
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT COUNT(*) FROM store").fetchall() == [(3,)]
        assert connection.execute("SELECT COUNT(*) FROM sale").fetchall() == [(60,)]


def test_references_that_say_nothing_are_counted_apart(project: Project) -> None:
    questions = {
        "stores": "SELECT store_name FROM store",
        "none": "SELECT store_name FROM store WHERE city = 'Rome'",
        "null": "SELECT MAX(amount) FROM sale WHERE sale_id > 99",
        "broken": "SELECT nothing FROM store",
    }
    dataset = make_dataset(project, questions)
    report = run(project, dataset, FakeBackend({"base": questions}), "base")
    golds = report.golds
    assert (golds.total, golds.rows, golds.empty, golds.null_only, golds.broken) == (4, 1, 1, 1, 1)
    model = report.models[0]
    assert (model.execution_accuracy.count, model.execution_accuracy.n) == (1, 1)
    assert (model.trivial.count, model.trivial.n) == (2, 2)
    assert any("1 references don't run" in note for note in report.notes)
    assert any("1 references give no row" in note for note in report.notes)


def test_a_query_past_its_time_is_a_limit(tmp_path: Path) -> None:
    project = make_project(tmp_path, "[evaluate]\nseconds = 0.3\n")
    slow = "SELECT COUNT(*) FROM sale a, sale b, sale c, sale d, sale e, sale f WHERE a.amount < b.amount + f.amount"
    report = answered(project, "q", "SELECT COUNT(*) FROM store", slow)
    [judged] = report.questions[0].answers
    assert (judged.kind, judged.valid, judged.runs) == ("limit", True, False)


def test_breakdown(project: Project) -> None:
    dataset = make_dataset(project, tags=("clerk",))
    half = {**QUESTIONS, **{q: MUTATED[q] for q in list(QUESTIONS)[::2]}}  # the easy ones wrong
    report = run(project, dataset, FakeBackend({"base": half}), "base")
    rows = {(row.dimension, row.group): row for row in report.breakdown}
    assert rows["level", "easy"].shares["base"].value == 0.0
    assert rows["level", "hard"].shares["base"].value == 1.0
    assert rows["SQL", "group by"].n == 2
    assert rows["SQL", "order + take"].n == 2
    assert rows["SQL", "window"].n == rows["SQL", "subquery"].n == 1
    assert rows["SQL", "date functions"].n == 1
    # one group says nothing, and neither does one for each question
    assert not [key for key in rows if key[0] in ("tag", "source", "template", "id")]


def test_whether_the_template_was_taught(project: Project) -> None:
    dataset = make_dataset(project)
    sidecar = dataset.folder / "examples.jsonl"
    rows = [json.loads(line) for line in sidecar.read_text().splitlines()]
    taught = next(row["template"] for row in rows if row["split"] == "train")
    next(row for row in rows if row["question"] == "oldest store")["template"] = taught
    sidecar.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(project, dataset, FakeBackend(GOLD), "tuned")
    assert [question.template_seen for question in report.questions] == [False] * 7 + [True]
    assert {row.group: row.n for row in report.breakdown if row.dimension == "template"} == {
        "taught": 1,
        "not taught": 7,
    }


def test_a_second_run_asks_nothing(project: Project, dataset: Dataset) -> None:
    first, second = FakeBackend(GOLD), FakeBackend(GOLD)
    one = run(project, dataset, first, "base", "tuned")
    two = run(project, dataset, second, "base", "tuned")
    assert len(first.asked) == 16
    assert second.asked == []
    assert one.model_copy(update={"created": ""}) == two.model_copy(update={"created": ""})
    assert one.questions[1].result is not None
    assert one.questions[1].result.rows == [["East"], ["North"]]  # sorted, since nothing asks for an order


def test_another_evaluation_takes_the_answers_it_can(project: Project, dataset: Dataset) -> None:
    run(project, dataset, FakeBackend(GOLD), "base")
    backend = FakeBackend(GOLD)
    run(project, dataset, backend, "base", "tuned")
    assert {name for name, _ in backend.asked} == {"tuned"}


def test_a_new_model_under_an_old_name_is_asked_anew(project: Project, dataset: Dataset) -> None:
    run(project, dataset, FakeBackend(GOLD), "tuned")
    backend = FakeBackend(GOLD, model_ids={"tuned": "another"})
    run(project, dataset, backend, "tuned")
    assert len(backend.asked) == 8


def test_other_sampling_is_asked_anew(project: Project, dataset: Dataset) -> None:
    run(project, dataset, FakeBackend(GOLD), "tuned")
    backend = FakeBackend(GOLD)
    evaluate(project, dataset, backend, ["tuned"], sampling=Sampling(max_tokens=9), latency=None)
    assert len(backend.asked) == 8


def test_a_kill_loses_at_most_a_chunk(project: Project, dataset: Dataset) -> None:
    script = (
        "import sys; from pathlib import Path; from sqlora.project import load_project\n"
        "from sqlora.prepare.dataset import load_dataset; from sqlora.evaluate.run import evaluate\n"
        "from tests.unit.evaluate.fake import *\n"
        "evaluate(load_project(sys.argv[1], environ={}), load_dataset(sys.argv[2]),\n"
        "         FakeBackend({'tuned': QUESTIONS}, kill_at=3), ['tuned'], latency=None, chunk=3)"
    )
    command = [sys.executable, "-c", script, str(project.folder), str(dataset.folder)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    [answers] = project.state.glob("evaluations/*/answers.jsonl")
    with answers.open("a") as file:
        file.write('{"model": "torn')  # as if it had been killed while writing
    backend = FakeBackend(GOLD)
    report = run(project, dataset, backend, "tuned")
    assert len(backend.asked) == 2
    assert report.models[0].execution_accuracy.value == 1.0
    assert len(answers.read_text().splitlines()) == 8


def test_ctrl_c_keeps_the_answers(project: Project, dataset: Dataset) -> None:
    with pytest.raises(InterruptedRunError, match="stopped at question 4 of 8 of tuned"):
        run(project, dataset, FakeBackend(GOLD, stop_at=2), "tuned")
    backend = FakeBackend(GOLD)
    run(project, dataset, backend, "tuned")
    assert len(backend.asked) == 5


def test_progress(project: Project, dataset: Dataset) -> None:
    seen: list[EvaluateProgress] = []
    evaluate(project, dataset, FakeBackend(GOLD), ["tuned"], progress=seen.append, latency=None, chunk=3)
    asked = [step for step in seen if step.phase == "questions"]
    assert [step.done for step in asked] == [0, 3, 6, 8, 8]
    assert asked[0].seconds_left is None
    assert asked[-1].seconds_left == 0
    assert asked[-1].correct == 8
    assert seen[0].phase == "references"


def test_limit(project: Project, dataset: Dataset) -> None:
    backend = FakeBackend(GOLD)
    report = evaluate(project, dataset, backend, ["tuned"], limit=3, latency=None)
    assert len(backend.asked) == report.golds.total == 3


def test_mistakes_show_before_anything_is_asked(project: Project, dataset: Dataset) -> None:
    backend = FakeBackend(GOLD)
    with pytest.raises(NotFoundError, match="no deployment 'other'"):
        run(project, dataset, backend, "base", "other")
    with pytest.raises(ConfigError, match="named twice"):
        run(project, dataset, backend, "tuned", "tuned")
    with pytest.raises(ConfigError, match="no model"):
        run(project, dataset, backend)
    with pytest.raises(DatasetError, match="no test questions"):
        run(project, make_dataset(project, {}), backend, "base")
    (dataset.folder / "test.jsonl").write_text("")
    with pytest.raises(DatasetError, match=r"test\.jsonl has 0 records"):
        run(project, dataset, backend, "base")
    assert backend.asked == []


def test_two_processes_at_once(project: Project, dataset: Dataset) -> None:
    class Nested(FakeBackend):
        def converse_batch(self, *arguments: object, caller: str = "") -> list[object]:  # type: ignore[override]
            with pytest.raises(BusyError, match="another process"):
                run(project, dataset, FakeBackend(GOLD), "tuned")
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        run(project, dataset, Nested(GOLD), "tuned")


def test_without_a_database_answers_are_judged_by_text(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    dataset = make_dataset(project)
    (tmp_path / "sqlora.toml").write_text('[project]\nname = "shop"\n')
    from sqlora.project import load_project

    report = run(load_project(tmp_path, environ={}), dataset, FakeBackend(GOLD), "base", "tuned")
    assert report.golds.not_run == 8
    assert report.models[1].execution_accuracy.value is None
    assert report.models[1].exact.value == 1.0
    assert report.models[0].exact.value == 0.0
    assert report.models[0].errors == {}
    assert report.differences[0].n == 0


def test_the_report_is_read_back(project: Project, dataset: Dataset) -> None:
    report = run(project, dataset, FakeBackend(GOLD), "base", "tuned")
    folder = project.paths.evaluation(report.id)
    assert read_json(folder) == report
    assert (folder / "report.html").is_file()
    (folder / "report.json").write_text('{"version": 99}')
    with pytest.raises(DatasetError, match="not a report of version"):
        read_json(folder)
    with pytest.raises(NotFoundError):
        read_json(folder / "none")


def test_the_schema_of_the_report_explains_it() -> None:
    described = schema()
    model = described["$defs"]["ModelResult"]["properties"]
    assert "Parses in the dialect" in model["valid"]["description"]
    assert described["$defs"]["Difference"]["properties"]["p_value"]["description"].startswith("McNemar")


def test_cost_of_the_measured_tokens(project: Project, dataset: Dataset) -> None:
    # The fake answers with 800 tokens in and 60 out: the reference workload.
    base, tuned = run(project, dataset, FakeBackend(GOLD), "base", "tuned").models
    assert tuned.cost is not None
    assert base.cost is not None
    assert tuned.cost.shown == "$0.80 + $1.95 storage"
    assert base.cost.shown == "$0.80"  # nobody stores the base model for us
