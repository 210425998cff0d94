"""The example's data: its shape, its promises, and that a seed decides it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import duckdb
import pytest

from sqlora.sql.schema import Schema

from .conftest import RETAIL

ROWS = {
    "region": 8, "store": 60, "employee": 900, "customer": 6_000, "supplier": 60, "category": 24, "product": 600,
    "promotion": 40, "order": 50_000, "refund": 4_000, "stock": 15_000, "fiscal_calendar": 1_096,
}


@pytest.fixture
def connection(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        yield connection


def value(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def content(path: Path) -> dict[str, tuple[Any, ...] | None]:
    """By table, its number of rows and the sum of their hashes."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {name: connection.execute(f'SELECT count(*), sum(hash(t)) FROM "{name}" AS t').fetchone()
                for (name,) in tables}


@pytest.mark.parametrize(("table", "rows"), ROWS.items())
def test_every_table_has_its_number_of_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: int) -> None:
    assert value(connection, f'SELECT count(*) FROM "{table}"') == rows


def test_orders_have_two_and_a_half_lines_on_average(connection: duckdb.DuckDBPyConnection) -> None:
    assert value(connection, "SELECT count(*) FROM order_line") == pytest.approx(125_000, rel=0.02)


def test_the_seed_decides_the_content(warehouse: Path, warehouse_script: ModuleType, tmp_path: Path) -> None:
    """In another process, too, where strings hash differently."""
    again = tmp_path / "again.duckdb"
    subprocess.run([sys.executable, str(RETAIL / "warehouse.py"), "--out", str(again)], check=True, capture_output=True,
                   env={**os.environ, "PYTHONHASHSEED": "11"})
    assert content(again) == content(warehouse)
    assert warehouse_script.make_suppliers(Random(8)) != warehouse_script.make_suppliers(Random(7))


def test_a_failed_build_leaves_the_old_warehouse(
    warehouse_script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"old")
    monkeypatch.setattr(warehouse_script, "generate", lambda seed: {"region": [("not a number", "x", "y")]})
    with pytest.raises(duckdb.Error):
        warehouse_script.build(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_happens_after_the_business_date(connection: duckdb.DuckDBPyConnection) -> None:
    columns = connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND data_type = 'DATE'").fetchall()
    assert len(columns) == 12
    for table, column in columns:
        assert str(value(connection, f'SELECT max("{column}") FROM "{table}"')) <= "2026-01-31", (table, column)


def test_columns_are_unique_but_for_keys(connection: duckdb.DuckDBPyConnection) -> None:
    shared = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE NOT internal GROUP BY column_name HAVING count(*) > 1").fetchall()
    assert {name for (name,) in shared} == {
        f"{key}_id" for key in ("region", "store", "employee", "customer", "supplier", "category", "product",
                                "promotion", "order")}


def test_only_cancelled_orders_lack_an_amount(connection: duckdb.DuckDBPyConnection) -> None:
    odd = """SELECT count(*) FROM order_line JOIN "order" USING (order_id)
             WHERE (net_amount IS NULL) <> (order_status = 'X')"""
    assert value(connection, odd) == 0
    assert value(connection, "SELECT count(*) FROM order_line WHERE net_amount IS NULL") > 4_000


@pytest.mark.parametrize("broken", [
    "SELECT count(*) FROM \"order\" JOIN employee USING (employee_id) WHERE employee.store_id <> \"order\".store_id",
    'SELECT count(*) FROM "order" JOIN employee USING (employee_id) WHERE order_date NOT BETWEEN hired_on '
    "AND coalesce(left_on, DATE '2026-01-31')",
    'SELECT count(*) FROM "order" JOIN store USING (store_id) WHERE order_date < opened_on OR order_date >= closed_on',
    'SELECT count(*) FROM "order" JOIN customer USING (customer_id) WHERE order_date < joined_on',
    "SELECT count(*) FROM \"order\" WHERE channel <> 'store' AND customer_id IS NULL",
    'SELECT count(*) FROM order_line JOIN "order" USING (order_id) JOIN product USING (product_id) '
    "WHERE order_date < launched_on",
    'SELECT count(*) FROM order_line JOIN "order" USING (order_id) JOIN promotion USING (promotion_id) '
    "WHERE order_date NOT BETWEEN starts_on AND ends_on",
    "SELECT count(*) FROM refund ANTI JOIN order_line USING (order_id, product_id)",
    'SELECT count(*) FROM refund JOIN "order" USING (order_id) WHERE refund_date < order_date',
    "SELECT count(*) FROM employee WHERE left_on < hired_on",
    "SELECT count(*) FROM stock JOIN store USING (store_id) WHERE closed_on IS NOT NULL",
    "SELECT count(*) FROM product WHERE unit_cost >= list_price",
])
def test_the_data_is_consistent(connection: duckdb.DuckDBPyConnection, broken: str) -> None:
    assert value(connection, broken) == 0


@pytest.mark.parametrize("present", [
    "SELECT count(*) FROM product ANTI JOIN order_line USING (product_id)",
    'SELECT count(*) FROM customer ANTI JOIN "order" USING (customer_id)',
    "SELECT count(*) FROM promotion ANTI JOIN order_line USING (promotion_id)",
    'SELECT count(*) FROM "order" WHERE customer_id IS NULL',
    "SELECT count(*) FROM customer WHERE email IS NULL",
    "SELECT count(*) FROM customer WHERE tier IS NULL",
    "SELECT count(*) FROM supplier WHERE rating IS NULL",
    "SELECT count(*) FROM refund WHERE reason IS NULL",
    "SELECT count(*) FROM employee WHERE left_on IS NOT NULL",
    "SELECT count(*) FROM stock WHERE on_hand < reorder_point",
    "SELECT count(*) FROM \"order\" WHERE order_status = 'P'",
])
def test_the_data_has_the_odd_spots_questions_need(connection: duckdb.DuckDBPyConnection, present: str) -> None:
    assert value(connection, present) > 0


def test_four_stores_are_closed(connection: duckdb.DuckDBPyConnection) -> None:
    assert value(connection, "SELECT count(closed_on) FROM store") == 4


@pytest.mark.parametrize(("table", "column"), [
    ("store", "store_name"), ("employee", "full_name"), ("customer", "customer_name"), ("supplier", "supplier_name"),
    ("category", "category_name"), ("product", "product_name"), ("promotion", "promotion_name"),
])
def test_names_tell_rows_apart(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    assert value(connection, f"SELECT count(*) - count(DISTINCT {column}) FROM {table}") == 0


def test_revenue_grows_and_has_a_christmas(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("""
        SELECT date_trunc('month', order_date), sum(net_amount) FROM order_line JOIN "order" USING (order_id)
        GROUP BY 1 ORDER BY 1""").fetchall()
    months = [float(amount) for _, amount in rows]
    first, second, third = (months[start:start + 12] for start in (0, 12, 24))
    assert sum(first) < sum(second) < sum(third)
    assert all(max(year) == year[10] for year in (first, second, third))  # the year starts in February


def test_schema_file_describes_the_database(warehouse: Path) -> None:
    """It has keys and comments, and the database carries them."""
    schema = Schema.from_ddl((RETAIL / "schema.sql").read_text(encoding="utf-8"))
    assert set(schema.names) == {*ROWS, "order_line"}
    assert all(table.primary_key and table.comment for table in schema.tables)
    keys = {(table.name, key.columns, key.table) for table in schema.tables for key in table.foreign_keys}
    assert len(keys) == 14
    built = Schema.from_database(f"duckdb:///{warehouse}")
    assert {table.name: table for table in built.tables} == {table.name: table for table in schema.tables}
