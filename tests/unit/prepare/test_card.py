"""The card: what it counts, and the page made of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sqlora.prepare import prepare
from sqlora.prepare.card import CardBuilder
from sqlora.prepare.coverage import Coverage, own_words
from sqlora.prepare.dedupe import LookAlike
from sqlora.prepare.examples import Example, Rejection, Split
from sqlora.prepare.lengths import BARS, Lengths
from sqlora.prepare.notes import empty_splits
from sqlora.prepare.page import render, samples
from sqlora.project import Project
from sqlora.sql.constructs import CONSTRUCTS, constructs, uses
from sqlora.sql.dialect import Dialect
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.schema import Schema
from sqlora.sql.structure import structure
from tests.page import Page

from .conftest import MakeProject

PAIRS = '[[sources]]\nkind = "pairs"\npath = "a.jsonl"\n'
SHARES = "[prepare]\nvalidation_share = 0.1\ntest_share = 0.2\n"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> ‮ \" ' & </style>"


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    return make_project(PAIRS, a=[])


@pytest.fixture
def builder(project: Project, dialect: Dialect, schema: Schema) -> CardBuilder:
    return CardBuilder(project, dialect, schema, "s" * 260)


@pytest.fixture
def kept(dialect: Dialect, schema: Schema, pairs: list[dict[str, str]]) -> list[Example]:
    """The pairs as the checker leaves them: eight to train on, two of each other split."""
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    found = []
    for pair, split in zip(pairs, splits, strict=True):
        tree = dialect.parse(pair["sql"])
        found.append(
            Example(pair["question"], pair["sql"], "a.jsonl", split, template=structure(tree), constructs=constructs(tree),  # type: ignore[arg-type]
                    uses=uses(tree, schema))
        )  # fmt: skip
    return found


def test_what_is_taught_is_counted_by_construct_word_and_name(builder: CardBuilder, kept: list[Example]) -> None:
    for example in kept:
        builder.keep(example)
    found = builder.as_dict()["coverage"]
    every = {name: counts for group in found["constructs"].values() for name, counts in group.items()}
    assert list(every) == [name for group in CONSTRUCTS.values() for name in group]
    assert every["count"] == {"train": 4, "validation": 0, "test": 1}
    assert every["is null"] == {"train": 0, "validation": 1, "test": 0}
    assert found["untaught"] == [name for name, counts in every.items() if counts["test"] and not counts["train"]]
    assert "distinct" in found["untaught"]
    assert found["dialect"]["functions"]["TALLY"] == 4
    assert found["dialect"]["functions"]["RATIO"] == 0
    assert found["dialect"]["functions"]["FISCAL_YEAR"] == 0, "only the test has it"
    assert found["dialect"]["keywords"] == {"MISSING": 0, "VIA": 1, "TAKE": 0, "SKIP": 0}
    schema = found["schema"]
    assert (schema["tables"], schema["tables_used"]) == (4, 4)
    assert schema["examples_of_table"] == {"customer": 2, "product": 3, "order": 2, "order_line": 2}
    assert "customer.tier" in schema["unused_columns"]
    assert "order.channel" not in schema["unused_columns"]


def test_an_empty_split_is_told_with_what_to_do(builder: CardBuilder, kept: list[Example], project: Project) -> None:
    for example in kept:
        builder.keep(replace(example, split="train", template=f"t {len(example.sql) % 3}"))
    card = builder.as_dict()
    assert card["notes"] == [
        f"the {split} split is empty, so {missed}: 3 query structures are too few to draw it from; "
        "add examples that need other queries, or set split in [[sources]]"
        for split, missed in (("validation", "training is not watched"), ("test", "there is nothing to evaluate with"))
    ]
    assert "The test split is empty, so there is nothing to evaluate with" in render(card, {})
    section = project.prepare.model_copy(update={"test_share": 0.0, "split": "given"})
    none: dict[Split, int] = {"validation": 0, "test": 0}
    assert empty_splits({"validation": 1, "test": 0}, 3, section) == []
    [given] = empty_splits(none, 3, section)
    assert "no source and no pair is in it" in given
    assert "nothing is left of what its source has" in empty_splits(none, 3, section, ["test"])[1]


def test_a_project_has_one_schema_whatever_a_log_calls_its_databases(builder: CardBuilder, kept: list[Example]) -> None:
    for number, example in enumerate(kept):
        builder.keep(replace(example, database=f"db{number}"))
    assert builder.as_dict()["schemas"] == 1
    builder.keep(replace(kept[0], system="CREATE TABLE t (x INT)", uses=()))
    assert builder.as_dict()["schemas"] == 2


def test_a_plain_dialect_has_no_words_of_its_own() -> None:
    assert own_words(Dialect("duckdb")) == {}


def test_lengths_sources_rejects_and_look_alikes(builder: CardBuilder, kept: list[Example]) -> None:
    builder.seen("a.jsonl", 12)
    builder.seen("a.jsonl")
    for example in kept:
        builder.keep(replace(example, weight=10.0))
    for number in range(7):
        builder.reject(Rejection("column", kept[0], "no such column", f"a.jsonl line {number}", "correct it"))
    builder.reject(Rejection("syntax", kept[1]))
    alike = LookAlike("a", "b", "c", "d")
    card = builder.as_dict([alike], 3)
    assert card["sources"] == {"a.jsonl": {"seen": 13, "kept": 12, "train": 8, "validation": 2, "test": 2}}
    assert card["rejected"] == {"column": 7, "syntax": 1}
    assert len(card["rejected_examples"]["column"]) == 5
    assert card["rejected_examples"]["column"][0]["origin"] == "a.jsonl line 0"
    assert card["look_alikes"] == {"count": 3, "shown": [{"question": "a", "sql": "b", "earlier_question": "c", "earlier_sql": "d"}]}
    assert card["lengths"]["question"]["longest"] == max(len(example.question) for example in kept)
    assert card["lengths"]["tokens"]["median"] > 100, "the system text is counted"
    assert card["queries"] == 120
    assert "pruning" not in card
    json.dumps(card)


def test_recall_of_pruned_schemas(builder: CardBuilder, kept: list[Example]) -> None:
    for example, recall in zip(kept, [(1.0, 1.0), (1.0, 0.5), (0.5, 0.5), None], strict=False):
        builder.keep(replace(example, recall=recall))
    assert builder.as_dict()["pruning"] == {"examples": 3, "whole": 1, "tables": 0.8333, "columns": 0.6667}


def test_the_bill_has_every_backend_and_no_mistake_of_it_ends_prepare(
    builder: CardBuilder, kept: list[Example], make_project: MakeProject, dialect: Dialect
) -> None:
    for example in kept:
        builder.keep(example)
    cost = builder.beside()["cost"]
    assert list(cost["backends"]) == ["bedrock", "sagemaker", "local"]
    assert float(cost["backends"]["bedrock"]["total"]) > 1.95
    assert cost["backends"]["local"]["shown"] == "$0.00"
    wrong = CardBuilder(make_project(PAIRS, "[train]\nrank = -1\n", a=[]), dialect, None)
    assert wrong.beside() == {}


@pytest.mark.parametrize(
    ("lengths", "median", "p95", "width"),
    [([7], 7, 7, 1), (range(1, 101), 50, 95, 5), ([0] * 99 + [2_900], 0, 0, 100), (range(0, 30_000, 7), 14_994, 28_497, 1_000)],
)
def test_a_histogram_has_few_bars_and_all_that_was_counted(lengths: Any, median: int, p95: int, width: int) -> None:
    counted = Lengths()
    for length in lengths:
        counted.add(length)
    found = counted.as_dict()
    assert (found["median"], found["p95"], found["width"]) == (median, p95, width)
    assert len(found["bars"]) <= BARS + 1
    assert sum(found["bars"]) == len(lengths)
    assert found["start"] <= min(lengths)
    assert found["start"] + width * len(found["bars"]) > max(lengths)


def test_the_page_of_a_prepared_dataset(make_project: MakeProject, pairs: list[Any]) -> None:
    bad = [
        {"question": HOSTILE, "sql": "SELECT colour FROM product"},
        {"question": f"how many products {HOSTILE}", "sql": "SELECT TALLY() FROM product -- </pre>"},
        {"question": "How many customers!", "sql": "SELECT TALLY() FROM customer"},
    ]
    dataset = prepare(make_project(PAIRS, SHARES, a=pairs + bad))
    assert dataset.page is not None
    text = dataset.page.read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name in ("src", "href") and not str(value).startswith("#")]
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", text)
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert "‮" not in text, "characters that turn the text around are written out"
    for words in ("what the model is taught", "Left out", "Examples", "alert(1)", "Lengths", "Sources", "Amazon Bedrock", "SHA-256",
                  "colour", "a.jsonl line 13", "TALLY", "rejects.jsonl", "never"):  # fmt: skip
        assert words in page.text, words


def test_the_page_of_the_barest_card() -> None:
    page = Page(render({}, {}))
    assert "what the model is taught" in page.text
    other = {"id": "x", "dialect": None, "splits": {"train": 9, "validation": 0, "test": 0}, "sources": {"s3://b/k": {"seen": 9, "kept": 9}},
             "rejected": {"syntax": 1}, "rejected_examples": {"syntax": ["as older cards have them"]},
             "bedrock": {"records": 3, "fewest": 8, "most": 20_000, "fits": False}}  # fmt: skip
    page = Page(render(other, {"train": [], "validation": [], "test": []}))
    assert "as older cards have them" in page.text
    assert "Bedrock takes 8 to 20,000" in page.text


def test_samples_are_spread_over_each_split(tmp_path: Path) -> None:
    rows = [{"question": str(n), "sql": "", "split": split} for split, count in (("train", 100), ("test", 2)) for n in range(count)]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = samples(tmp_path, {"splits": {"train": 100, "validation": 0, "test": 2}})
    assert [row["question"] for row in found["train"]] == ["12", "37", "62", "87"]
    assert [row["question"] for row in found["test"]] == ["0", "1"]
    assert found["validation"] == []


def test_a_word_counts_where_it_is_one(schema: Schema) -> None:
    spec = DialectSpec.from_text(
        'name = "house"\n[keywords]\n"NOT AVAILABLE" = "NULL"\nVIA = "USING"\n[operators]\n"~=" = "<>"\n'
        '[functions]\n"TOTAL(x)" = "SUM(x)"\n"TOTAL(x, y)" = "SUM(x + y)"\n[macros]\n"@mine" = "tenant = 42"\n'
    )
    coverage = Coverage(Dialect("house", spec), None)
    for sql in ("SELECT total, 'VIA', \"~=\" FROM t", "SELECT Total (a) FROM t JOIN u VIA (a) WHERE a IS NOT AVAILABLE",
                "SELECT a FROM t WHERE @MINE AND a ~= 1", "SELECT available FROM t WHERE NOT b"):  # fmt: skip
        coverage.add(Example("q", sql, "s", "train"))
    assert coverage.as_dict()["dialect"] == {
        "functions": {"TOTAL": 1}, "macros": {"@mine": 1}, "keywords": {"NOT AVAILABLE": 1, "VIA": 1}, "operators": {"~=": 1},
    }  # fmt: skip
