"""Every training pair of the retail example is sound: it parses, resolves, runs, and keeps the glossary's conventions.

The held-out test questions are not read here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from sqlora.prepare.check import Checker
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import open_database

from .conftest import RETAIL

FILES = sorted((RETAIL / "questions").glob("train*.jsonl"))
PAIRS = [json.loads(line) for file in FILES for line in file.read_text(encoding="utf-8").splitlines()]
AUTHORS = {"manager", "analyst", "clerk", "buyer", "store lead", "finance"}
FEATURES = [
    "TAKE", "SKIP", "[order]", "[group]", '"', "~=", "RESEMBLES", "IS MISSING", "IS NOT MISSING", "VIA (", "TOTAL(",
    "AVERAGE(", "TALLY()", "TALLY(email)", "UNIQUES(", "ADD_DAYS(", "ADD_MONTHS(", "DAYS_BETWEEN(", "BUSINESS_DATE()",
    "YEAR_OF(", "MONTH_OF(", "MONTH_START(", "FISCAL_YEAR(", "FISCAL_QUARTER(", "IFMISSING(", "RATIO(", "MONEY(",
    "NUMBER", "TEXT", "HAVING", "EXISTS(", "CASE WHEN", "BETWEEN", " IN (", "DISTINCT", "UNION", "WITH ",
]
TABLES = ["region", "store", "employee", "customer", "supplier", "category", "product", "promotion", "[order]",
          "order_line", "refund", "stock", "fiscal_calendar"]


@pytest.fixture(scope="module")
def checked(warehouse: Path) -> list[Example | Rejection]:
    """What `prepare` says of each pair; one pass for all tests, since it takes milliseconds a pair.

    A lonely 0 or false, which `prepare` takes for no rows of a generated query, is an answer to what somebody asked.
    """
    dialect = load_dialect(str(RETAIL / "dialect.toml"))
    with open_database(f"duckdb:///{warehouse}") as database:
        checker = Checker(dialect, database.schema(), database)

        def check(example: Example) -> Example | Rejection:
            found = checker.check(Candidate(example, needs_rows=True))
            if isinstance(found, Example) or found.reason != "no rows":
                return found
            rows = database.run(dialect.to_base(example.sql)).rows
            says = any(cell is not None for row in rows for cell in row)
            return checker.check(Candidate(example)) if says else found

        return [check(Example(pair["question"], pair["sql"], "train", "train")) for pair in PAIRS]


def without_strings(sql: str) -> str:
    return re.sub(r'"(?:[^"]|"")*"', '""', sql)


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 6_500
    assert {frozenset(pair) for pair in PAIRS} == {frozenset({"question", "sql", "author"})}
    assert {pair["author"] for pair in PAIRS} == AUTHORS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_question_is_asked_twice(file: Path) -> None:
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    words = Counter(" ".join(re.findall(r"\w+", pair["question"].lower())) for pair in pairs)
    assert [question for question, count in words.items() if count > 1] == []


def test_every_pair_parses_names_what_the_schema_has_and_has_an_answer(checked: list[Example | Rejection]) -> None:
    assert [str(each) for each in checked if isinstance(each, Rejection)] == []


def test_every_pair_is_written_in_the_dialects_own_form(checked: list[Example | Rejection]) -> None:
    good = [(pair["sql"], each.sql) for pair, each in zip(PAIRS, checked, strict=True) if isinstance(each, Example)]
    assert [sql for sql, normal in good if sql != normal] == []


def test_the_queries_are_of_thousands_of_shapes(checked: list[Example | Rejection]) -> None:
    assert len({each.template for each in checked if isinstance(each, Example)}) >= 5_000


def test_pairs_keep_the_conventions() -> None:
    for sql in (pair["sql"] for pair in PAIRS):
        bare = without_strings(sql)
        assert "'" not in sql, sql
        assert not re.search(r"\b(NULL|LIMIT|OFFSET|USING|COUNT|SUM|AVG|ILIKE|COALESCE)\b|<>|!=", bare), sql
        assert "order_status" not in bare or "net_amount" not in bare or "TOTAL(net_amount)" not in bare or (
            re.search(r'order_status = "[CP]"', sql)), sql  # sales need no filter on the status
        assert not bare.startswith("SELECT *"), sql


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_of_the_dialect_is_taught(feature: str) -> None:
    uses = sum(feature in pair["sql"] if feature == '"' else feature in without_strings(pair["sql"]) for pair in PAIRS)
    assert uses >= (1 if feature in {"NUMBER", "TEXT", "TALLY(email)"} else 2)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_asked_about(table: str) -> None:
    pattern = re.compile(rf"(FROM|JOIN) {re.escape(table)}(?!\w)")
    assert sum(bool(pattern.search(pair["sql"])) for pair in PAIRS) >= 8
