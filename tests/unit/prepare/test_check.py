"""Nothing unchecked is taught."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sqlora.prepare.check import Checker
from sqlora.prepare.dedupe import keys_of
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.reasons import REASONS
from sqlora.prepare.texts import QUESTION_LIMIT, SQL_LIMIT
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.execute import Database, Limits, ResultSet, isolated, open_database
from sqlora.sql.schema import Schema


@pytest.fixture
def checker(dialect: Dialect, schema: Schema, database: Database) -> Checker:
    return Checker(dialect, schema, database, Limits(seconds=5))


def _check(checker: Checker, sql: str, question: str = "a question", needs_rows: bool = False) -> Example | Rejection:
    return checker.check(Candidate(Example(question, sql, "s"), needs_rows=needs_rows))


def test_a_good_pair_is_normalized_and_has_its_template(checker: Checker) -> None:
    checked = _check(checker, 'select  tally( ) from [order] where channel="web"')
    assert isinstance(checked, Example)
    assert checked.sql == 'SELECT TALLY() FROM [order] WHERE channel = "web"'
    other = _check(checker, 'SELECT TALLY() FROM [order] WHERE channel = "app"')
    assert isinstance(other, Example)
    assert checked.template == other.template != ""


def test_in_a_dialect_of_sqlglot_s_a_query_is_taught_in_its_own_words() -> None:
    """IFF(2 = 0 AND …) is what sqlglot makes of Snowflake's DIV0; duplicates are told by it all the same."""
    checker = Checker(Dialect("snowflake"), Schema.from_ddl("CREATE TABLE t (a INT, b INT)"))
    own = checker.check(Candidate(Example("a question", "select nvl(a, 0)  -- why\nfrom t;", "s")))
    other = checker.check(Candidate(Example("a question", "SELECT COALESCE(a, 0) FROM t", "s")))
    assert isinstance(own, Example)
    assert isinstance(other, Example)
    assert own.sql == "select nvl(a, 0) from t"
    assert own.template == other.template
    assert keys_of(own) == keys_of(other)
    quotients = [f"SELECT {call} FROM t" for call in ("DIV0(a, 2)", "IFF(2 = 0 AND a IS NOT NULL, 0, a / 2)")]
    checked = [checker.check(Candidate(Example("a question", sql, "s"))) for sql in quotients]
    assert [example.sql for example in checked if isinstance(example, Example)] == quotients
    assert len({keys_of(example) for example in checked if isinstance(example, Example)}) == 1


def test_a_query_rewritten_from_another_dialect_is_in_normal_form() -> None:
    checker = Checker(Dialect("snowflake"), Schema.from_ddl("CREATE TABLE t (a INT, b INT)"))
    checked = checker.check(Candidate(Example("a question", "select ifnull(A, 0) from t", "s"), written_in="sqlite"))
    assert isinstance(checked, Example)
    assert checked.sql == 'SELECT COALESCE("a", 0) FROM "t"'


@pytest.mark.parametrize(
    ("dialect", "sql", "schema"),
    [
        ("tsql-like", "SELECT fullname, [select] FROM customers", "customers(fullname, [select])"),
        ("oracle-like", 'SELECT FULLNAME, "SELECT" FROM CUSTOMERS', 'CUSTOMERS(FULLNAME, "SELECT")'),
    ],
)
def test_names_are_taught_as_the_model_is_shown_them(dialect: str, sql: str, schema: str) -> None:
    ddl = 'CREATE TABLE Customers (FullName TEXT, "select" INT)'
    example = Example("a question", 'SELECT fullname, "Select" FROM CUSTOMERS', "s")
    checked = Checker(load_dialect(dialect)).check(Candidate(example, ddl=ddl, written_in="sqlite", run=False))
    assert isinstance(checked, Example)
    assert checked.sql == sql
    assert schema in (checked.system or "")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT TALLY( FROM customer", "syntax"),
        ("DROP TABLE customer", "statement"),
        ("SELECT TALLY() FROM customers", "table"),
        ("SELECT colour FROM product", "column"),
        ("SELECT order_id FROM order_line JOIN [order] ON order_line.order_id = [order].order_id", "ambiguous"),
        ('SELECT read_text("/etc/passwd")', "function"),
        ("SELECT customer_name, TALLY() FROM customer", "refused"),
        (f"SELECT {'1 + ' * SQL_LIMIT}1", "sql too long"),
    ],
)
def test_each_fault_has_its_reason(checker: Checker, sql: str, reason: str) -> None:
    checked = _check(checker, sql)
    assert isinstance(checked, Rejection)
    assert checked.reason == reason
    assert reason in REASONS


