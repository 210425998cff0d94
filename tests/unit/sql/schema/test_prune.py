"""What of a wide schema a question is shown."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import SchemaError
from sqlora.prompting import SchemaPrompt
from sqlora.sql.dialect import load_dialect
from sqlora.sql.schema import Column, Schema, Table
from sqlora.sql.schema.needed import NOTHING, Needed, Recall, needed_by, recall
from sqlora.sql.schema.prune import LEAST, Pruner
from sqlora.sql.tokens import estimate_tokens

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
    ("question", "tokens", "names"),
    [
        ("How many employees earn a wage over 20?", 50, ("employee",)),
        ("list all stores in each region", 50, ("region", "store")),
        ("Which categories have no products?", 50, ("category", "product")),
        ("net amount by region", 70, ("region", "store", "orders", "order_line")),  # what joins them comes along
        ("storeName of productNames", 80, ("store", "product", "orders", "order_line")),
    ],
)
def test_the_tables_a_question_is_about_and_what_joins_them(question: str, tokens: int, names: tuple[str, ...]) -> None:
    shown = Pruner(SCHEMA, tokens).prune(question)
    assert set(names) <= set(shown.names)
    assert estimate_tokens(shown.to_prompt()) <= tokens


def test_a_schema_within_the_budget_is_left_alone() -> None:
    pruner = Pruner(SCHEMA, 1000)
    assert pruner.fits
    assert pruner.prune("anything") is SCHEMA


def test_without_a_word_in_common_the_most_joined_tables_are_shown() -> None:
    names = Pruner(SCHEMA, 60).prune("what is going on?").names
    assert names
    assert "employee" not in names


def test_what_must_be_shown_is_shown_whatever_the_question() -> None:
    keep = Needed(frozenset({"employee"}), frozenset({("employee", "hourly_wage")}))
    shown = Pruner(SCHEMA, LEAST).prune("list all stores in each region", keep)
    assert shown.table("employee").get("hourly_wage") is not None


def wide(columns: int) -> Schema:
    many = tuple(Column(f"measure_{number}", "INT") for number in range(columns))
    fact = Table("fact", (Column("fact_id", "INT"), *many, Column("net_amount", "INT")), ("fact_id",))
    return Schema((fact, *SCHEMA.tables))


def test_of_a_wide_table_the_keys_and_the_best_columns_are_shown() -> None:
    shown = Pruner(wide(500), 200).prune("total net amount of measure 417 in the facts")
    names = [column.name for column in shown.table("fact").columns]
    assert {"fact_id", "measure_417", "net_amount"} <= set(names)
    assert len(names) < 60
    assert estimate_tokens(shown.to_prompt()) <= 200


def test_keys_to_tables_that_are_not_shown_are_left_out() -> None:
    shown = Pruner(SCHEMA, 50, "ddl").prune("stores")
    for table in shown.tables:
        for key in table.foreign_keys:
            assert shown.get(key.table) is not None
            assert all(table.get(name) for name in key.columns)


def test_without_declared_keys_equal_names_join() -> None:
    schema = Schema.from_ddl(
        """
        CREATE TABLE a (a_id INT PRIMARY KEY, apple TEXT);
        CREATE TABLE b (b_id INT PRIMARY KEY, a_id INT);
        CREATE TABLE c (c_id INT PRIMARY KEY, b_id INT, cherry TEXT);
        CREATE TABLE d (d_id INT PRIMARY KEY, date_of_nothing_in_particular_at_all_and_a_long_name TEXT);
        """
    )
    assert Pruner(schema, 50).prune("apples and cherries").names == ("a", "b", "c")


def test_keys_that_are_called_id_are_joined_by_the_tables_name() -> None:
    filler = ", ".join(f"nothing_in_particular_{number} INT" for number in range(20))
    schema = Schema.from_ddl(
        f"CREATE TABLE stores (id INT PRIMARY KEY, city TEXT); CREATE TABLE other (id INT PRIMARY KEY, {filler});"
        "CREATE TABLE sales (id INT PRIMARY KEY, store_id INT, amount INT);"
    )
    assert Pruner(schema, 50).prune("amount of sales").names == ("stores", "sales")


@pytest.mark.parametrize("tokens", [0, LEAST - 1])
def test_a_budget_without_room_for_a_table_is_refused(tokens: int) -> None:
    with pytest.raises(SchemaError, match=f"pruned to {tokens} tokens"):
        Pruner(SCHEMA, tokens)


@pytest.mark.parametrize(
    ("sql", "tables", "columns"),
    [
        ("SELECT COUNT(*) FROM store", "store", ""),
        ("SELECT s.store_name FROM store AS s", "store", "store.store_name"),
        (
            "SELECT * FROM STORE WHERE region_id IN (SELECT Region_Id FROM region)",
            "store region",
            "store.region_id region.region_id",
        ),
        (
            "SELECT country FROM store JOIN region USING (region_id)",
            "store region",
            "region.country store.region_id region.region_id",
        ),
        ("WITH region AS (SELECT store_id FROM store) SELECT store_id FROM region", "store", "store.store_id"),
        ("SELECT nosuch FROM nosuch", "", ""),
    ],
)
def test_what_a_query_needs(sql: str, tables: str, columns: str) -> None:
    needed = needed_by(sqlglot.parse_one(sql, dialect="duckdb"), SCHEMA)
    assert needed.tables == frozenset(tables.split())
    assert needed.columns == frozenset(tuple(name.split(".")) for name in columns.split())


def test_recall() -> None:
    needed = needed_by(
        sqlglot.parse_one("SELECT net_amount, order_date FROM order_line JOIN orders USING (order_id)"), SCHEMA
    )
    assert recall(SCHEMA, needed) == Recall(1, 1, 2, 2, 4, 4)
    less = Schema(tuple(table for table in SCHEMA.tables if table.name != "orders"))
    assert recall(less, needed) == Recall(1, 0, 2, 1, 4, 2)
    both = recall(SCHEMA, needed) + recall(less, needed)
    assert (both.whole_share, both.table_share, both.column_share) == (0.5, 0.75, 0.75)
    assert Recall().whole_share == Recall().table_share == Recall().column_share == 1.0


QUESTIONS = st.lists(
    st.sampled_from(["stores", "region", "net amount", "measure 7", "employee wages", "order dates", "🛒", "by", "''"]),
    max_size=5,
).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(QUESTIONS, st.integers(LEAST, 400), st.sampled_from(["compact", "ddl"]), st.sampled_from([0, 30, 300]))
def test_the_budget_is_kept_and_what_is_shown_is_a_part_of_the_schema(
    question: str, tokens: int, style: str, columns: int
) -> None:
    schema = wide(columns)
    shown = Pruner(schema, tokens, style).prune(question)  # type: ignore[arg-type]
    assert shown.tables
    assert estimate_tokens(shown.to_prompt(style)) <= tokens  # type: ignore[arg-type]
    for table in shown.tables:
        whole = schema.table(table.name)
        assert [column for column in whole.columns if column in table.columns] == list(table.columns)
    assert [table.name for table in schema.tables if table.name in shown.names] == list(shown.names)
    assert shown == Pruner(schema, tokens, style).prune(question)  # type: ignore[arg-type]


def test_a_prompt_for_each_question_only_where_the_schema_is_over_the_budget() -> None:
    dialect = load_dialect("duckdb")
    whole = SchemaPrompt(dialect, SCHEMA)
    assert not whole.prunes
    assert whole.system("stores") == whole.system() == SchemaPrompt(dialect, SCHEMA, tokens=1000).system("stores")
    narrow = SchemaPrompt(dialect, SCHEMA, tokens=50)
    assert narrow.prunes
    assert narrow.system("employee wages") != narrow.system("list all stores in each region")
    assert "employee(" in narrow.system("employee wages")
    keep = Needed(frozenset({"category"}), NOTHING.columns)
    assert "category(" in narrow.system("employee wages", keep)
