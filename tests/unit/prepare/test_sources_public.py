"""Spider, BIRD and WikiSQL as they are published."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.bird import read_bird
from sqlora.prepare.sources.collection import create_tables
from sqlora.prepare.sources.spider import read_spider
from sqlora.prepare.sources.wikisql import read_wikisql
from sqlora.sql.execute import open_database
from sqlora.sql.schema import Schema

SPIDER = Path(__file__).parents[4] / "shared" / "data" / "spider-train"

LISTED = {
    "db_id": "shop",
    "table_names_original": ["customer", "order line"],
    "column_names_original": [[-1, "*"], [0, "id"], [0, 'the "name"'], [0, "born"], [1, "customer id"], [1, "no"], [1, "paid"]],
    "column_types": ["text", "number", "text", "time", "number", "number", "boolean"],
    "primary_keys": [1, [4, 5]],
    "foreign_keys": [[4, 1]],
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder laid out as Spider's: one database with rows, one without tables, one that is only listed."""
    for name, script in (("full", "CREATE TABLE t (x INT); INSERT INTO t VALUES (1);"), ("void", "PRAGMA user_version = 1;")):
        folder = tmp_path / "database" / name
        folder.mkdir(parents=True)
        connection = sqlite3.connect(folder / f"{name}.sqlite")
        connection.executescript(script)
        connection.close()
    (tmp_path / "tables.json").write_text(json.dumps([LISTED, {**LISTED, "db_id": "void"}]))
    return tmp_path


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_spider_runs_where_it_can_and_is_checked_by_its_schema_where_not(shop: Path) -> None:
    asked = [{"db_id": name, "question": f"{name}?", "query": "SELECT 1", "hardness": 1} for name in ("full", "void", "Shop")]
    full, void, listed = read_spider(_write(shop / "train_spider.json", asked), "s", "train")
    assert isinstance(full, Candidate)
    assert full.example == Example("full?", "SELECT 1", "s", "train", database="full")
    assert (full.written_in, full.prove, full.ddl) == ("sqlite", True, None)
    with open_database(str(full.database)) as database:
        assert database.schema().names == ("t",)
    for found in (void, listed):
        assert isinstance(found, Candidate)
        assert (found.database, found.run, found.prove) == (None, False, False)
        assert found.ddl == create_tables(LISTED)


def test_a_listed_schema_has_its_types_and_keys() -> None:
    schema = Schema.from_ddl(create_tables(LISTED), "sqlite")
    customer, line = schema.tables
    assert (customer.name, line.name) == ("customer", "order line")
    assert [column.name for column in customer.columns] == ["id", 'the "name"', "born"]
    assert (customer.primary_key, line.primary_key) == (("id",), ("customer id", "no"))
    assert [(key.columns, key.table, key.referenced_columns) for key in line.foreign_keys] == [(("customer id",), "customer", ("id",))]


@pytest.mark.parametrize("name", ["../full", "full/../full", "..", "a\0b", "x" * 300, "/etc"])
def test_a_database_is_looked_for_in_its_folder_only(shop: Path, name: str) -> None:
    good = {"db_id": "full", "question": "a", "query": "b"}
    _, found = read_spider(_write(shop / "dev.json", [good, {**good, "db_id": name}]), "s")
    assert isinstance(found, Rejection)
    assert (found.reason, found.origin) == ("malformed", "s line 1, item 2")
    assert "db_id is" in found.detail


def test_an_unknown_database_is_a_rejection_that_says_where_it_was_looked_for(shop: Path) -> None:
    good = {"db_id": "full", "question": "a", "query": "b"}
    _, found = read_spider(_write(shop / "dev.json", [good, {**good, "db_id": "other"}]), "s")
    assert isinstance(found, Rejection)
    assert found.detail == f"no database 'other' neither in {shop}/database nor in {shop}/tables.json"


@pytest.mark.parametrize(
    "change",
    [
        {"column_types": ["text"]}, {"foreign_keys": [[1, 99]]}, {"primary_keys": [[]]}, {"table_names_original": None},
        {"column_names_original": [[7, "x"]] * 7}, {"table_names_original": [1, 2]}, {"column_names_original": [[1e999, "x"]] * 7},
        {"column_types": [[]] * 7}, {"table_names_original": []}, {"db_id": ""},
    ],
)  # fmt: skip
def test_a_list_of_schemas_that_is_none_is_an_error_with_its_line(shop: Path, change: dict[str, Any]) -> None:
    (shop / "tables.json").write_text(f"[\n{json.dumps({**LISTED, **change})}]")
    with pytest.raises(DatasetError, match=r"tables\.json:2: "):
        list(read_spider(_write(shop / "dev.json", [{"db_id": "shop", "question": "a", "query": "b"}]), "s"))


def test_the_test_set_has_tables_and_databases_of_its_own(shop: Path) -> None:
    (shop / "database").rename(shop / "test_database")
    (shop / "tables.json").rename(shop / "test_tables.json")
    [found] = read_spider(_write(shop / "test.json", [{"db_id": "full", "question": "a", "query": "b"}]), "s")
    assert isinstance(found, Candidate)
    assert found.database


