"""Running queries on real DuckDB and SQLite files: limits, errors, and one way to run a model's SQL."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from sqlora.errors import BusyError, DatabaseError, DialectError, QueryError, QueryLimitError, QueryRejected
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.execute import Database, Limits, open_database, run_query

DATA = """
CREATE TABLE city (city_id INTEGER PRIMARY KEY, city_name VARCHAR(20) NOT NULL, country VARCHAR(20));
INSERT INTO city VALUES (1, 'Leeds', 'UK'), (2, 'York', 'UK'), (3, 'Lyon', 'France'), (4, 'Paris', 'France'),
                        (5, 'Nice', 'France'), (6, 'Atlantis', NULL);
"""
ENGINES = ["duckdb", "sqlite"]
FOREVER = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
SELECT COUNT(*) FROM n a, n b, n c, n d WHERE a.i * b.i + c.i * d.i = 7
"""


def make(engine: str, path: Path) -> Path:
    if engine == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(DATA)
    else:
        connection = sqlite3.connect(path)
        connection.executescript(DATA)
        connection.close()
    return path


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    make(request.param, tmp_path / "data")
    with open_database(f"{request.param}:///data", tmp_path) as opened:
        yield opened


def test_rows_and_names(database: Database) -> None:
    result = database.run("SELECT city_name AS name, city_id FROM city ORDER BY city_id")
    assert result.columns == ("name", "city_id")
    assert result.rows[:2] == [("Leeds", 1), ("York", 2)]
    assert not result.truncated
    assert result.seconds >= 0


def test_moments_with_a_time_zone_are_fetched(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "data")) as connection:
        connection.execute("CREATE TABLE ev (happened TIMESTAMPTZ); INSERT INTO ev VALUES ('2024-01-01 12:00:00+02')")
    with open_database("duckdb:///data", tmp_path) as opened:
        rows = opened.run("SELECT MAX(happened), now() > MAX(happened), [MAX(happened)] FROM ev").rows
    noon = dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)
    assert rows == [(noon, True, [noon])]


def test_the_row_limit_cuts_and_says_so(database: Database) -> None:
    sql = "SELECT city_id FROM city ORDER BY city_id"
    assert database.run(sql, Limits(rows=6)).truncated is False
    cut = database.run(sql, Limits(rows=5))
    assert (len(cut.rows), cut.truncated) == (5, True)


def test_the_time_limit_stops_a_query_that_would_run_for_hours(database: Database) -> None:
    with pytest.raises(QueryLimitError, match=r"0\.3 seconds"):
        database.run(FOREVER, Limits(seconds=0.3))
    assert database.run("SELECT 1").rows == [(1,)]  # and the database goes on


def test_the_time_limit_stops_endless_rows(database: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with pytest.raises(QueryLimitError):
        database.run(endless, Limits(seconds=0.3, rows=10**9, memory_mb=10**4))


def test_a_time_limit_does_not_reach_other_queries(database: Database) -> None:
    def ask(number: int) -> object:
        if number % 3 == 0:
            with pytest.raises(QueryLimitError):
                database.run(FOREVER, Limits(seconds=0.2))
            return number
        return database.run(f"SELECT {number}").rows[0][0]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, range(9))) == list(range(9))


def test_the_memory_limit_counts_what_is_fetched(database: Database) -> None:
    wide = "SELECT REPLACE('xxxxxxxxxx', 'x', 'yyyyyyyyyy') || city_name AS t FROM city"
    for _ in range(5):
        wide = f"SELECT REPLACE(t, 'y', 'yyyyyyyyyy') AS t FROM ({wide})"
    with pytest.raises(QueryLimitError, match="64 MiB"):
        database.run(f"SELECT t FROM ({wide}) a, city b, city c", Limits(memory_mb=64))


def test_errors_of_the_engine_are_query_errors(database: Database) -> None:
    for sql in ("SELECT nosuch FROM city", "SELECT FROM", "SELECT CAST('x' AS INTEGER) + nosuch(1)", "", "-- x"):
        with pytest.raises(QueryError) as caught:
            database.run(sql)
        assert "\n" not in caught.value.message


def test_count_and_values(database: Database) -> None:
    assert database.count("city") == 6
    assert database.values("city", "country", 10) == ["France", "UK"]
    assert database.values("city", "country", 1) == ["France"]
    assert database.values("city", "city_name", 3) == ["Atlantis", "Leeds", "Lyon"]
    with pytest.raises(QueryError):
        database.values("city", 'x" FROM city; DROP TABLE city; --', 3)
    with pytest.raises(QueryError, match="no table 'nosuch'"):
        database.count("nosuch")
    assert database.count("city") == 6


@pytest.mark.parametrize("engine", ENGINES)
def test_urls_and_paths(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(engine, tmp_path / "odd name #1%20.db")
    for url, folder in [(str(path), None), (path.name, tmp_path), (path, None)]:
        with open_database(str(url), folder) as opened:
            assert opened.dialect_name == engine
            assert opened.count("city") == 6
    plain = make(engine, tmp_path / "plain.db")
    monkeypatch.chdir(tmp_path)
    for url in (f"{engine}:///plain.db", f"{engine}:////{str(plain).lstrip('/')}"):
        with open_database(url) as opened:
            assert opened.count("city") == 6


def test_a_missing_file_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"no database file .*nosuch\.duckdb") as caught:
        open_database("duckdb:///nosuch.duckdb", tmp_path)
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []  # it was not made by looking for it


