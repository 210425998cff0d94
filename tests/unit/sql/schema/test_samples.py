"""A few values of each column: which are taken, and which never."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from sqlora.project import load_project
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.execute import open_database
from sqlora.sql.schema import Column, Schema, Table
from sqlora.sql.schema.samples import LENGTH, with_samples

DATA = f"""
CREATE TABLE shop (shop_id VARCHAR(9) PRIMARY KEY, kind VARCHAR(9), town VARCHAR(90), staff INTEGER, phone VARCHAR(20),
                   note VARCHAR(200), contact VARCHAR(90));
INSERT INTO shop VALUES
    ('s1', 'web', 'York', 1, '1', '{"x" * (LENGTH + 1)}', 'Ann'),
    ('s2', 'shop', 'Leeds', 2, '2', 'short', 'ask ann@example.org'),
    ('s3', 'shop', 'It''s', 3, NULL, 'short', NULL),
    ('s4', 'shop', NULL, 3, NULL, NULL, NULL);
"""


@pytest.fixture(params=["duckdb", "sqlite"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    if request.param == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(DATA)
    else:
        lite = sqlite3.connect(path)
        lite.executescript(DATA)
        lite.close()
    return path


def samples(path: Path, most: int = 3) -> dict[str, tuple[str, ...]]:
    with open_database(str(path)) as database:
        [table] = with_samples(database.schema(), database, most).tables
        return {column.name: column.samples for column in table.columns if column.samples}


def test_the_most_frequent_values_of_texts_that_are_no_keys_and_look_harmless(path: Path) -> None:
    assert samples(path) == {"kind": ("shop", "web"), "town": ("It's", "Leeds", "York"), "note": ("short",)}


def test_at_most_so_many(path: Path) -> None:
    assert samples(path, 1) == {"kind": ("shop",), "town": ("It's",), "note": ("short",)}


def test_none_once_the_time_is_over(path: Path) -> None:
    with open_database(str(path)) as database:
        schema = database.schema()
        assert with_samples(schema, database, 3, seconds=-1.0) == schema


def test_a_project_shows_values_only_where_it_says_so(path: Path) -> None:
    toml = f'[project]\ndialect = "duckdb"\n[database]\nurl = {str(path)!r}\n'
    (path.parent / "sqlora.toml").write_text(toml)
    assert "'web'" not in load_project(path.parent, environ={}).schema_prompt().system()
    (path.parent / "sqlora.toml").write_text(toml + "[prepare]\nsample_values = 2\n")
    system = load_project(path.parent, environ={}).schema_prompt().system()
    assert "kind {'shop', 'web'}" in system
    assert "ann@example.org" not in system


def test_values_are_written_as_the_dialects_strings() -> None:
    house = Dialect(
        "house",
        DialectSpec.from_text(
            'name = "house"\nbase = "duckdb"\n[quoting]\nstrings = \'"\'\nidentifiers = ["[", "]"]\n', "house.toml"
        ),
    )
    schema = Schema((Table("t", (Column("a", "TEXT", "how", samples=("It's", 'a "b"')),)),))
    assert schema.to_prompt() == "t(a {'It''s', 'a \"b\"'})"
    assert schema.to_prompt(dialect=house) == 't(a {"It\'s", "a ""b"""})'
    assert "  a TEXT -- how; such as 'It''s', 'a \"b\"'" in schema.to_prompt("ddl", load_dialect("duckdb"))
    assert "such as" not in schema.to_ddl()


def test_samples_are_in_the_hash_and_their_absence_is_not() -> None:
    plain = Schema((Table("t", (Column("a", "TEXT"),)),))
    assert plain.hash != Schema((Table("t", (Column("a", "TEXT", samples=("x",)),)),)).hash
    assert plain.hash == "ed375e7b600b"  # as before there were samples
