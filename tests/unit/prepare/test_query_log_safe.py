"""Values of a log that nobody is to see, and the ways in which a query can hide them."""

from __future__ import annotations

import pytest

from sqlora.prepare.sources.query_log import Reader
from sqlora.prepare.sources.query_log.mask import Mask
from sqlora.prepare.sources.query_log.safe_values import SafeValues
from sqlora.prepare.sources.query_log.tally import Entry
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

SHOP = Schema.from_ddl(
    """
    CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name VARCHAR, email VARCHAR, city VARCHAR, customer_code VARCHAR);
    CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (customer_id), status VARCHAR,
        total INTEGER, notes VARCHAR, payload JSON);
    """
)


def told(sql: str, dialect: str = "postgres", schema: Schema = SHOP) -> str:
    """All that gets out of a log with this one statement, where a model may word questions."""
    house = Dialect(dialect)
    reader = Reader(house, Mask(house), schema, SafeValues(schema), written=True)
    rejection = reader.read(Entry(sql, "line 1", 1, "", "", ()), "log")
    return f"{reader.queries(None)} {rejection}"


# ------------------------------------------------------------------------------------------------------- rejections


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "mysql", "tsql"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city FROM customers WHERE name = 'O\\'Leakn' AND city = 'Leeds'",
        "SELECT city FROM customers WHERE name = 'Leakn AND city = 'Leeds'",
        "Leakn' AND city = 'x",
        "SELECT leakn(city) FROM customers",
    ],
)
@pytest.mark.parametrize("schema", [SHOP, Schema(())])
def test_what_stands_where_a_name_is_expected_is_not_shown(sql: str, dialect: str, schema: Schema) -> None:
    assert "leak" not in told(sql, dialect, schema).lower().replace("leakn(city)", "")


def test_a_rejection_shows_the_names_that_the_schema_has() -> None:
    said = told("SELECT nm, city FROM customers c WHERE city = 'York' AND city = '4012 8888 8888 1881'")
    assert "SELECT ?, city FROM customers AS ? WHERE city = ? AND city = ?" in said
    assert "'SELECT … (32 characters)'" in told("SELECT city FROM customers WHERE")