@pytest.mark.parametrize("url", ["duckdb://", "duckdb:///:memory:", "sqlite://", "sqlite:///", ":memory:", ""])
def test_a_database_in_memory_is_no_database(url: str) -> None:
    with pytest.raises(DatabaseError, match="names no database file"):
        open_database(url)


def test_what_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello " * 100)
    (tmp_path / "empty").touch()
    make("sqlite", tmp_path / "lite.db")
    for url, message in [
        ("duckdb:///notes.txt", "is not a DuckDB database"),
        ("notes.txt", "neither a DuckDB nor an SQLite database"),
        ("empty", "neither"),
        ("duckdb:///lite.db", "it is an SQLite database"),
        (str(tmp_path), "is a folder"),
    ]:
        with pytest.raises(DatabaseError, match=message):
            open_database(url, tmp_path)


def test_a_damaged_database(tmp_path: Path) -> None:
    for engine in ENGINES:
        path = make(engine, tmp_path / engine)
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * 5000)
        with pytest.raises((DatabaseError, QueryError)) as caught, open_database(str(path)) as opened:
            opened.run("SELECT * FROM city")
        assert str(caught.value)


def test_a_duckdb_file_that_another_process_writes_is_busy(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(BusyError, match=rf"open for writing in .*PID {writer.pid}"):
            open_database(str(path))
        writer.communicate(b"")
    with open_database(str(path)) as opened:
        assert opened.count("city") == 6


def test_a_duckdb_file_that_this_process_writes_is_busy(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    with duckdb.connect(str(path)), pytest.raises(BusyError, match="already open in this process"):
        open_database(str(path))


def test_two_readers_of_one_file(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    with open_database(str(path)) as one, open_database(str(path)) as two:
        assert one.count("city") == two.count("city") == 6


def test_another_memory_limit(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    with open_database(str(path)) as opened:
        for memory in (64, 128):
            result = opened.run("SELECT current_setting('memory_limit')", Limits(memory_mb=memory))
            assert result.rows[0][0].startswith(str(memory))


def test_another_memory_limit_waits_for_other_readers_to_close(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    with open_database(str(path)) as one, open_database(str(path)) as two:
        with pytest.raises(BusyError, match="another memory limit"):
            one.run("SELECT 1", Limits(memory_mb=64))
        assert one.count("city") == two.count("city") == 6


def test_a_closed_database(tmp_path: Path) -> None:
    path = make("duckdb", tmp_path / "data.duckdb")
    opened = open_database(str(path))
    opened.close()
    with pytest.raises(DatabaseError, match="closed"):
        opened.run("SELECT 1")


HOUSE = """
name = "house"
base = "duckdb"
[quoting]
identifiers = ["[", "]"]
strings = '"'
[functions]
"TOTAL(x)" = "SUM(x)"
"""


@pytest.fixture(scope="module")
def house() -> Dialect:
    return Dialect("house", DialectSpec.from_text(HOUSE, "house.toml"))


def test_run_query_translates_to_whatever_database_there_is(database: Database, house: Dialect) -> None:
    sql = 'SELECT country, TOTAL([city_id]) FROM city WHERE country = "UK" GROUP BY country'
    result = run_query(sql, house, database, database.schema(), Limits())
    assert result.rows == [("UK", 3)]


def test_run_query_does_not_run_half_a_query(database: Database) -> None:
    with pytest.raises(DialectError, match=r"can't be written for .*: Argument 'format' is not supported"):
        run_query("SELECT TO_CHAR(city_name, 'YYYY') FROM city", load_dialect("snowflake"), database, database.schema())


def test_run_query_does_not_send_what_the_check_refuses(database: Database, house: Dialect) -> None:
    for sql in ("SELECT nosuch FROM city", "DROP TABLE city", "SELECT 1; SELECT 2", 'SELECT * FROM "x.csv"'):
        with pytest.raises(QueryRejected, match="the query was not run") as caught:
            run_query(sql, house, database, database.schema(), Limits())
        assert caught.value.findings


def test_run_query_leaves_the_order_and_limit_of_the_query_alone(database: Database) -> None:
    sql = "SELECT city_id FROM city ORDER BY city_id DESC LIMIT 4"
    result = run_query(sql, load_dialect("duckdb"), database, database.schema(), Limits(rows=2))
    assert (result.rows, result.truncated) == ([(6,), (5,)], True)


def test_types_arrive_as_python_has_them(tmp_path: Path) -> None:
    path = tmp_path / "types.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1.50::DECIMAL(5, 2) AS d, [1, 2] AS l, {'a': 1} AS s, NULL AS n")
    with open_database(str(path)) as opened:
        assert opened.run("SELECT * FROM t").rows == [(Decimal("1.50"), [1, 2], {"a": 1}, None)]


def test_sqlite_text_that_is_not_utf8_is_replaced(tmp_path: Path) -> None:
    path = make("sqlite", tmp_path / "x.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE city SET city_name = CAST(x'4cff' AS TEXT) WHERE city_id = 1")
    connection.commit()
    connection.close()
    with open_database(str(path)) as opened:
        assert opened.run("SELECT city_name FROM city WHERE city_id = 1").rows == [("L\ufffd",)]


def test_a_url_of_another_engine_needs_its_driver() -> None:
    with pytest.raises(DatabaseError) as caught:
        open_database("postgresql+nosuchdriver://me:secret@localhost/shop")
    assert "secret" not in str(caught.value)
    with pytest.raises(DatabaseError, match="no driver"):
        open_database("nosuchengine://localhost/shop")
