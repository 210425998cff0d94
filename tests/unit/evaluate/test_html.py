from __future__ import annotations

import base64
import hashlib
import html
import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.evaluate.report.html import render
from sqlora.evaluate.run import evaluate
from sqlora.pages.element import Html, element, escape, join, sql
from sqlora.prepare.dataset import Dataset
from sqlora.project import Project
from tests.page import Page
from tests.unit.evaluate.fake import MUTATED, QUESTIONS, ColdBackend, FakeBackend, make_dataset

EVIL = "<script>alert('x')</script><img src=x onerror=\"alert(1)\">"


def page_of(project: Project, dataset: Dataset, **answers: dict[str, str]) -> str:
    report = evaluate(project, dataset, FakeBackend(answers), list(answers), latency=None)
    return (project.paths.evaluation(report.id) / "report.html").read_text(encoding="utf-8")


def test_hostile_text_stays_text(project: Project) -> None:
    with duckdb.connect(str(project.folder / "shop.duckdb")) as connection:
        connection.execute("UPDATE store SET store_name = ? WHERE store_id = 1", [EVIL])
        connection.execute(f'ALTER TABLE store ADD COLUMN "{EVIL.replace(chr(34), chr(34) * 2)}" TEXT')
    questions = {f"stores {EVIL}": "SELECT store_name FROM store", "all": "SELECT * FROM store"}
    dataset = make_dataset(project, questions, tags=(f"{EVIL}={EVIL}", EVIL))
    answers = {f"stores {EVIL}": "SELECT * FROM store", "all": f"SELECT '{EVIL}' FROM {EVIL}"}
    text = page_of(project, dataset, **{"base": {}, EVIL: answers})
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert EVIL in page.text
    assert page.open == []


def test_only_the_pages_own_script_may_run(project: Project, dataset: Dataset) -> None:
    text = page_of(project, dataset, base=MUTATED, tuned=QUESTIONS)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in html.unescape(policy)
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy)


def test_nothing_is_loaded_from_anywhere(project: Project, dataset: Dataset) -> None:
    text = page_of(project, dataset, base=MUTATED, tuned=QUESTIONS)
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    assert not [value for name, value in page.attributes if name == "src"]
    assert all((value or "").startswith("#") for name, value in page.attributes if name == "href")
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_it_shows(project: Project, dataset: Dataset) -> None:
    half = {**QUESTIONS, "oldest store": MUTATED["oldest store"]}
    base = {"oldest store": QUESTIONS["oldest store"]}
    report = evaluate(project, dataset, ColdBackend({"base": base, "tuned": half}), ["base", "tuned"])
    text = Page(render(report)).text
    for part in (
        "87.5 %", "7 of 8", "12.5 %", "7 fixed, 1 broken", "p = 0.070", "too little to tell",
        "all 8", "failures 1", "fixed by tuning 7", "regressions 1",
        "wrong rows", "no answer", "group by", "level", "first token, cold", "$0.80 + $1.95 storage",
        "8 questions are few", "expected", "South", "DISTINCT",
    ):  # fmt: skip
        assert part in text, part


def test_filters_find_their_questions(project: Project, dataset: Dataset) -> None:
    base = {"oldest store": QUESTIONS["oldest store"]}
    text = page_of(project, dataset, base=base, tuned={**QUESTIONS, "oldest store": ""})
    groups = [value or "" for name, value in Page(text).attributes if name == "data-groups"]
    assert len(groups) == 8
    assert sum("fixed" in group.split() for group in groups) == 7
    [lost] = [group.split() for group in groups if "regression" in group.split()]
    assert {"failure", "error-no-answer", "sql-order-take", "level-hard"} <= set(lost)
    targets = {(value or "")[1:] for name, value in Page(text).attributes if name == "href"}
    assert targets <= {token for group in groups for token in group.split()} | {"error-no-answer"}


def test_ten_rows_are_shown_and_the_rest_counted(project: Project) -> None:
    with duckdb.connect(str(project.folder / "shop.duckdb")) as connection:
        connection.execute("INSERT INTO sale VALUES (999, NULL, NULL, NULL)")
    dataset = make_dataset(project, {"sales": "SELECT sale_id, amount FROM sale ORDER BY sale_id DESC"})
    text = Page(page_of(project, dataset, base={})).text
    assert "and 51 more" in text
    assert "NULL" in text


@given(st.text(st.characters(exclude_categories=["C"])))
def test_escaped_text_reads_back(text: str) -> None:
    assert html.unescape(escape(text)) == text
    assert not re.search(r"[<>\"']", escape(text))


@given(st.text(alphabet=st.sampled_from("SELECT \"'<>&[]-\n1x")), st.text(alphabet=st.sampled_from("SELECT 'x<")))
def test_coloured_sql_keeps_its_text(text: str, other: str) -> None:
    page = Page(str(sql(text, other)))
    assert page.text == text
    assert set(page.tags) <= {"i", "mark"}
    assert page.open == []


def test_words_that_differ_are_marked() -> None:
    shown = sql("SELECT a FROM t WHERE b > 3", "select a from t where b > 4")
    assert re.findall(r"<mark>(.*?)</mark>", shown) == ['<i class="number">3</i>']


def test_hidden_characters_are_written_out() -> None:
    assert escape("a\u202eb\x00c\u200bd\ttab") == "a\\u202eb\\u0000c\\u200bd\ttab"


def test_elements() -> None:
    assert element("a", "x<y", None, [element("b", 1)], href='#"', class_="k", hidden=True, title=None) == (
        '<a href="#&quot;" class="k" hidden>x&lt;y<b>1</b></a>'
    )
    assert element("input", data_filter="f") == '<input data-filter="f">'
    assert join("<") == "&lt;"
    assert join(Html("<b>")) == "<b>"


@pytest.mark.parametrize("cell", ["\ud800", "a\ud800b"])
def test_half_a_surrogate_does_not_stop_the_report(project: Project, dataset: Dataset, cell: str) -> None:
    answers = {question: f"SELECT '{cell}'" for question in QUESTIONS}
    assert "SELECT" in page_of(project, dataset, base=answers)
