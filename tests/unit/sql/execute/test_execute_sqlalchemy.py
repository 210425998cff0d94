"""The way through SQLAlchemy, on SQLite: what does not need a server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.errors import DatabaseError, QueryError
from sqlora.sql.execute import Limits
from sqlora.sql.execute.sqlalchemy_database import SQLAlchemyDatabase
from sqlora.sql.schema import Column, ForeignKey


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLAlchemyDatabase]:
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    connection.executescript(
        """
        CREATE TABLE city (city_id INTEGER PRIMARY KEY, city_name VARCHAR(20) NOT NULL);
        CREATE TABLE shop (shop_id INTEGER, city_id INTEGER REFERENCES city (city_id));
        CREATE VIEW big AS SELECT city_id FROM city;
        INSERT INTO city VALUES (1, 'Leeds'), (2, 'York'), (3, 'York');
        """
    )
    connection.close()
    with SQLAlchemyDatabase(f"sqlite:///{tmp_path / 'x.sqlite'}") as opened:
        yield opened


def test_schema(database: SQLAlchemyDatabase) -> None:
    schema = database.schema()
    assert schema.dialect == database.dialect_name == "sqlite"
    assert schema.names == ("city", "shop", "big")
    assert schema.table("city").primary_key == ("city_id",)
    assert schema.table("city").columns[1] == Column("city_name", "TEXT(20)", nullable=False)
    assert schema.table("shop").foreign_keys == (ForeignKey(("city_id",), "city", ("city_id",)),)


def test_run(database: SQLAlchemyDatabase) -> None:
    result = database.run("SELECT city_id, ':x %s' AS t FROM city ORDER BY city_id", Limits(rows=2))
    assert result.columns == ("city_id", "t")
    assert result.rows == [(1, ":x %s"), (2, ":x %s")]
    assert result.truncated
    assert database.values("city", "city_name") == ["York", "Leeds"]
    assert database.count("city") == 3


def test_nothing_is_committed(database: SQLAlchemyDatabase) -> None:
    with pytest.raises(QueryError):
        database.run("DELETE FROM city")
    assert database.count("city") == 3


def test_errors(database: SQLAlchemyDatabase) -> None:
    with pytest.raises(QueryError, match="no such column"):
        database.run("SELECT nosuch FROM city")


@pytest.mark.parametrize("url", ["postgresql://me:secret@127.0.0.1:1/shop", "mysql://me:secret@127.0.0.1:1/shop"])
def test_a_server_that_is_not_there_or_has_no_driver(url: str) -> None:
    with pytest.raises(DatabaseError) as caught, SQLAlchemyDatabase(url) as opened:
        opened.schema()
    assert "secret" not in str(caught.value)
    assert caught.value.next_step


def test_an_url_that_is_none() -> None:
    with pytest.raises(DatabaseError, match="can't be understood"):
        SQLAlchemyDatabase("postgresql://me@host:port/shop")
