"""Choosing the tables a question is about."""

from __future__ import annotations

import pytest

from sqlora.errors import SchemaError
from sqlora.sql.schema import Schema

SCHEMA = Schema.from_ddl(
    """
    CREATE TABLE region (region_id INT PRIMARY KEY, region_name TEXT, country TEXT);
    CREATE TABLE store (store_id INT PRIMARY KEY, store_name TEXT, region_id INT REFERENCES region (region_id));
    CREATE TABLE category (category_id INT PRIMARY KEY, category_name TEXT);
    CREATE TABLE product (product_id INT PRIMARY KEY, product_name TEXT, category_id INT REFERENCES category (category_id));
    CREATE TABLE orders (order_id INT PRIMARY KEY, store_id INT REFERENCES store (store_id), order_date DATE);
    CREATE TABLE order_line (order_id INT REFERENCES orders (order_id), product_id INT REFERENCES product (product_id), net_amount INT); -- sales
    CREATE TABLE employee (employee_id INT PRIMARY KEY, full_name TEXT, hourly_wage INT); -- staff
    """
)


@pytest.mark.parametrize(
    ("question", "most", "names"),
    [
        ("How many employees earn a wage over 20?", 1, ("employee",)),
        ("list all stores in each region", 2, ("region", "store")),
        ("Which categories have no products?", 2, ("category", "product")),
        ("net amount by region", 4, ("region", "store", "orders", "order_line")),  # what joins them comes along
        ("storeName of productNames", 4, ("store", "product", "orders", "order_line")),
    ],
)
def test_prune(question: str, most: int, names: tuple[str, ...]) -> None:
    assert SCHEMA.prune(question, most).names == names


def test_a_small_schema_is_left_alone() -> None:
    assert SCHEMA.prune("anything", 7) is SCHEMA


def test_without_a_word_in_common_the_most_joined_tables_are_kept() -> None:
    kept = SCHEMA.prune("what is going on?", 3)
    assert len(kept.tables) == 3
    assert "employee" not in kept.names


def test_a_table_whose_path_does_not_fit_is_left_out() -> None:
    names = SCHEMA.prune("net amount by country", 3).names
    assert len(names) <= 3


def test_without_declared_keys_equal_names_join() -> None:
    schema = Schema.from_ddl(
        """
        CREATE TABLE a (a_id INT PRIMARY KEY, apple TEXT);
        CREATE TABLE b (b_id INT PRIMARY KEY, a_id INT);
        CREATE TABLE c (c_id INT PRIMARY KEY, b_id INT, cherry TEXT);
        CREATE TABLE d (d_id INT PRIMARY KEY, date TEXT);
        """
    )
    assert schema.prune("apples and cherries", 3).names == ("a", "b", "c")


def test_max_tables_must_be_positive() -> None:
    with pytest.raises(SchemaError, match="max_tables is 0"):
        SCHEMA.prune("x", 0)
