"""Two thousand tables with names that nobody should give: read, shown, checked, pruned, asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sqlora.sql.check import check
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import Database, open_database, run_query
from sqlora.sql.schema import Schema
from sqlora.sql.schema.prune import Pruner
from sqlora.sql.tokens import estimate_tokens

COUNT = 2_000
DDL = "".join(
    f'CREATE TABLE "täble {n} of ""{n * 7}"" 🛒" ("order" INTEGER PRIMARY KEY, "a ""b"" {n}" VARCHAR(9), "ünï; -- {n}" INTEGER);\n'
    for n in range(COUNT)
)
TABLE = '"täble 77 of ""539"" 🛒"'


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("wide") / "wide.db"
    if request.param == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"BEGIN; {DDL} COMMIT;")
    else:
        lite = sqlite3.connect(path)
        lite.executescript(f"PRAGMA synchronous = OFF; BEGIN; {DDL} COMMIT;")
        lite.close()
    with open_database(str(path)) as opened:
        yield opened


def test_two_thousand_tables_are_read_checked_and_run(database: Database) -> None:
    schema, dialect = database.schema(), load_dialect(database.dialect_name)
    assert len(schema.tables) == COUNT
    sql = f'SELECT "a ""b"" 77", COUNT(*) FROM {TABLE} WHERE "order" > 1 AND "ünï; -- 77" = 2 GROUP BY 1'
    assert check(sql, dialect, schema) == []
    assert run_query(sql, dialect, database, schema).rows == []
    [finding] = check(sql.replace("täble 77", "täble 7777"), dialect, schema)
    assert finding.kind == "table"
    assert database.count('täble 77 of "539" 🛒') == 0


def test_two_thousand_tables_are_pruned_to_what_is_asked(database: Database) -> None:
    pruner = Pruner(database.schema(), 300, "compact", load_dialect(database.dialect_name))
    shown = pruner.prune("how many rows has täble 77 of 539?")
    assert shown.get('täble 77 of "539" 🛒') is not None
    assert estimate_tokens(shown.to_prompt()) <= 300
    lines = shown.to_prompt().splitlines()
    assert f'{TABLE}("order", "a ""b"" 77", "ünï; -- 77")' in lines


def test_two_thousand_tables_of_ddl() -> None:
    schema = Schema.from_ddl(DDL)
    assert len(schema.tables) == COUNT
    some = Schema(schema.tables[::20])
    assert Schema.from_ddl(some.to_ddl(load_dialect("duckdb"))) == some
