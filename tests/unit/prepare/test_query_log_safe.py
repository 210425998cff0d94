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


def kept(sql: str, dialect: str = "postgres", schema: Schema = SHOP) -> str:
    """The query as it is taught."""
    house = Dialect(dialect)
    reader = Reader(house, Mask(house), schema, SafeValues(schema), written=True)
    assert reader.read(Entry(sql, "line 1", 1, "", "", ()), "log") is None
    return reader.queries(None)[0].sql


# ------------------------------------------------------------------------------------------------------- rejections


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "mysql", "tsql"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city FROM customers WHERE name = 'O\\'Leakn' AND city = 'Leeds'",
        "SELECT city FROM customers WHERE name = 'Leakn AND city = 'Leeds'",
        "Leakn' AND city = 'x",
        'SELECT city FROM customers WHERE name = "Leakn"',
        'SELECT city FROM customers WHERE name = "Leak n"',
        "SELECT leakn(city) FROM customers",
        "SELECT /*+ SET_VAR(x = 'Leakn') */ city FROM customers WHERE email = 1",
    ],
)
@pytest.mark.parametrize("schema", [SHOP, Schema(())])
def test_what_stands_where_a_name_is_expected_is_not_shown(sql: str, dialect: str, schema: Schema) -> None:
    assert "leak" not in told(sql, dialect, schema).lower().replace("leakn(city)", "")


def test_a_column_that_no_table_has_is_not_shown() -> None:
    assert "Leak" not in told('SELECT "Leakn" FROM customers')
    assert "Leak" not in told("SELECT x.'Leakn' FROM customers AS x")


def test_a_rejection_shows_the_names_that_the_schema_has() -> None:
    said = told("SELECT nm, city FROM customers c WHERE city = 'York' AND city = '4012 8888 8888 1881'")
    assert "SELECT ?, city FROM customers AS ? WHERE city = ? AND city = ?" in said
    assert "'SELECT … (32 characters)'" in told("SELECT city FROM customers WHERE")


# ------------------------------------------------------------------------------------------------------- columns behind columns


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c.n FROM (SELECT name AS n FROM customers) c WHERE c.n = 'Leakn'",
        "SELECT n FROM (SELECT lower(name) AS n FROM customers) c WHERE strpos(n, 'Leakn') > 0",
        "WITH q AS (SELECT email AS e, city FROM customers) SELECT city FROM q WHERE e LIKE 'Leakn%'",
        "WITH q(e) AS (SELECT name FROM customers) SELECT COUNT(*) FROM q WHERE e = 'Leakn'",
        "WITH Q AS (SELECT name AS e FROM customers), r AS (SELECT e AS f FROM q) SELECT COUNT(*) FROM r WHERE f = 'Leakn'",
        "SELECT name AS n, COUNT(*) AS k FROM customers GROUP BY name HAVING n = 'Leakn'",
        "SELECT COUNT(*) FROM (SELECT city FROM customers UNION ALL SELECT name FROM customers) x(v) WHERE v = 'Leakn'",
        "SELECT COUNT(*) FROM customers AS c(a, b) WHERE c.b = 'Leakn'",
        "SELECT COUNT(*) FROM (SELECT * FROM (SELECT name AS n FROM customers) y) x WHERE x.n = 'Leakn'",
        "SELECT COUNT(*) FROM (SELECT * FROM customers) AS x(a, b) WHERE x.b = 'Leakn'",
        "SELECT COUNT(*) FROM orders, LATERAL (SELECT name AS n FROM customers) l WHERE l.n = 'Leakn'",
        "WITH RECURSIVE q AS (SELECT name AS n FROM customers UNION ALL SELECT n FROM q) SELECT COUNT(*) FROM q WHERE n = 'Leakn'",
        "SELECT COUNT(*) FROM customers WHERE name IN (SELECT 'Leakn')",
        "SELECT COUNT(*) FROM (VALUES ('Leakn')) t(nm) JOIN customers ON nm = customers.name",
        "SELECT COUNT(*) FROM customers c JOIN (SELECT 'Leakn' AS nm) t ON t.nm = c.name",
        "SELECT COUNT(*) FROM customers c JOIN (SELECT 'Leakn' AS name) t USING (name)",
        "SELECT name FROM customers INTERSECT SELECT 'Leakn'",
    ],
)
def test_a_column_is_known_behind_aliases(sql: str) -> None:
    assert "Leakn" not in told(sql)


def test_columns_that_double_at_each_level_end() -> None:
    sql = "SELECT name AS a0 FROM customers"
    for level in range(1, 25):
        sql = f"SELECT a{level - 1} || a{level - 1} AS a{level} FROM ({sql}) AS x"
    assert "Leakn" not in told(f"SELECT a24 FROM ({sql}) AS x WHERE a24 = 'Leakn'")