def test_bird_has_evidence_and_difficulty(shop: Path) -> None:
    (shop / "database").rename(shop / "dev_databases")
    row = {"db_id": "full", "question": "who?", "evidence": "who means x", "SQL": "SELECT x FROM t", "difficulty": "simple"}
    path = _write(shop / "mini_dev_sqlite.json", [row, {**row, "evidence": ""}])
    first, second = read_bird(path, "b")
    assert isinstance(first, Candidate)
    assert first.example == Example("who?\nwho means x", "SELECT x FROM t", "b", tags=("difficulty=simple",), database="full")
    assert (first.prove, first.written_in) == (True, "sqlite")
    assert isinstance(second, Candidate)
    assert second.example.question == "who?"
    [plain, _] = read_bird(path, "b", evidence=False)
    assert isinstance(plain, Candidate)
    assert plain.example.question == "who?"


TABLE = {"id": "1-10-7", "header": ["State/territory", "No.", "no", "", "🏆", "2010"], "types": ["text", "real", "text", "text", "text", "real"],
         "rows": [["x", 1, "y", "z", "w", 2]]}  # fmt: skip


def _wikisql(folder: Path, *queries: Any, table: dict[str, Any] = TABLE) -> list[Candidate | Rejection]:
    rows = [{"phase": 1, "table_id": "1-10-7", "question": "which?", "sql": query} for query in queries]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "train.tables.jsonl").write_text(json.dumps(table))
    return list(read_wikisql(folder / "train.jsonl", "w"))


def test_wikisql_is_written_out(tmp_path: Path) -> None:
    found = _wikisql(
        tmp_path,
        {"sel": 0, "agg": 0, "conds": []},
        {"sel": 1, "agg": 3, "conds": [[0, 0, "d'Or"], [1, 1, "1,234"], [5, 2, 7.5]]},
        {"sel": 3, "agg": 1, "conds": [[1, 0, "many"], [2, 0, 5]]},
    )
    assert [each.example.sql for each in found] == [
        'SELECT "state_territory" FROM "table_1_10_7"',
        'SELECT COUNT("no") FROM "table_1_10_7" WHERE "state_territory" = \'d\'\'Or\' AND "no" > 1234 AND "c_2010" < 7.5',
        'SELECT MAX("column_4") FROM "table_1_10_7" WHERE "no" = \'many\' AND "no_3" = \'5\'',
    ]
    assert isinstance(found[0], Candidate)
    assert (found[0].run, found[0].written_in, found[0].example.database) == (False, "sqlite", "1-10-7")
    [table] = Schema.from_ddl(str(found[0].ddl), "sqlite").tables
    assert [column.name for column in table.columns] == ["state_territory", "no", "no_3", "column_4", "column_5", "c_2010"]
    assert [column.type for column in table.columns] == ["TEXT", "REAL", "TEXT", "TEXT", "TEXT", "REAL"]


@pytest.mark.parametrize(
    "query",
    [
        {"sel": 9, "agg": 0, "conds": []}, {"sel": -1, "agg": 0, "conds": []}, {"sel": 0, "agg": 6, "conds": []}, "SELECT 1", None,
        {"sel": 0, "agg": 0, "conds": [[0, 3, "x"]]}, {"sel": 0, "agg": 0, "conds": [[0, 0]]}, {"sel": 0, "agg": 0, "conds": {"a": 1}},
        {"sel": 0, "agg": 0, "conds": [[[], 0, "x"]]}, {"sel": 0, "agg": 0, "conds": [[0, 0, ["x"]]]}, {"sel": 0, "conds": []}, [1],
    ],
)  # fmt: skip
def test_a_query_that_its_table_does_not_carry_is_a_rejection(tmp_path: Path, query: Any) -> None:
    _, found = _wikisql(tmp_path, {"sel": 0, "agg": 0, "conds": []}, query)
    assert isinstance(found, Rejection)
    assert (found.reason, found.origin) == ("malformed", "w line 2")


@pytest.mark.parametrize("table", [{"id": "1"}, {**TABLE, "header": []}, {**TABLE, "id": 7}, {**TABLE, "types": "text"}])
def test_a_table_that_is_none_is_an_error(tmp_path: Path, table: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=r"train\.tables\.jsonl:1: "):
        _wikisql(tmp_path, {"sel": 0, "agg": 0, "conds": []}, table=table)


def test_wikisql_without_tables(tmp_path: Path) -> None:
    _wikisql(tmp_path, {"sel": 0, "agg": 0, "conds": []})
    (tmp_path / "train.tables.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"cannot read .*train\.tables\.jsonl"):
        list(read_wikisql(tmp_path / "train.jsonl", "w"))


@pytest.mark.shared
@pytest.mark.skipif(not SPIDER.is_dir(), reason="no data folder beside the checkout")
def test_all_of_spider_is_read() -> None:
    found = list(read_spider(SPIDER / "train_spider.json.gz", "s"))
    assert len(found) == 7_000
    assert all(isinstance(each, Candidate) for each in found)
    assert sum(isinstance(each, Candidate) and each.database is None for each in found) == 210