def test_an_empty_answer_is_refused_only_where_rows_are_needed(checker: Checker) -> None:
    for sql in ('SELECT customer_name FROM customer WHERE city = "Rome"', "SELECT TOTAL(amount) FROM order_line WHERE quantity > 99"):
        assert isinstance(_check(checker, sql), Example)
        rejected = _check(checker, sql, needs_rows=True)
        assert isinstance(rejected, Rejection)
        assert rejected.reason == "no rows"


def test_what_the_database_s_engine_does_not_have_is_said_otherwise(tmp_path: Path) -> None:
    """Snowflake's NOT IN is <> ALL to sqlglot, which SQLite does not have."""
    ddl = "CREATE TABLE team (team_id INTEGER, city TEXT)"
    with sqlite3.connect(tmp_path / "teams.db") as connection:
        connection.executescript(f"{ddl}; INSERT INTO team VALUES (1, 'Leeds'), (2, 'York')")
    database = open_database("teams.db", tmp_path)
    sql = "SELECT city FROM team WHERE team_id NOT IN (SELECT team_id FROM team WHERE city = 'York')"
    for written_in in (None, "snowflake"):
        candidate = Candidate(Example("a question", sql, "s"), written_in=written_in)
        checked = Checker(Dialect("snowflake"), Schema.from_ddl(ddl), database).check(candidate)
        assert isinstance(checked, Example)
        assert checked.sql.replace('"', "") == sql


@pytest.mark.parametrize("text", ["User: who?", "SYSTEM: obey", "a <image> b", "[eos]", "Thought: hm"])
def test_what_bedrock_refuses_is_refused_here(checker: Checker, text: str) -> None:
    rejected = _check(checker, "SELECT 1", question=text)
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "forbidden text"


def test_a_long_question_is_refused(checker: Checker) -> None:
    rejected = _check(checker, "SELECT 1", question="x" * (QUESTION_LIMIT + 1))
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "question too long"


@pytest.mark.parametrize(
    ("dialect", "sql", "expected"),
    [
        ("duckdb", "SELECT DISTINCT city FROM public.customers", "SELECT DISTINCT city FROM customers"),
        ("duckdb", "SELECT public.customers.city FROM public.customers", "SELECT customers.city FROM customers"),
        ("snowflake", "SELECT ID FROM PROD.PUBLIC.CUSTOMERS", "SELECT ID FROM CUSTOMERS"),
        ("snowflake", "SELECT PROD.SALES.ORDERS.ID FROM PROD.SALES.ORDERS", "SELECT SALES.ORDERS.ID FROM SALES.ORDERS"),
        ("snowflake", "WITH x AS (SELECT ID FROM PROD.SALES.ORDERS) SELECT ID FROM x", "WITH x AS (SELECT ID FROM SALES.ORDERS) SELECT ID FROM x"),
        ("duckdb", "SELECT id FROM orders AS o WHERE o.id = 1", "SELECT id FROM sales.orders AS o WHERE o.id = 1"),
        ("duckdb", "SELECT orders.id FROM Orders", "SELECT orders.id FROM sales.Orders"),
        ("duckdb", "WITH orders AS (SELECT 1 AS id) SELECT id FROM orders", "WITH orders AS (SELECT 1 AS id) SELECT id FROM orders"),
    ],
)  # fmt: skip
def test_tables_are_named_with_the_schema_s_own_namespace(namespaces: Database, dialect: str, sql: str, expected: str) -> None:
    with Checker(load_dialect(dialect), namespaces.schema(), namespaces) as checker:
        checked = _check(checker, sql)
    assert isinstance(checked, Example), checked
    assert checked.sql == expected


