"""A database in a process of its own: the same answers and errors, and an end to what an engine can't stop."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.errors import DatabaseError, QueryError, QueryLimitError
from sqlora.sql.execute import Limits, isolated, open_database
from sqlora.sql.execute.isolated import IsolatedDatabase, IsolatedProcess

DATA = "CREATE TABLE city (city_id INTEGER PRIMARY KEY, city_name TEXT); INSERT INTO city VALUES (1, 'York'), (2, 'Leeds');"
# One call of a function, which compares 5 MB with 10 MB at each place: hours.
ENDLESS = """
WITH RECURSIVE r(n, s) AS (SELECT 1, 'aaaaaaaaaa' UNION ALL SELECT n + 1, s || s FROM r WHERE n < 19)
SELECT SUM(INSTR(s, SUBSTR(s, 1, LENGTH(s) / 2) || 'b')) FROM r"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    connection.executescript(DATA)
    connection.close()
    return tmp_path / "x.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[IsolatedDatabase]:
    with IsolatedDatabase("sqlite:///x.sqlite", path.parent) as opened:
        yield opened


def test_it_is_the_same_database(database: IsolatedDatabase, path: Path) -> None:
    with open_database(str(path)) as plain:
        assert database.schema() == plain.schema()
        assert (database.name, database.dialect_name) == (plain.name, plain.dialect_name)
        assert database.values("city", "city_name") == plain.values("city", "city_name")
        assert database.count("city") == 2
        assert database.run("SELECT city_id FROM city", Limits(rows=1)).truncated
        for sql in ("SELECT nosuch FROM city", "DROP TABLE city", "SELECT 1; SELECT 2"):
            with pytest.raises(QueryError) as caught, open_database(str(path)) as other:
                other.run(sql)
            with pytest.raises(QueryError, match=r"SQLite refused|only SELECT|one statement") as isolated_error:
                database.run(sql)
            assert isolated_error.value.message == caught.value.message


def test_what_the_engine_cant_stop_is_ended_with_its_process(
    database: IsolatedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "GRACE", 0.5)
    before = database.process.pid
    with pytest.raises(QueryLimitError, match=r"0\.2 seconds"):
        database.run(ENDLESS, Limits(seconds=0.2))
    assert database.count("city") == 2  # in a new one
    assert database.process.pid not in (None, before)


def test_a_process_that_is_killed_is_an_error_and_the_next_query_gets_a_new_one(database: IsolatedDatabase) -> None:
    assert database.process.pid is not None
    os.kill(database.process.pid, signal.SIGKILL)
    with pytest.raises(DatabaseError, match="has ended"):
        database.run("SELECT 1")
    assert database.run("SELECT 1").rows == [(1,)]


def test_many_databases_share_one_process(path: Path) -> None:
    urls = [f"sqlite:///{number}.sqlite" for number in range(2 * isolated.KEPT)]
    for number, url in enumerate(urls):
        file = shutil.copyfile(path, path.parent / url.rpartition("/")[2])
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE city SET city_name = ?", [str(number)])
        connection.close()
    process = IsolatedProcess(path.parent)
    try:
        opened = [IsolatedDatabase(url, process=process) for url in urls]
        first = process.pid
        for number, database in [*enumerate(opened), *enumerate(opened)]:
            assert database.run("SELECT city_name FROM city").rows[0] == (str(number),)
            database.close()  # the others go on
        assert process.pid == first
    finally:
        process.close()
    assert process.pid is None


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no database file"):
        IsolatedDatabase("sqlite:///nosuch.sqlite", tmp_path)
