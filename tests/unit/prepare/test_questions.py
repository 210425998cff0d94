"""A query in words: all of it, or none."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sqlora.prepare.questions.describe import NoQuestionError, describe
from sqlora.prepare.questions.scope import noun
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

POSTGRES = Dialect("postgres")
SHARED = Path(__file__).parents[4] / "shared" / "data"
SHOP = Schema.from_ddl(
    """
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR, city VARCHAR, joined_on DATE, is_active BOOLEAN);
    CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR, price DECIMAL(8, 2), category VARCHAR);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), order_date DATE, channel VARCHAR);
    CREATE TABLE order_lines (order_id INTEGER REFERENCES orders (id), product_id INTEGER REFERENCES products (id),
        quantity INTEGER, amount DECIMAL(8, 2));
    """
)


def ask(sql: str) -> str:
    return describe(POSTGRES.parse(sql), SHOP)


@pytest.mark.parametrize(
    ("sql", "question"),
    [
        ("SELECT COUNT(*) FROM customers", "How many customers are there?"),
        ("SELECT COUNT(*) FROM customers WHERE city = 'Leeds' AND joined_on >= DATE '2024-01-01'",
         "How many customers are there where the city is Leeds and the joined date is on or after 1 January 2024?"),
        ("SELECT AVG(price) FROM products WHERE category <> 'food'", "What is the average price of the products where the category is not food?"),
        ("SELECT DISTINCT category FROM products", "List the different categories of the products"),
        ("SELECT * FROM products ORDER BY price DESC LIMIT 5", "List the details of the products, only the first 5 by highest price"),
        ("SELECT COUNT(*) FROM orders WHERE channel LIKE 'w%' OR NOT (channel = 'app' OR channel IS NULL)",
         "How many orders are there where either the channel starts with w or (the channel is not app and the channel is not missing)?"),
        ("SELECT c.city, COUNT(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY 1 ORDER BY 2 DESC",
         "What is the number of orders for each customer city, including those without orders, sorted by highest number of orders?"),
        ("SELECT c.city, SUM(l.amount) AS revenue FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.order_id = o.id "
         "GROUP BY c.city HAVING SUM(l.amount) > 100 ORDER BY revenue DESC LIMIT 3",
         "What is the total order line amount for each customer city, only where the total order line amount is more than 100, "
         "only the first 3 by highest total order line amount?"),
        ("SELECT MAX(order_date) FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE NOT is_active)",
         "What is the latest order date of the orders where the customer id is among the customer ids where active is false?"),
        ("SELECT COUNT(*) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.order_date > CURRENT_DATE - INTERVAL '30 days')",
         "How many customers are there where they have no orders where the order date is after 30 days before today?"),
        ("SELECT COUNT(*) FROM products WHERE price > (SELECT AVG(price) FROM products)",
         "How many products are there where the price is more than the average price of the products?"),
        ("WITH t AS (SELECT customer_id, SUM(amount) AS total FROM orders JOIN order_lines ON orders.id = order_lines.order_id WHERE channel = 'web' GROUP BY customer_id) SELECT AVG(total) FROM t",
         "What is the average total order line amount for each order customer id where the order channel is web?"),
        ("SELECT SUM(CASE WHEN channel = 'web' THEN 1 ELSE 0 END) FROM orders", "How many orders are there where the channel is web?"),
        ("SELECT COUNT(DISTINCT city) FROM customers WHERE joined_on BETWEEN '2024-01-01' AND '2024-12-31'",
         "How many different cities of the customers are there where the joined date is between 1 January 2024 and 31 December 2024?"),
        ("SELECT EXTRACT(YEAR FROM order_date), COUNT(*) FROM orders GROUP BY 1", "What is the number of orders for each year of the order date?"),
    ],
)  # fmt: skip
def test_questions(sql: str, question: str) -> None:
    assert ask(sql) == question
    assert ask(sql) == ask(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT name FROM customers, orders",  # every row with every row
        "SELECT name FROM customers c JOIN orders o ON true",
        "SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.channel = 'web'",
        "SELECT SUM(amount) OVER (ORDER BY quantity ROWS 3 PRECEDING) FROM order_lines",
        "SELECT DISTINCT ON (city) name FROM customers",
        "SELECT city, COUNT(*) FROM customers GROUP BY ROLLUP (city)",
        "SELECT name FROM customers WHERE name ~ '^A'",
        "SELECT total FROM (SELECT SUM(amount) AS total FROM order_lines LIMIT 3) AS t",
        "SELECT COUNT(*) FROM (SELECT DISTINCT city FROM customers) AS t",
        "SELECT a.name FROM customers a, customers b, customers c WHERE a.city = b.city AND b.city = c.city",
        "SELECT md5(name) FROM customers",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT name FROM customers CROSS JOIN LATERAL (SELECT 1) AS t",
        "SELECT name FROM customers FULL JOIN orders ON customers.id = orders.customer_id",
        "SELECT nothing FROM nowhere WHERE x = ANY (ARRAY[1, 2])",
        "SELECT name FROM customers LIMIT (SELECT 3)",
        "SELECT name FROM customers TABLESAMPLE SYSTEM (10)",
        "WITH RECURSIVE t AS (SELECT id FROM customers UNION ALL SELECT id FROM t) SELECT id FROM t",
        "SELECT name FROM customers FOR UPDATE",
        "SELECT name FROM customers UNION SELECT channel FROM orders ORDER BY 1",
        "SELECT x.a FROM (SELECT city FROM customers) AS x(a)",
    ],
)
def test_what_has_no_faithful_words_has_no_question(sql: str) -> None:
    with pytest.raises(NoQuestionError):
        ask(sql)


@pytest.mark.parametrize(
    ("sql", "question"),
    [
        ("SELECT DATE_TRUNC('month', order_date), COUNT(*) FROM orders GROUP BY 1",
         "What is the number of orders for each month of the order date?"),
        ("SELECT COUNT(*) FROM orders WHERE order_date >= DATEADD(month, -3, CURRENT_DATE)",
         "How many orders are there where the order date is on or after 3 months before today?"),
        ("SELECT SUM(IFF(channel = 'web', 1, 0)) FROM orders", "How many orders are there where the channel is web?"),
        ("SELECT IFF(price > 9, 'dear', 'cheap') FROM products",
         "Give me the dear if the price is more than 9, otherwise cheap of the products"),
        ("SELECT COUNT_IF(channel = 'web') FROM orders", "How many orders are there where the channel is web?"),
        ("SELECT LISTAGG(DISTINCT city, ', ') WITHIN GROUP (ORDER BY city) FROM customers",
         "What are the list of different cities (separated by ', ', sorted by city in alphabetical order) of the customers?"),
        ("SELECT LISTAGG(city) FROM customers", "List the list of cities (run together) of the customers"),
        ("SELECT AVG(DATEDIFF('day', joined_on, CURRENT_DATE)) FROM customers",
         "What is the average number of days from joined date to today of the customers?"),
        ("SELECT ROUND(AVG(price), 2) FROM products", "What is the average price rounded to 2 decimals of the products?"),
        ("SELECT CONCAT(name, city) FROM customers", "Give me the customer name followed by city"),
    ],
)  # fmt: skip
def test_snowflakes_words(sql: str, question: str) -> None:
    assert describe(Dialect("snowflake").parse(sql), SHOP) == question


def test_a_span_that_goes_back_twice_goes_forth() -> None:
    tree = Dialect("mysql").parse("SELECT name FROM customers WHERE joined_on > CURRENT_DATE - INTERVAL -3 DAY")
    assert describe(tree, SHOP).endswith("is after 3 days after today")


@pytest.mark.parametrize(
    ("dialect", "sql", "what"),
    [
        ("snowflake", "SELECT APPROX_COUNT_DISTINCT(city) FROM customers", "the function APPROX_COUNT_DISTINCT"),
        ("snowflake", "SELECT TO_CHAR(joined_on, 'YYYY') FROM customers", "such a use of the function TO_CHAR"),
        ("snowflake", "SELECT LISTAGG(city, name) FROM customers", "the separator of LISTAGG"),
        ("snowflake", "SELECT city FROM customers QUALIFY RANK() OVER (ORDER BY name) = 1", "QUALIFY of SELECT"),
        ("postgres", "SELECT joined_on AT TIME ZONE 'UTC' FROM customers", "ZONE of AT TIME ZONE"),
        ("postgres", "SELECT name FROM customers WHERE name ~ '^A'", "the condition REGEXP_LIKE"),
    ],
)
def test_what_has_no_words_is_named_as_the_dialect_does(dialect: str, sql: str, what: str) -> None:
    with pytest.raises(NoQuestionError) as caught:
        describe(Dialect(dialect).parse(sql), SHOP)
    assert caught.value.in_dialect(dialect) == what


def test_which_of_two_rows_of_one_table_is_meant_is_said() -> None:
    sql = "SELECT a.name FROM customers a JOIN customers b ON a.city = b.city WHERE b.name = 'Bob'"
    assert "the customer city is the other customer city and the other customer name is Bob" in ask(sql)


@pytest.mark.parametrize(("table", "word"), [("order_lines", "order line"), ("dim_Categories", "category"), ("people", "person"), ("OrderStatus", "order status"),
                                             ("boxes", "box"), ("news", "news"), ("bus", "bus"), ("order", "order")])  # fmt: skip
def test_a_row_of_a_table_has_a_name(table: str, word: str) -> None:
    assert noun(table) == word


COLUMNS = {"city": "'Leeds'", "name": "'Anna'", "id": "17"}
COMPARISONS = st.builds(
    lambda column, operator: f"{column} {operator.format(COLUMNS[column])}",
    st.sampled_from(sorted(COLUMNS)),
    st.sampled_from(["= {}", "<> {}", "IN ({0}, {0})", "IS NULL", "IS NOT NULL", "NOT IN ({})", "> {}",
                     "BETWEEN {0} AND {0}", "NOT BETWEEN {0} AND {0}"]),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(lambda a, b, word: f"({a} {word} {b})", inner, inner, st.sampled_from(["AND", "OR"])),
        st.builds(lambda a: f"NOT {a}" if a.startswith("(") else f"NOT ({a})", inner),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("city IS NULL", "the city is missing"),
        ("city IS NOT NULL", "the city is not missing"),
        ("NOT city IS NOT NULL", "the city is missing"),
        ("city NOT LIKE '%a'", "the city does not end with a"),
        ("NOT city ILIKE 'a%'", "the city does not start with a"),
        ("id NOT BETWEEN 1 AND 2", "the customer id is not between 1 and 2"),
        ("id NOT IN (1, 2)", "the customer id is neither 1 nor 2"),
        ("is_active IS NOT TRUE", "active is not true"),
        ("NOT (id > 3 AND city = 'York')", "either the customer id is at most 3 or the city is not York"),
        ("5 < id", "the customer id is more than 5"),
        ("id IS DISTINCT FROM 3", "the customer id is not 3"),
    ],
)
def test_conditions_and_their_contraries(condition: str, said: str) -> None:
    assert ask(f"SELECT COUNT(*) FROM customers WHERE {condition}") == f"How many customers are there where {said}?"


@settings(max_examples=100, deadline=None)
@given(CONDITIONS)
def test_no_condition_is_left_out(condition: str) -> None:
    """As many conditions are said as the query has, and each of its values is."""
    tree = POSTGRES.parse(f"SELECT city FROM customers WHERE {condition}")
    said = describe(tree, SHOP).partition(" where ")[2]
    atoms = sum(isinstance(node, exp.EQ | exp.NEQ | exp.In | exp.Is | exp.GT | exp.Between) for node in tree.walk())
    assert len(re.findall(r"the (?:city|customer name|customer id) is ", said)) == atoms
    for word, literal in (("Leeds", "Leeds"), ("Anna", "Anna"), ("17", "17")):
        assert said.count(word) == sum(node.name == literal for node in tree.find_all(exp.Literal))


@settings(max_examples=60, deadline=None)
@given(CONDITIONS)
def test_a_condition_and_its_contrary_are_told_apart(condition: str) -> None:
    assert ask(f"SELECT city FROM customers WHERE {condition}") != ask(f"SELECT city FROM customers WHERE NOT ({condition})")


@pytest.mark.shared
def test_most_of_a_public_set_has_words() -> None:
    """A share that only a change of the rules moves: of 1,000 queries of Spider, over the schemas that they bring."""
    file = SHARED / "sql-create-context" / "spider_train.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"no {file}")
    sqlite, said = Dialect("sqlite"), 0
    for line in gzip.decompress(file.read_bytes()).splitlines()[:1000]:
        row = json.loads(line)
        try:
            said += bool(describe(sqlite.parse(row["answer"]), Schema.from_ddl(row["context"], "sqlite")))
        except NoQuestionError:
            pass
    assert said > 700