def test_names_of_another_engine_are_spelt_as_the_schema_s(namespaces: Database) -> None:
    with Checker(load_dialect("duckdb"), namespaces.schema(), namespaces) as checker:
        sql = "SELECT PROD.SALES.ORDERS.ID FROM PROD.SALES.ORDERS JOIN CUSTOMERS ON ORDERS.ID = CUSTOMERS.ID"
        checked = checker.check(Candidate(Example("q", sql, "s"), written_in="snowflake", prove=True))
    assert isinstance(checked, Example), checked
    assert checked.sql == "SELECT sales.orders.id FROM sales.orders JOIN customers ON orders.id = customers.id"


def test_a_bare_name_that_may_be_one_of_two_is_rejected(namespaces: Database) -> None:
    with Checker(load_dialect("duckdb"), namespaces.schema(), namespaces) as checker:
        rejected = _check(checker, "SELECT id FROM returns")
    assert isinstance(rejected, Rejection)
    assert (rejected.reason, rejected.detail) == ("table", "no table 'returns'; did you mean sales.returns or web.returns?")


@pytest.fixture
def namespaces(tmp_path: Path) -> Iterator[Database]:
    with duckdb.connect(str(tmp_path / "spaces.duckdb")) as connection:
        connection.execute(
            """CREATE TABLE customers (id INT, city TEXT); CREATE SCHEMA sales; CREATE TABLE sales.orders (id INT);
            CREATE TABLE sales.returns (id INT); CREATE SCHEMA web; CREATE TABLE web.returns (id INT)"""
        )
    with open_database("duckdb:///spaces.duckdb", tmp_path) as opened:
        yield opened


def test_a_slow_query_is_refused_for_its_limit(dialect: Dialect, schema: Schema, database: Database) -> None:
    checker = Checker(dialect, schema, database, Limits(seconds=0.05))
    sql = "SELECT TALLY() FROM order_line a, order_line b, order_line c WHERE a.quantity * b.quantity * c.quantity > 3"
    rejected = checker.check(Candidate(Example("q", sql + " AND a.quantity + b.quantity <> c.quantity", "s")))
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "limit"


def test_a_query_that_no_engine_would_stop_is_one_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "GRACE", 0.5)
    with sqlite3.connect(tmp_path / "own.sqlite") as connection:
        connection.execute("CREATE TABLE city (name TEXT)")
        connection.execute("INSERT INTO city VALUES ('York')")
    connection.close()
    endless = """WITH RECURSIVE r(n, s) AS (SELECT 1, 'aaaaaaaaaa' UNION ALL SELECT n + 1, s || s FROM r WHERE n < 19)
        SELECT SUM(INSTR(s, SUBSTR(s, 1, LENGTH(s) / 2) || 'b')) FROM r"""
    own = f"sqlite:///{tmp_path}/own.sqlite"
    with Checker(load_dialect("sqlite"), limits=Limits(seconds=0.3, rows=200)) as checker:
        found = [
            checker.check(Candidate(Example("a question", sql, "own"), database=own))
            for sql in ("SELECT name FROM city", endless, "SELECT COUNT(*) FROM city")
        ]
    assert [each.reason if isinstance(each, Rejection) else "" for each in found] == ["", "limit", ""]


def test_each_sql_runs_once(dialect: Dialect, schema: Schema, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = database.run

    def counting(sql: str, limits: Limits) -> ResultSet:
        ran.append(sql)
        return run(sql, limits)

    monkeypatch.setattr(database, "run", counting)
    checker = Checker(dialect, schema, database)
    for question in ("a", "b", "c"):
        assert isinstance(_check(checker, "SELECT TALLY() FROM product", question), Example)
    assert len(ran) == 1
