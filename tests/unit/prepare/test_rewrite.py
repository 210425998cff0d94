"""Queries of other dialects and schemas: read as they were meant, written in the project's dialect, proven by their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.prepare.check import Checker
from sqlora.prepare.contexts import Recent
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.reasons import REASONS
from sqlora.prepare.texts import Rules
from sqlora.sql.dialect import Dialect, load_dialect

DDL = 'CREATE TABLE Head (Age INTEGER, Name VARCHAR, "Born State" VARCHAR); CREATE TABLE other (x INTEGER)'
ROWS = """
CREATE TABLE team (Id INTEGER PRIMARY KEY, Name TEXT, city TEXT, won INTEGER, lost INTEGER);
INSERT INTO team VALUES (1, 'Reds', 'Leeds', 3, 2), (2, 'Blues', 'York', 1, 0), (3, 'Greens', 'Leeds', 0, 4);
"""


@pytest.fixture
def checker(dialect: Dialect) -> Iterator[Checker]:
    with Checker(dialect) as opened:
        yield opened


@pytest.fixture
def teams(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "my teams.sqlite") as connection:
        connection.executescript(ROWS)
    connection.close()
    return f"sqlite:///{tmp_path}/my%20teams.sqlite"


def check(checker: Checker, sql: str, **more: object) -> Example | Rejection:
    return checker.check(Candidate(Example("a question", sql, "s"), "line 1", **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select name from head where AGE > 56", "SELECT Name FROM Head WHERE Age > 56"),
        ('SELECT age FROM head WHERE name = "Ann"', 'SELECT Age FROM Head WHERE Name = "Ann"'),
        ("SELECT count(*) FROM head LIMIT 3", "SELECT TALLY() FROM Head TAKE 3"),
        ('SELECT "born state" FROM head', "SELECT [Born State] FROM Head"),
        ('SELECT t.age FROM head AS t ORDER BY "t"."age"', "SELECT t.Age FROM Head AS t ORDER BY t.Age NULLS FIRST"),
        ("SELECT head.age FROM head", "SELECT Head.Age FROM Head"),
        ("SELECT sum(age) AS \"Total\" FROM head", "SELECT TOTAL(Age) AS [Total] FROM Head"),
        ("SELECT name FROM head WHERE name IS NULL;", "SELECT Name FROM Head WHERE Name IS MISSING"),
    ],
)  # fmt: skip
def test_a_query_is_written_in_the_project_s_dialect(checker: Checker, sql: str, expected: str) -> None:
    checked = check(checker, sql, ddl=DDL, written_in="sqlite", run=False)
    assert isinstance(checked, Example), checked
    assert checked.sql == expected
    assert checker.dialect.normalize(checked.sql) == checked.sql
    assert checked.template
    assert "Head(Age, Name, [Born State])" in (checked.system or "")


@pytest.mark.parametrize(
    ("sql", "ddl", "reason"),
    [
        ("SELECT salary FROM head", DDL, "column"),
        ("SELECT age FROM heads", DDL, "table"),
        ("SELECT age FROM", DDL, "syntax"),
        ("DROP TABLE head", DDL, "syntax"),
        ("SELECT 1; SELECT 2", DDL, "syntax"),
        ("SELECT age FROM head", "nothing", "schema"),
        ("SELECT age FROM head WHERE " + "(" * 900 + "age" + ")" * 900 + " = 1", DDL, "syntax"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_a_suggestion(checker: Checker, sql: str, ddl: str, reason: str) -> None:
    checked = check(checker, sql, ddl=ddl, written_in="sqlite", run=False)
    assert isinstance(checked, Rejection)
    assert checked.reason == reason
    assert checked.suggestion
    assert checked.origin == "line 1"


def test_a_rewritten_query_gives_the_rows_of_the_original(checker: Checker, teams: str) -> None:
    checked = check(
        checker, 'SELECT Name FROM team WHERE city = "Leeds"', database=teams, written_in="sqlite", prove=True
    )
    assert isinstance(checked, Example), checked
    assert checked.sql == 'SELECT Name FROM team WHERE city = "Leeds"'
    assert "team(Id, Name, city, won, lost)" in (checked.system or "")


def test_a_rewritten_query_with_other_rows_is_rejected(
    checker: Checker, teams: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = checker.dialect.generate
    monkeypatch.setattr(checker.dialect, "generate", lambda tree: written(tree).replace("won > 0", "won > 2"))
    checked = check(checker, "SELECT Name FROM team WHERE won > 0", database=teams, written_in="sqlite", prove=True)
    assert isinstance(checked, Rejection)
    assert checked.reason == "other rows"
    assert checked.detail == "expected 2 rows, got 1; rewritten: SELECT Name FROM team WHERE won > 2"


def test_a_refusal_shows_the_text_that_was_refused(teams: str) -> None:
    sql = "SELECT DATE_TRUNC('month', city) FROM team WHERE Name <> 'ann.lee@gmail.com'"
    with Checker(load_dialect("sqlite"), rules=Rules(personal_data="keep")) as checker:
        checked = check(checker, sql, database=teams, written_in="postgres")
    assert isinstance(checked, Rejection)
    assert checked.reason == "refused"
    assert checked.detail == (
        "SQLite refused the query: no such column: MONTH; "
        "rewritten: SELECT TIMESTAMP_TRUNC(city, MONTH) FROM team WHERE Name <> '‹e-mail address›'"
    )


def test_what_the_dialect_cannot_say_is_not_taught(teams: str, caplog: pytest.LogCaptureFixture) -> None:
    with Checker(load_dialect("duckdb")) as checker:
        checked = check(checker, "SELECT TO_CHAR(city, 'YYYY-MM') FROM team", database=teams, written_in="snowflake")
    assert isinstance(checked, Rejection)
    assert checked.reason == "syntax"
    assert checked.detail.startswith("duckdb has no way to say all of it: Argument 'format' is not supported")
    assert checked.detail.endswith("rewritten: SELECT CAST(city AS TEXT) FROM team")
    assert caplog.records == []


def test_what_the_engine_cannot_run_whole_is_refused(teams: str, caplog: pytest.LogCaptureFixture) -> None:
    with Checker(load_dialect("snowflake")) as checker:
        checked = check(checker, "SELECT TO_CHAR(city, 'YYYY-MM') FROM team", database=teams)
        fine = check(checker, "SELECT COUNT(*) FROM team WHERE city ILIKE 'l%'", database=teams)
        check(checker, "SHOW TABLES IN SCHEMA x LIKE y Z", database=teams)  # which sqlglot would log
    assert isinstance(fine, Example)
    assert isinstance(checked, Rejection)
    assert checked.reason == "refused"
    assert checked.detail.startswith("sqlite has no way to run all of it: Argument 'format' is not supported")
    assert caplog.records == []


def test_without_a_database_pairs_are_told_what_to_bring() -> None:
    with Checker(load_dialect("duckdb")) as checker:
        checked = check(checker, "SELECT a FROM t")
    assert isinstance(checked, Rejection)
    assert checked.reason == "table"
    assert "set [database] url, or give each pair a ddl" in checked.suggestion


def test_an_empty_answer_and_a_refusal_are_seen_in_the_example_s_own_database(checker: Checker, teams: str) -> None:
    for sql, reason in (
        ("SELECT Name FROM team WHERE won > 9", "no rows"),
        ("SELECT Name FROM team WHERE won > (SELECT Id, won FROM team)", "refused"),
    ):
        checked = check(checker, sql, database=teams, written_in="sqlite", needs_rows=True)
        assert isinstance(checked, Rejection)
        assert checked.reason == reason
    missing = check(checker, "SELECT 1", database="sqlite:///gone.sqlite", written_in="sqlite")
    assert isinstance(missing, Rejection)
    assert missing.reason == "schema"


def test_an_answer_in_the_question_is_seen_in_the_dialect_too(checker: Checker) -> None:
    asked = Example(
        "What does SELECT Name FROM Head WHERE Name IS MISSING give?", "select name from head where name is null", "s"
    )
    checked = checker.check(Candidate(asked, ddl=DDL, written_in="sqlite", run=False))
    assert isinstance(checked, Rejection)
    assert checked.reason == "answer in question"


def test_a_record_that_is_too_long_is_rejected(dialect: Dialect) -> None:
    wide = "CREATE TABLE wide (" + ", ".join(f"a_rather_long_column_{number} INTEGER" for number in range(300)) + ")"
    with Checker(dialect, rules=Rules(tokens=1_000)) as checker:
        checked = check(checker, "SELECT a_rather_long_column_7 FROM wide", ddl=wide, run=False)
        assert isinstance(checked, Rejection)
        assert checked.reason == "too many tokens"
        assert "of 1,000" in checked.detail
    with Checker(dialect, rules=Rules(tokens=1_000), schema_tokens=200) as checker:
        kept = check(checker, "SELECT a_rather_long_column_250 FROM wide", ddl=wide, run=False)
        assert isinstance(kept, Example)
        assert "a_rather_long_column_250" in (kept.system or "")
        assert kept.recall == (1.0, 0.0)  # no word of the question points at the column
        assert kept.asked is not None
        assert "a_rather_long_column_250" not in kept.asked


def test_forbidden_words_in_an_example_s_own_schema_are_seen(checker: Checker) -> None:
    checked = check(
        checker, 'SELECT "User: id" FROM u', ddl='CREATE TABLE u ("User: id" INTEGER, x INTEGER)', run=False
    )
    assert isinstance(checked, Rejection)
    assert checked.reason == "forbidden text"
    other = check(checker, "SELECT x FROM u", ddl='CREATE TABLE u ("User: id" INTEGER, x INTEGER)', run=False)
    assert isinstance(other, Rejection)
    assert other.reason == "forbidden text"


PIECES = st.sampled_from(
    ["SELECT", "FROM", "WHERE", "CREATE TABLE", "head", "age", '"', "'", "(", ")", ",", "*", ";", "--", "[", "1e9", "::", "WITH",
     "AS", "CASE", "INTERVAL", "CAST", "VARCHAR", "\x00", "\ud800", "é", "\n", "TAKE", "$1", "{", "|>", "/*", "NULL"]
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=st.text(max_size=40),
    sql=st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map(" ".join)),
    ddl=st.one_of(st.none(), st.just(DDL), st.text(max_size=40), st.lists(PIECES, max_size=14).map(" ".join)),
    written_in=st.sampled_from([None, "sqlite", "postgres", "tsql", "no such dialect"]),
)
def test_anything_is_an_example_or_a_rejection(
    checker: Checker, question: str, sql: str, ddl: str | None, written_in: str | None
) -> None:
    candidate = Candidate(Example(question, sql, "s"), "line 1", ddl=ddl, written_in=written_in, run=False)
    checked = checker.check(candidate)
    if isinstance(checked, Rejection):
        assert checked.reason in REASONS
        checked.example.question.encode()
    else:
        assert checker.dialect.normalize(checked.sql) == checked.sql


def test_what_was_used_last_is_kept_and_the_rest_put_away() -> None:
    away: list[int] = []
    recent: Recent[int, int] = Recent(2, away.append)
    assert [recent.get(key, lambda key=key: 10 * key) for key in (1, 2, 1, 3, 1)] == [10, 20, 10, 30, 10]  # type: ignore[misc]
    assert away == [20]
    recent.clear()
    assert sorted(away) == [10, 20, 30]
