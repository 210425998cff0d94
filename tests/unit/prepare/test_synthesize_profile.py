"""What a column is taken for: by its type in whatever dialect, its values and its name."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import duckdb
import pytest

from sqlora.prepare.check import Checker
from sqlora.prepare.examples import Example, Rejection
from sqlora.prepare.sources.synthesize import synthesize
from sqlora.prepare.sources.synthesize.profile import profile_tables
from sqlora.prepare.sources.synthesize.types import holds
from sqlora.prepare.sources.synthesize.words import singular
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import open_database


@pytest.mark.parametrize(
    ("dialect", "type_", "held"),
    [
        ("duckdb", "ENUM('INT')", "enum"), ("duckdb", "INTEGER[]", "other"), ("duckdb", "INTERVAL", "other"),
        ("duckdb", "MAP(VARCHAR, INTEGER)", "other"), ("duckdb", "STRUCT(day DATE)", "other"), ("duckdb", "TIME", "other"),
        ("duckdb", "TIMESTAMP_S", "moment"), ("mysql", "bigint(20) unsigned", "whole"), ("mysql", "double(10,2)", "number"),
        ("mysql", "bit(1)", "other"), ("tsql", "BIT", "whole"), ("tsql", "money", "number"), ("postgres", "money", "other"),
        ("oracle", "NUMBER(*,2)", "number"), ("oracle", "INTERVAL YEAR TO MONTH", "other"), ("snowflake", "VARIANT", "other"),
        ("clickhouse", "LowCardinality(Nullable(String))", "text"), ("sqlite", "UNSIGNED BIG INT", "whole"),
        ("sqlite", "VARYING CHARACTER(9)", "text"), ("sqlite", "whatever", ""), ("sqlite", "", ""),
    ],
)  # fmt: skip
def test_types(dialect: str, type_: str, held: str) -> None:
    assert holds(type_, dialect) == held


COLUMNS = {
    "ENUM('a', 'b')": ("['a', 'b'][1 + i % 2]", "category"),
    "ENUM('a')": ("'a'", "category"),
    "INTEGER[]": ("[i]", "hidden"),
    "VARCHAR[]": ("['a']", "hidden"),
    "MAP(VARCHAR, INTEGER)": ("MAP {'a': i}", "hidden"),
    "STRUCT(a INTEGER)": ("{'a': i}", "hidden"),
    "UNION(n INTEGER, s VARCHAR)": ("i::INTEGER", "hidden"),
    "INTERVAL": ("to_days(i::INTEGER)", "hidden"),
    "TIME": ("TIME '10:00'", "hidden"),
    "JSON": ("'{}'", "hidden"),
    "BLOB": ("'a'::BLOB", "hidden"),
    "UUID": ("uuid()", "hidden"),
    "BOOLEAN": ("i % 2 = 0", "flag"),
    "DOUBLE": ("CASE i WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE ELSE i END", "number"),
    "HUGEINT": ("i", "number"),
    "TIMESTAMP": ("TIMESTAMP '2025-01-01 10:00' + to_days(i::INTEGER)", "date"),
}


def test_questions_over_every_type_of_duckdb(tmp_path: Path) -> None:
    names = {f"c{number}": type_ for number, type_ in enumerate(COLUMNS)}
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        columns = ", ".join(f"{name} {type_}" for name, type_ in names.items())
        connection.execute(f"CREATE TABLE cust (id INTEGER PRIMARY KEY, name VARCHAR, city VARCHAR, {columns})")
        values = ", ".join(value for value, _ in COLUMNS.values())
        connection.execute(f"INSERT INTO cust SELECT i, 'N' || i, ['Leeds', 'York'][1 + i % 2], {values} FROM range(30) t(i)")
    dialect = load_dialect("duckdb")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        schema = database.schema()
        profiles = profile_tables(schema, database)["cust"]
        assert {type_: profiles[name].kind for name, type_ in names.items()} == {type_: kind for type_, (_, kind) in COLUMNS.items()}
        checker = Checker(dialect, schema, database)
        results = [checker.check(candidate) for candidate in islice(synthesize(schema, database, dialect), 150)]
    assert [str(each) for each in results if isinstance(each, Rejection) and each.reason != "no rows"] == []
    queries = " ".join(each.sql for each in results if isinstance(each, Example))
    assert {name for name in names if re.search(rf"\b{name}\b", queries)} == {name for name in names if profiles[name].kind != "hidden"}


def test_values_that_are_not_what_their_type_says(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, made TIMESTAMP, price REAL, left_on DATE)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(i, 1_700_000_000 + i, "n/a" if i == 3 else i, "2024-02-30") for i in range(9)])
    connection.close()
    with open_database("sqlite:///x.sqlite", tmp_path) as database:
        profiles = profile_tables(database.schema(), database)["t"]
    assert [profiles[name].kind for name in ("made", "price", "left_on")] == ["hidden", "hidden", "category"]


KEYS = ("ORDER_ID", "orderId", "OrderID2Id", "id", "customer_sk", "DATE_KEY")
NO_KEYS = ("paid", "grid", "key", "keys", "valid_from")


def test_keys_are_known_by_their_names_in_any_case(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT {', '.join(f'i AS {name}' for name in KEYS + NO_KEYS)} FROM range(30) t(i)")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        kinds = {name: profile.kind for name, profile in profile_tables(database.schema(), database)["t"].items()}
    assert kinds == dict.fromkeys(KEYS, "key") | dict.fromkeys(NO_KEYS, "number")


def test_names_without_a_letter_are_in_no_question(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute('CREATE TABLE shop (id INTEGER PRIMARY KEY, name VARCHAR, "🍕" DOUBLE, "2024" DOUBLE, size DOUBLE)')
        connection.execute("INSERT INTO shop SELECT i, 'N' || i, i, i, i FROM range(30) t(i)")
        connection.execute('CREATE TABLE "🏪" (shop_id INTEGER REFERENCES shop (id), day DATE)')
        connection.execute("INSERT INTO \"🏪\" SELECT i, DATE '2024-01-01' FROM range(30) t(i)")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        drawn = list(islice(synthesize(database.schema(), database, load_dialect("duckdb")), 80))
    assert len(drawn) == 80
    for candidate in drawn:
        assert not any(name in candidate.example.sql for name in ("🍕", "🏪", '"2024"')), candidate.example
        assert not any(hole in f"{candidate.example.question} " for hole in (" an under ", " a  ", " as ha")), candidate.example


def test_layers_of_a_warehouse_are_in_no_question(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE fct_orders (ORDER_ID INTEGER, customerId INTEGER, order_total DOUBLE)")
        connection.execute("INSERT INTO fct_orders SELECT i, i % 9, i * 1.5 FROM range(60) t(i)")
        connection.execute("CREATE TABLE DimCustomers AS SELECT i AS customerId, 'N' || i AS name FROM range(9) t(i)")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        drawn = list(islice(synthesize(database.schema(), database, load_dialect("duckdb")), 80))
    questions = " ".join(candidate.example.question.lower() for candidate in drawn)
    assert "fct" not in questions
    assert "dim " not in questions
    assert "orders" in questions
    assert "customers" in questions
    assert not any("(ORDER_ID)" in candidate.example.sql or "(customerId)" in candidate.example.sql for candidate in drawn)


@pytest.mark.parametrize(
    ("table", "noun"),
    [("fct_orders", "order"), ("DimCustomer", "customer"), ("stg_stripe_payments", "stripe payment"), ("fact", "fact"),
     ("dim_1", "dim 1"), ("factories", "factory"), ("dimension", "dimension"), ("boxes", "box"), ("VW_STAFF", "staff")],
)  # fmt: skip
def test_tables_as_nouns(table: str, noun: str) -> None:
    assert singular(table) == noun


def test_nothing_is_measured_of_what_has_none(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE visit (visit_id INTEGER PRIMARY KEY, amount DOUBLE, room VARCHAR)")
        connection.execute("INSERT INTO visit SELECT i, CASE WHEN i % 2 = 0 THEN i END, 'R' || i % 3 FROM range(40) t(i)")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        drawn = [each.example for each in islice(synthesize(database.schema(), database, load_dialect("duckdb")), 300)]
    assert any("COUNT(*) FROM visit WHERE amount IS NULL" in each.sql for each in drawn)
    assert [each for each in drawn if "(amount)" in each.sql and re.search(r"(?<!OR )amount IS NULL", each.sql)] == []
