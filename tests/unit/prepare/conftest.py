"""A small shop: four tables, a reserved word for a name, a house dialect, and projects over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from sqlora.project import Project, load_project
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.execute import Database, open_database
from sqlora.sql.schema import Schema

DDL = """
CREATE TABLE customer (customer_id INTEGER PRIMARY KEY, customer_name VARCHAR NOT NULL, city VARCHAR NOT NULL,
    tier VARCHAR, joined_on DATE NOT NULL);
CREATE TABLE product (product_id INTEGER PRIMARY KEY, product_name VARCHAR NOT NULL, "group" VARCHAR NOT NULL,
    price DECIMAL(8, 2) NOT NULL);
CREATE TABLE "order" (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (customer_id),
    order_date DATE NOT NULL, channel VARCHAR NOT NULL);
CREATE TABLE order_line (order_id INTEGER NOT NULL REFERENCES "order" (order_id), line_no INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES product (product_id), quantity INTEGER NOT NULL, amount DECIMAL(8, 2),
    PRIMARY KEY (order_id, line_no));
"""

ROWS = """
INSERT INTO customer SELECT i, 'Customer ' || chr(65 + i::INTEGER), ['Leeds', 'York', 'Cork'][1 + i % 3],
    [NULL, 'gold', 'silver'][1 + i % 3], DATE '2023-01-01' + (i * 30)::INTEGER FROM range(24) t(i);
INSERT INTO product SELECT i, ['Green', 'Black', 'White', 'Herbal'][1 + i % 4] || ' ' || ['Tea', 'Cup', 'Pot'][1 + i % 3]
    || ' ' || i, ['food', 'home', 'garden'][1 + i % 3], 1.5 + i FROM range(18) t(i);
INSERT INTO "order" SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 20 END, DATE '2024-01-01' + (i * 3)::INTEGER,
    ['store', 'web', 'app'][1 + i % 3] FROM range(240) t(i);
INSERT INTO order_line SELECT i, j, (i * 7 + j) % 16, 1 + (i + j) % 4, CASE WHEN i % 11 = 0 THEN NULL ELSE 2.5 + (i + j) % 9 END
    FROM range(240) t(i), range(2) u(j);
"""

DIALECT = """
name = "shopql"
base = "duckdb"
[quoting]
identifiers = ["[", "]"]
strings = "\\""
[pagination]
limit = "TAKE"
offset = "SKIP"
[keywords]
MISSING = "NULL"
VIA = "USING"
[functions]
"TOTAL(x)" = "SUM(x)"
"TALLY()" = "COUNT(*)"
"RATIO(a, b)" = "a / NULLIF(b, 0)"
"BUSINESS_DATE()" = "DATE '2025-12-31'"
"ADD_DAYS(d, n)" = "CAST(d AS DATE) + CAST(n AS INTEGER)"
"YEAR_OF(d)" = "YEAR(CAST(d AS DATE))"
"FISCAL_YEAR(d)" = "YEAR(CAST(d AS DATE) + INTERVAL '6 months')"
"FISCAL_QUARTER(d)" = "QUARTER(CAST(d AS DATE) + INTERVAL '6 months')"
"""

GLOSSARY = """
[tables.customer]
names = ["customer"]
person = true
[columns."customer.city"]
phrase = ["in {v}"]
afar = ["from customers in {v}"]
[[measures]]
table = "order_line"
sql = "TOTAL(amount)"
names = ["sales", "revenue"]
weight = 5
[[filters]]
table = "order"
sql = "customer_id IS MISSING"
adjective = ["walk-in"]
afar_adjective = ["walk-in"]
[[relations]]
entity = "customer"
fact = "order"
has = ["ordered {t}"]
never = ["never ordered", "did not order {t}"]
more = ["placed more than {n} orders {t}"]
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shop.duckdb, dialect.toml and glossary.toml."""
    folder = tmp_path_factory.mktemp("shop")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(DDL + ROWS)
    (folder / "dialect.toml").write_text(DIALECT)
    (folder / "glossary.toml").write_text(GLOSSARY)
    return folder


@pytest.fixture(scope="session")
def dialect(shop: Path) -> Dialect:
    return load_dialect("dialect.toml", shop)


@pytest.fixture(scope="session")
def database(shop: Path) -> Iterator[Database]:
    with open_database("duckdb:///shop.duckdb", shop) as opened:
        yield opened


@pytest.fixture(scope="session")
def schema(database: Database) -> Schema:
    return database.schema()


MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(shop: Path, tmp_path: Path) -> MakeProject:
    """Write a project over the shop with these [[sources]] (TOML) and files, and load it."""

    def make(sources: str, settings: str = "", **files: object) -> Project:
        text = f'[project]\ndialect = "{shop}/dialect.toml"\n[database]\nurl = "duckdb:///{shop}/shop.duckdb"\n'
        (tmp_path / "sqlora.toml").write_text(text + settings + sources)
        for name, rows in files.items():
            lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]  # type: ignore[attr-defined]
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        return load_project(tmp_path)

    return make


@pytest.fixture
def pairs() -> list[dict[str, str]]:
    """Twelve good pairs of twelve templates."""
    queries = [
        ("how many customers", "SELECT TALLY() FROM customer"),
        ("how many products", "SELECT TALLY() FROM product"),
        ("how many orders", "SELECT TALLY() FROM [order]"),
        ("customers in Leeds", 'SELECT customer_name FROM customer WHERE city = "Leeds"'),
        ("products over 5", "SELECT product_name FROM product WHERE price > 5"),
        ("orders by channel", "SELECT channel, TALLY() FROM [order] GROUP BY channel"),
        ("sales", "SELECT TOTAL(amount) FROM order_line"),
        ("sales by product", "SELECT product_name, TOTAL(amount) FROM order_line JOIN product VIA (product_id) GROUP BY product_name"),
        ("cheapest product", "SELECT product_name FROM product ORDER BY price TAKE 1"),
        ("customers without a tier", "SELECT customer_name FROM customer WHERE tier IS MISSING"),
        ("orders in FY2025", "SELECT TALLY() FROM [order] WHERE FISCAL_YEAR(order_date) = 2025"),
        ("all channels", "SELECT DISTINCT channel FROM [order]"),
    ]
    return [{"question": question, "sql": sql} for question, sql in queries]
