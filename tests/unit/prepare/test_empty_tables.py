"""Without data, the engine is asked all the same: over the same tables, empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sqlora.prepare.check import Checker
from sqlora.prepare.empty_tables import EmptyTables
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

DDL = 'CREATE TABLE head (age INTEGER, name VARCHAR, born DATE, "a ""b" DECIMAL(8, 2)); CREATE TABLE other (x INTEGER)'


@pytest.fixture
def empty() -> Iterator[EmptyTables]:
    tables = EmptyTables()
    yield tables
    tables.close()


def refusal(empty: EmptyTables, sql: str, ddl: str = DDL) -> str | None:
    return empty.refusal(Dialect("duckdb").parse(sql), Schema.from_ddl(ddl))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name, SUM(age) FROM head GROUP BY name ORDER BY 2 DESC LIMIT 3",
        'WITH head AS (SELECT age, "a ""b" AS b FROM head) SELECT AVG(b) FROM head',
        "SELECT name FROM head UNION SELECT CAST(x AS TEXT) FROM other",
        "SELECT * FROM head AS h JOIN other ON other.x = h.age WHERE born > '2024-01-01'",
        "SELECT 1",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT n FROM r",
        "SELECT i FROM range(100000000000) AS t(i), other",
        "SELECT SUM(age) FROM main.head",
    ],
)
def test_what_the_engine_would_take_is_taken_at_once(empty: EmptyTables, sql: str) -> None:
    assert refusal(empty, sql) is None


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT SUM(name) FROM head", "sum"),
        ("SELECT name, MAX(age) FROM head", "GROUP BY"),
        ("SELECT name FROM head WHERE name > 3", "cast"),
        ("SELECT born + name FROM head", "DATE"),
        ("SELECT name FROM head UNION SELECT x, x FROM other", "number of"),
    ],
)
def test_types_and_groups_are_checked_without_a_row(empty: EmptyTables, sql: str, why: str) -> None:
    found = refusal(empty, sql)
    assert found is not None
    assert why in found


TEN = " UNION ALL ".join(["SELECT 1 AS x"] * 10)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT COUNT(*) FROM r",
        f"WITH v AS ({TEN}) SELECT COUNT(*) FROM {', '.join(f'v AS v{n}' for n in range(12))}",
        "SELECT levenshtein(repeat(repeat('a', 10000), 100), repeat(repeat('b', 10000), 100)) FROM head",
        "SELECT COUNT(*) FROM (VALUES (1)) AS t(a), range(1000000000000) AS u(i)",
    ],
)
def test_what_takes_long_without_any_rows_is_ended(empty: EmptyTables, sql: str) -> None:
    found = refusal(empty, sql)
    assert found is not None
    assert "without any rows" in found
    assert refusal(empty, "SELECT name FROM head WHERE 1 = (SELECT 1)") is None


def test_a_column_without_a_type_is_nothing_to_refuse(empty: EmptyTables) -> None:
    schema = Schema.from_ddl("CREATE TABLE t (a, b STRANGE_TYPE)", "sqlite")
    assert empty.refusal(Dialect("duckdb").parse("SELECT SUM(a) FROM t"), schema) is None


def test_nothing_outside_is_read(empty: EmptyTables) -> None:
    found = refusal(empty, "SELECT * FROM read_csv('/etc/passwd')")
    assert found is not None


def test_an_example_that_brings_only_a_schema_is_asked_about(dialect: Dialect) -> None:
    with Checker(dialect) as checker:
        for sql, good in (("SELECT TOTAL(age) FROM head", True), ("SELECT TOTAL(name) FROM head", False)):
            checked = checker.check(Candidate(Example("a question", sql, "s"), ddl=DDL, run=False))
            assert isinstance(checked, Example) is good
            if isinstance(checked, Rejection):
                assert checked.reason == "refused"


def test_a_query_that_differs_only_in_names_and_values_is_asked_about_once(
    empty: EmptyTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "SELECT name FROM head WHERE age > 100 AND name = 'x' ORDER BY 1"
    assert refusal(empty, one) is None
    connected = empty._connected()
    monkeypatch.setattr(empty, "_connected", lambda: pytest.fail("asked again"))
    other = "CREATE TABLE city (mayor VARCHAR, people INTEGER)"
    assert refusal(empty, "SELECT mayor FROM city WHERE people > 20000 AND mayor = 'it''s' ORDER BY 1", other) is None
    monkeypatch.setattr(empty, "_connected", lambda: connected)


@pytest.mark.parametrize(
    ("taken", "refused"),
    [
        ("SELECT name FROM head GROUP BY name", "SELECT name FROM head GROUP BY age"),
        ("SELECT SUM(age) FROM head", "SELECT SUM(name) FROM head"),
        ("SELECT MAX(name) FROM head", "SELECT AVG(name) FROM head"),
        ("SELECT name FROM head ORDER BY 1", "SELECT name FROM head ORDER BY 2"),
        (
            "SELECT age, name FROM head UNION SELECT * FROM (SELECT 1, 'a')",
            "SELECT age FROM head UNION SELECT * FROM (SELECT 1, 'a')",
        ),
    ],
)
def test_what_is_refused_is_not_taken_for_what_was_taken(empty: EmptyTables, taken: str, refused: str) -> None:
    assert refusal(empty, taken) is None
    assert refusal(empty, refused) is not None
    assert refusal(empty, taken) is None
