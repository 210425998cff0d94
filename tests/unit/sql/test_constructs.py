"""What a query is made of, and which tables and columns it uses."""

from __future__ import annotations

import pytest

from sqlora.sql.constructs import CONSTRUCTS, constructs, uses
from sqlora.sql.dialect import load_dialect
from sqlora.sql.schema import Schema

DDL = """
CREATE TABLE store (store_id INTEGER PRIMARY KEY, store_name TEXT, city TEXT, opened_on DATE);
CREATE TABLE sale (sale_id INTEGER, store_id INTEGER REFERENCES store (store_id), amount DECIMAL(9, 2), day DATE);
"""
PARSE = load_dialect("duckdb").parse

# One query a line: each construct of the list is in at least one of them.
QUERIES = {
    "SELECT COUNT(*) FROM store": {"no join", "count"},
    "SELECT * FROM store JOIN sale USING (store_id)": {"1 join"},
    "SELECT 1 FROM store a JOIN store b ON a.city = b.city JOIN sale ON TRUE": {"2 joins", "self join", "comparison"},
    "SELECT 1 FROM store LEFT JOIN sale USING (store_id) RIGHT JOIN sale s USING (store_id) FULL JOIN sale t USING (store_id)":
        {"3 or more joins", "left join", "right join", "full join", "self join"},
    "SELECT 1 FROM store, sale": {"1 join", "cross or comma join"},
    "SELECT 1 FROM store WHERE (city = 'a' OR city LIKE 'b%') AND NOT opened_on IS NULL":
        {"no join", "comparison", "and", "or", "not", "like", "is null"},
    "SELECT 1 FROM sale WHERE amount BETWEEN 1 AND 2 AND store_id IN (1, 2)": {"no join", "between", "and", "in a list"},
    "SELECT 1 FROM sale WHERE store_id IN (SELECT store_id FROM store) OR EXISTS (SELECT 1 FROM store)":
        {"no join", "in a query", "exists", "or"},
    "SELECT COUNT(DISTINCT city), MEDIAN(store_id), SUM(1) FILTER (WHERE TRUE) FROM store":
        {"no join", "count distinct", "other aggregate", "sum", "aggregate with a filter"},
    "SELECT city, AVG(store_id), MIN(store_id), MAX(store_id) FROM store GROUP BY ROLLUP (city) HAVING COUNT(*) > 1":
        {"no join", "average", "minimum", "maximum", "group by", "rollup or cube", "having", "count", "comparison"},
    "WITH q AS (SELECT 1 AS x) SELECT x FROM (SELECT x FROM q) s WHERE x > (SELECT MIN(x) FROM q)":
        {"no join", "with", "query in from", "query as a value", "comparison", "minimum"},
    "WITH RECURSIVE q AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM q) SELECT x FROM q":
        {"no join", "with recursive", "union all", "arithmetic"},
    "SELECT RANK() OVER (ORDER BY day), LAG(day) OVER (ORDER BY day), SUM(amount) OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM sale QUALIFY TRUE":
        {"no join", "rank or row number", "other row", "sum", "aggregate over a window", "frame", "qualify"},
    "SELECT 1 UNION SELECT 2": {"no join", "union"},
    "SELECT 1 INTERSECT SELECT 2 EXCEPT SELECT 3": {"no join", "intersect", "except"},
    "SELECT DISTINCT city FROM store ORDER BY city NULLS FIRST LIMIT 3 OFFSET 2":
        {"no join", "distinct", "order by", "nulls first or last", "first rows", "skipped rows"},
    "SELECT CASE WHEN city = 'a' THEN 1 END, CAST(city AS TEXT), COALESCE(city, 'x'), UPPER(city), ROUND(1.2), YEAR(opened_on), opened_on + INTERVAL '1 day', [1, 2] FROM store":
        {"no join", "case", "comparison", "cast", "coalesce", "text function", "number function", "date function", "interval", "arithmetic", "json or array"},
}  # fmt: skip


@pytest.mark.parametrize("sql", QUERIES)
def test_the_constructs_of_a_query(sql: str) -> None:
    found = constructs(PARSE(sql))
    assert set(found) == QUERIES[sql]
    names = [name for group in CONSTRUCTS.values() for name in group]
    assert sorted(found, key=names.index) == list(found)


def test_every_construct_is_tested() -> None:
    assert set().union(*QUERIES.values()) == {name for group in CONSTRUCTS.values() for name in group}


@pytest.mark.parametrize(
    ("sql", "used"),
    [
        ("SELECT COUNT(*) FROM Store", {"store"}),
        ("SELECT CITY FROM store", {"store", "store.city"}),
        ("SELECT s.day FROM sale s JOIN store ON s.store_id = store.store_id", {"sale", "sale.day", "sale.store_id", "store", "store.store_id"}),
        ("SELECT amount FROM sale JOIN store USING (store_id)", {"sale", "sale.amount", "sale.store_id", "store", "store.store_id"}),
        ("WITH q AS (SELECT city AS c FROM store) SELECT c FROM q", {"store", "store.city"}),
        ("SELECT 1", set()),
    ],
)
def test_the_tables_and_columns_of_a_query(sql: str, used: set[str]) -> None:
    assert set(uses(PARSE(sql), Schema.from_ddl(DDL))) == used