def test_a_column_is_known_in_qualify() -> None:
    sql = "SELECT name AS n, ROW_NUMBER() OVER (ORDER BY total) AS k FROM customers JOIN orders USING (customer_id) QUALIFY n = 'Leakn'"
    assert "Leakn" not in told(sql, "duckdb")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH t AS (SELECT status AS s, total AS v FROM orders) SELECT SUM(v) FROM t WHERE s = 'paid'",
        "WITH t(s, v) AS (SELECT status, total FROM orders) SELECT SUM(v) FROM t WHERE s = 'paid'",
        "SELECT x.status FROM (SELECT * FROM orders) AS x WHERE x.status = 'open'",
        "SELECT status AS s, COUNT(*) AS k FROM orders GROUP BY status HAVING s = 'paid'",
        "SELECT l.s FROM (VALUES ('paid', 1), ('open', 2)) AS l(s, n) JOIN orders AS o ON o.status = l.s",
        "SELECT customer_id FROM orders GROUP BY customer_id HAVING COUNT(DISTINCT order_id) * 100.0 / COUNT(*) > 50",
        "SELECT k FROM (SELECT COUNT(customer_id) AS k FROM orders GROUP BY status) AS x WHERE k = 5",
        "SELECT o.total FROM orders AS o WHERE o.customer_id > 0",
        "SELECT status FROM orders UNION ALL SELECT city FROM customers ORDER BY status",
    ],
)
def test_what_is_nobodys_stays_behind_aliases(sql: str) -> None:
    assert kept(sql) == sql


def test_a_parameter_gets_a_value_of_the_column_behind_an_alias() -> None:
    assert kept("SELECT v FROM (SELECT total AS v FROM orders) AS x WHERE v > $1").endswith("WHERE v > 10")


# ------------------------------------------------------------------------------------------------------- ways to write a text


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        ("tsql", "N'Leakn'"), ("oracle", "N'Leakn'"), ("snowflake", "N'Leakn'"), ("postgres", "E'Leakn'"), ("postgres", "$$Leakn$$"),
        ("postgres", "$tag$Leakn$tag$"), ("postgres", "U&'Leakn'"), ("bigquery", "r'Leakn'"), ("bigquery", "b'Leakn'"),
        ("oracle", "q'[Leakn]'"), ("sqlite", "'Leakn' COLLATE NOCASE"), ("mysql", "x'4C65616B6E'"), ("postgres", "B'0101'"),
        ("postgres", "'Lea' 'kn'"), ("postgres", "'Lea' || 'kn'"), ("tsql", "'Lea' + 'kn'"), ("mysql", "_utf8'Leakn'"),
    ],
)  # fmt: skip
def test_a_text_is_found_however_it_is_written(dialect: str, value: str) -> None:
    said = told(f"SELECT city FROM customers WHERE name = {value}", dialect)
    assert not any(part in said for part in ("Leakn", "Lea'", "4C65616B6E", "0101"))


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("snowflake", "SELECT total FROM orders WHERE payload:name = 'Leakn'"),
        ("snowflake", "SELECT total FROM orders WHERE payload['name']::string = 'Leakn'"),
        ("snowflake", "SELECT total FROM orders WHERE payload:\"Leakn X\" = 'a'"),
        ("tsql", "SELECT total FROM orders WHERE JSON_VALUE(payload, '$.email') = 'Leakn'"),
        ("mysql", "SELECT total FROM orders WHERE JSON_EXTRACT(payload, '$.\"Leakn X\"') = 'a'"),
        ("postgres", "SELECT total FROM orders WHERE payload @> '{\"name\": \"Leakn\"}'"),
        ("postgres", "SELECT total FROM orders WHERE payload->>'name' = 'Leakn'"),
        ("postgres", "SELECT total FROM orders WHERE payload #>> '{user,name}' = 'Leakn'"),
        ("postgres", "SELECT total FROM orders WHERE json_extract_path_text(payload, 'name') = 'Leakn'"),
        ("postgres", "SELECT total FROM orders WHERE jsonb_path_exists(payload, '$.name ? (@ == \"Leakn\")')"),
        ("mysql", "SELECT total FROM orders WHERE JSON_CONTAINS(payload, '\"Leakn\"', '$.name')"),
        ("clickhouse", "SELECT total FROM orders WHERE JSONExtractString(payload, 'name') = 'Leakn'"),
        ("bigquery", "SELECT total FROM orders WHERE payload.name = 'Leakn'"),
        ("duckdb", "SELECT total FROM orders WHERE payload = {'name': 'Leakn'}"),
        ("duckdb", "SELECT total FROM orders WHERE payload = MAP {'name': 'Leakn'}"),
        ("mysql", "SELECT JSON_OBJECT('name', 'Leakn') FROM orders"),
        ("bigquery", "SELECT STRUCT('Leakn' AS name) FROM orders"),
        ("duckdb", "SELECT * FROM customers PIVOT (COUNT(*) FOR name IN ('Leakn'))"),
        ("mysql", "SELECT /*+ SET_VAR(x = 'Leakn') */ total FROM orders"),
        ("tsql", "SELECT total FROM orders OPTION (LABEL = 'Leakn')"),
        ("clickhouse", "SELECT total FROM orders SETTINGS log_comment = 'Leakn'"),
        ("duckdb", "SELECT CAST(name AS ENUM('Leakn')) FROM customers"),
        ("postgres", 'SELECT total AS "Gandalf Leakn" FROM orders'),
        ("postgres", 'SELECT * FROM (SELECT total FROM orders) AS x("Gandalf Leakn")'),
    ],
)
def test_a_value_is_found_wherever_it_stands(dialect: str, sql: str) -> None:
    assert "Leakn" not in told(sql, dialect)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("snowflake", "SELECT total FROM orders WHERE GET_PATH(payload, 'status') = 'done'"),
        ("postgres", "SELECT total FROM orders WHERE payload ->> 'status' = 'done'"),
        ("postgres", "SELECT total FROM orders WHERE payload @> '{\"status\": \"done\"}'"),
        ("duckdb", "SELECT * FROM orders PIVOT(SUM(total) FOR status IN ('paid', 'open'))"),
    ],
)
def test_documents_and_pivots_of_other_things_stay(dialect: str, sql: str) -> None:
    assert kept(sql, dialect) == sql


def test_names_that_a_query_makes_up_are_plain() -> None:
    sql = 'SELECT status, SUM(total) AS "Total of all" FROM orders GROUP BY status ORDER BY "Total of all"'
    assert kept(sql) == "SELECT status, SUM(total) AS a1 FROM orders GROUP BY status ORDER BY a1"


# ------------------------------------------------------------------------------------------------------- forms and keys


@pytest.mark.parametrize(
    "text",
    [
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
        "password=hunter2x", "pwd: s3cr3tpw", "(030) 1234567", "0049 176 12345678", "12 Acacia Avenue", "Hauptstraße 12",
        "2001:4860:4860::8888", "anna@münchen.de",
    ],
)  # fmt: skip
def test_a_text_that_looks_personal_is_not_taught(text: str) -> None:
    for sql in (f"notes = '{text}'", f"notes LIKE '%{text}%'", f"notes = '{text[:5]}' || '{text[5:]}'", f"notes = concat('{text[:5]}', '{text[5:]}')"):
        said = told(f"SELECT total FROM orders WHERE {sql}")
        assert text not in said
        assert text[5:] not in said


@pytest.mark.parametrize(
    "condition",
    [
        "customer_id = '83271'", "customer_id::text LIKE '83271'", "customer_id = 83000 + 271", "customer_id BETWEEN 83271 AND 83272",
        "customer_id >= 83271 AND customer_id <= 83271", "customer_id - 1 = 83271", "customer_code = 'C83271'", "customer_code = 'LEAKN'",
        "customer_id IN (83271)", "customer_id IN (SELECT 83271)", "customer_id > '83271'", "customer_id = -83271",
    ],
)  # fmt: skip
def test_the_number_of_a_person_is_not_taught(condition: str) -> None:
    said = told(f"SELECT city FROM customers WHERE {condition}")
    assert not any(part in said for part in ("832", "83000", "LEAKN"))


@pytest.mark.parametrize("name", ["customerId", "customerid", "CUSTOMER_ID", "user_no"])
def test_the_number_of_a_person_is_known_however_it_is_called(name: str) -> None:
    schema = Schema.from_ddl(f"CREATE TABLE visits ({name} INTEGER, pages INTEGER)")
    assert "83271" not in told(f"SELECT pages FROM visits WHERE {name} = 83271", "duckdb", schema)
    assert "83271" in told("SELECT pages FROM visits WHERE pages = 83271", "duckdb", schema)


@pytest.mark.parametrize(
    "condition",
    [
        "total = 1234.5", "total BETWEEN 10 AND 1000000", "status IN ('paid', 'open')", "notes = 'B-2041'", "notes = 'TEA-GRN-500G'",
        "notes = 'SKU-000123'", "notes = 'Children''s Clothing & Footwear'", "notes = '24 hours a day'", "notes = 'Route 66'",
        "notes >= '2024-01-01'", "notes = '2024-01-31 23:59:59'", "notes = '2024-05-01T10:00:00Z'", "order_id = 100234",
        "notes LIKE '%express%'", "notes = 'secret santa'", "notes = 'password reset'",
    ],
)  # fmt: skip
def test_ordinary_values_stay(condition: str) -> None:
    sql = f"SELECT total FROM orders WHERE {condition}"
    assert kept(sql) == sql
