"""Checking queries: what is let through, what is refused, and what the refusal says."""

from __future__ import annotations

import pytest

from sqlora.sql.check import Finding, check
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.schema import Schema

SCHEMA = Schema.from_ddl(
    """
    CREATE TABLE store (store_id INT PRIMARY KEY, store_name TEXT, region_id INT, opened_on DATE, tags TEXT[],
                        place STRUCT(street TEXT));
    CREATE TABLE region (region_id INT PRIMARY KEY, region_name TEXT, "group" TEXT);
    CREATE TABLE sale (sale_id INT PRIMARY KEY, store_id INT, sale_date DATE, net_amount DECIMAL(10, 2));
    CREATE TABLE archive.old_sale (sale_id INT, net_amount DECIMAL(10, 2));
    """
)
DUCKDB = load_dialect("duckdb")


def findings(sql: str, dialect: Dialect = DUCKDB) -> list[Finding]:
    return check(sql, dialect, SCHEMA)


@pytest.mark.parametrize(
    "sql",
    """
    SELECT store_name FROM store
    SELECT STORE_NAME FROM Store AS S WHERE s.Store_Id = 1
    SELECT s.store_name, r.region_name FROM store s JOIN region r USING (region_id) WHERE region_id = 1
    SELECT region_id, COUNT(*) AS n FROM store GROUP BY region_id HAVING n > 1 ORDER BY n DESC LIMIT 5
    WITH a AS (SELECT store_id, SUM(net_amount) AS total FROM sale GROUP BY ALL) SELECT store_name, total FROM store JOIN a USING (store_id) ORDER BY total
    SELECT * EXCLUDE (store_id) FROM store
    SELECT * REPLACE (store_id + 1 AS store_id) FROM store
    SELECT store_name FROM store WHERE EXISTS (SELECT 1 FROM sale WHERE sale.store_id = store.store_id)
    SELECT store_name FROM store s WHERE (SELECT SUM(net_amount) FROM sale o WHERE o.store_id = s.store_id) > 3
    SELECT place.street, store.place.street, a.place.street FROM store JOIN store a USING (store_id)
    SELECT LIST_TRANSFORM(tags, LAMBDA x : UPPER(x)), tags[1] FROM store
    SELECT LIST_FILTER(tags, x -> x > 'a') FROM store
    SELECT i FROM RANGE(10) r(i) WHERE i > 3
    SELECT x FROM (SELECT store_id AS x FROM store UNION ALL SELECT region_id FROM region) q ORDER BY x
    WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r
    WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r
    SELECT store_name, RANK() OVER (PARTITION BY region_id ORDER BY opened_on) rk FROM store QUALIFY rk = 1
    SELECT MAX(net_amount) OVER w FROM sale WINDOW w AS (PARTITION BY store_id)
    SELECT DATE_TRUNC('month', sale_date) AS m, SUM(net_amount) FROM sale GROUP BY m ORDER BY m
    SELECT store_id FROM store UNION SELECT store_id FROM sale ORDER BY store_id LIMIT 3
    SELECT a.store_id FROM store a JOIN sale b ON a.store_id = b.store_id ORDER BY store_id
    SELECT UNNEST(tags) AS tag FROM store
    SELECT u.x FROM store, UNNEST(tags) AS u(x)
    SELECT * FROM (SELECT store_id, COUNT(*) FROM sale GROUP BY 1) q
    SELECT main.store.store_name FROM main.store
    SELECT net_amount FROM archive.old_sale
    SELECT s.*, r."group" FROM store s LEFT JOIN region r ON s.region_id = r.region_id
    SELECT q.total FROM store, LATERAL (SELECT SUM(net_amount) AS total FROM sale o WHERE o.store_id = store.store_id) q
    SELECT rowid FROM store
    SELECT net_amount + 1 AS a, a * 2 AS b FROM sale
    SELECT COUNT(DISTINCT store_id) FILTER (WHERE net_amount > 1) FROM sale
    SELECT CASE WHEN net_amount > 1 THEN 'x' ELSE 'y' END AS size, AVG(net_amount) FROM sale GROUP BY size ORDER BY 2
    SELECT CAST(net_amount AS DOUBLE), net_amount::INT, TRY_CAST('1' AS INT), sale_date - INTERVAL '1 month' FROM sale
    SELECT EXTRACT(YEAR FROM sale_date), DATE_PART('month', sale_date), DATE_DIFF('day', sale_date, DATE '2026-01-01') FROM sale
    SELECT QUANTILE_CONT(net_amount, 0.5), MEDIAN(net_amount), ARG_MAX(sale_id, net_amount), STRING_AGG(store_id, ',' ORDER BY store_id) FROM sale
    SELECT store_name FROM store NATURAL JOIN region
    (SELECT store_name FROM store ORDER BY store_name) LIMIT 3
    SELECT {'a': store_id} AS s, [1, 2, 3] AS l FROM store
    SELECT REPEAT('x', 5), LPAD(store_name, 10, ' '), PRINTF('%.2f', 1.5), FORMAT('{:>10}', store_name) FROM store
    SELECT id FROM (VALUES (1, 'a')) v(id, name) WHERE id = 1
    SELECT GROUPING(store_id), SUM(net_amount) FROM sale GROUP BY ROLLUP (store_id)
    SELECT GROUPING(store_id), SUM(net_amount) FROM sale GROUP BY GROUPING SETS ((store_id), ())
    SELECT DISTINCT ON (store_id) store_id, net_amount FROM sale ORDER BY store_id, net_amount DESC
    SELECT store_name FROM store WHERE store_name ILIKE '%a%' AND (store_id, region_id) IN (SELECT 1, 2)
    SELECT * FROM store TABLESAMPLE 10%
    FROM store SELECT store_name
    SELECT o.net_amount / SUM(o.net_amount) OVER () FROM sale o
    SELECT store_name FROM store s SEMI JOIN sale o USING (store_id)
    SELECT * FROM sale WHERE sale_date BETWEEN '2025-01-01' AND CURRENT_DATE
    SELECT STRFTIME(sale_date, '%Y-%m'), LAST_DAY(sale_date), DAYNAME(sale_date), EPOCH(sale_date) FROM sale
    SELECT * FROM sale PIVOT (SUM(net_amount) FOR store_id IN (1, 2))
    SELECT UNNEST(GENERATE_SERIES(DATE '2025-01-01', DATE '2025-02-01', INTERVAL 1 DAY)) AS d
    SELECT store_name FROM (store JOIN region USING (region_id)) WHERE region_name = 'North'
    SELECT store_name FROM store; -- and a comment
    """.strip().splitlines(),
)
def test_sound_queries_have_no_findings(sql: str) -> None:
    assert findings(sql.strip()) == []


@pytest.mark.parametrize(
    ("sql", "kind", "token", "message"),
    [
        ("SELECT net_amout FROM sale", "column", "net_amout", "did you mean net_amount?"),
        ("SELECT SUM(sale.net_amout) FROM sale", "column", "net_amout", "in sale; did you mean net_amount?"),
        ("SELECT net_amount FROM store", "column", "net_amount", "in store; it is in sale"),
        ("SELECT store_name FROM stores", "table", "stores", "did you mean store?"),
        ("SELECT net_amount FROM old_sale", "table", "old_sale", "no table 'old_sale'; did you mean archive.old_sale?"),
        ("SELECT a FROM information_schema.tables", "table", "tables", "'information_schema.tables'"),
        ("SELECT * FROM 'data.csv'", "table", "'data.csv'", "no table 'data.csv'"),
        ("SELECT * FROM sqlite_master", "table", "sqlite_master", "no table"),
        ("SELECT x.store_name FROM store s", "table", "x", "no table or alias 'x' in FROM"),
        ("SELECT store.store_name FROM store s", "table", "store", "it is called s here"),
        ("SELECT sale.net_amount FROM store", "table", "sale", "join it first"),
        ("SELECT y.* FROM store s", "table", "y", "no table or alias 'y'"),
        ("SELECT region_id FROM store s JOIN region r ON s.region_id = r.region_id", "ambiguous", "region_id", "write s.region_id"),
        ("SELECT * FROM store JOIN sale USING (region_id)", "column", "region_id", "right side of the join (sale)"),
        ("SELECT * FROM region JOIN sale USING (sale_id)", "column", "sale_id", "left side of the join (region)"),
        ("WITH a AS (SELECT store_id AS k FROM store) SELECT store_id FROM a", "column", "store_id", "in a"),
        ("SELECT x FROM (SELECT store_id AS y FROM store) b", "column", "x", "in b"),
        ("SELECT store_id FROM store UNION SELECT store_id FROM sale ORDER BY net_amount", "column", "net_amount", "no column"),
        ("SELECT 1 FROM store WHERE EXISTS (SELECT 1 FROM sale WHERE s.store_id = 1)", "table", "s", "there is sale, store"),
        ("SELECT name FROM store, (VALUES (1)) v(id)", "column", "name", "no column 'name'"),
        ("SELECT foo(store_id) FROM store", "function", "foo", "foo() is unknown"),
        ("SELECT REPEAT('x', 900000000)", "function", "REPEAT", "at most 10,000"),
        ("SELECT LPAD('x', store_id) FROM store", "function", "LPAD", "at most 10,000"),
        ("SELECT RANGE(1000000000)", "function", "RANGE", "at most 1,000,000"),
        ("SELECT LEN(RANGE(1000 * 1000 * 1000))", "function", "RANGE", "at most 1,000,000"),
        ("SELECT PRINTF('%900000000d', 1)", "function", "PRINTF", "width"),
        ("SELECT FORMAT('{:{}}', 1, 100000000)", "function", "FORMAT", "width"),
        ("SELECT 1; SELECT 2", "statement", "2", "2 statements"),
        ("", "statement", "", "no statement"),
        ("-- nothing", "statement", "", "no statement"),
        ("SELECT $1", "statement", "", "write the value itself"),
    ],
)
def test_findings(sql: str, kind: str, token: str, message: str) -> None:
    [finding] = findings(sql)
    assert (finding.kind, finding.token) == (kind, token)
    assert message in finding.message
    if finding.token:
        line = sql.splitlines()[finding.line - 1]
        assert line[finding.column - 1 :].startswith(finding.token)


def test_places_count_lines_and_columns_from_one() -> None:
    [finding] = findings("SELECT store_name\n  FROM store\n WHERE store_nme = 'x'")
    assert (finding.line, finding.column, finding.token) == (3, 8, "store_nme")
    assert str(finding).startswith("line 3, column 8: no column 'store_nme'")


def test_all_findings_are_reported_in_the_order_of_the_text() -> None:
    found = findings("SELECT store_nme, nosuch.x FROM store WHERE regionid = 1")
    assert [finding.token for finding in found] == ["store_nme", "nosuch", "regionid"]


def test_a_column_shared_by_using_is_not_ambiguous_but_a_third_one_is() -> None:
    chain = "SELECT store_id FROM store a JOIN sale b USING (store_id) JOIN sale c "
    assert findings(chain + "USING (store_id)") == []
    [finding] = findings(chain + "ON a.store_id = c.store_id")
    assert finding.kind == "ambiguous"


def test_syntax_errors_are_findings() -> None:
    [finding] = findings("SELECT FROM WHERE")
    assert finding.kind == "syntax"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT GROUP_CONCAT(store_name) FROM store",
        "SELECT STRFTIME('%Y', opened_on), JULIANDAY(opened_on) FROM store",
        "SELECT store_name FROM store WHERE store_name GLOB 'a*'",
    ],
)
def test_sqlite(sql: str) -> None:
    assert findings(sql, load_dialect("sqlite")) == []


@pytest.mark.parametrize(
    "sql",
    ["SELECT PG_READ_FILE('/etc/passwd')", "SELECT LO_IMPORT('/etc/passwd')", "SELECT PG_SLEEP(60)", "SELECT DBLINK('host=x', 'y')", "SELECT SET_CONFIG('a', 'b', false)", "SELECT QUERY_TO_XML('x', true, true, '')"],
)
def test_postgres_functions_with_powers_are_refused(sql: str) -> None:
    assert {finding.kind for finding in findings(sql, load_dialect("postgres"))} == {"function"}


CASES = 'CREATE TABLE "Customer" (id INT, "fullName" TEXT, "Id" INT); CREATE TABLE visit (visit_id INT, id INT)'


@pytest.mark.parametrize(
    ("dialect", "sql", "message"),
    [
        ("postgres", "SELECT id FROM Customer", """no table 'customer'; write "Customer" in quotes"""),
        ("postgres", 'SELECT fullName FROM "Customer"', """no column 'fullname' in customer; write "fullName" in quotes"""),
        ("postgres", 'SELECT c.fullName FROM "Customer" c', """no column 'fullname' in c; write "fullName" in quotes"""),
        ("postgres", 'SELECT "ID" FROM visit', "no column 'ID' in visit; write id without quotes"),
        ("postgres", 'SELECT visit_id FROM "Customer" JOIN visit USING ("Id")', "no column 'Id' in visit; write id without quotes"),
        ("postgres", 'SELECT Customer.id FROM "Customer"', """no table or alias 'customer' in FROM; write "Customer" in quotes"""),
        ("snowflake", 'SELECT "id" FROM VISIT', "no column 'id' in visit; write ID without quotes"),
        ("oracle", 'SELECT fullName FROM "Customer"', """no column 'FULLNAME' in customer; write "fullName" in quotes"""),
    ],
)
def test_case_matters_where_the_engine_folds_names(dialect: str, sql: str, message: str) -> None:
    schema = Schema.from_ddl(CASES, dialect)
    assert [finding.message for finding in check(sql, load_dialect(dialect), schema)] == [message]
    # the same query over a database of another engine: names are as that engine has them
    assert check(sql, load_dialect(dialect), Schema(schema.tables, "duckdb")) == []


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT ID, "Id", "fullName" FROM "Customer" AS C WHERE c.Id = 1 ORDER BY "fullName"',
        'SELECT "Customer".id, Visit.Visit_Id FROM "Customer" JOIN Visit ON Visit.ID = "Customer".id',
        'SELECT total FROM (SELECT COUNT("fullName") AS "Total" FROM "Customer") q',  # only the schema's names are known
        'WITH Customer AS (SELECT 1 AS fullName) SELECT fullName FROM Customer',
        'SELECT (SELECT MAX("fullName") FROM visit) FROM "Customer"',
    ],
)
def test_names_in_the_case_that_the_engine_has_are_sound(sql: str) -> None:
    assert check(sql, load_dialect("postgres"), Schema.from_ddl(CASES, "postgres")) == []


def test_redshift_folds_quoted_names_too() -> None:
    assert check('SELECT "ID" FROM "Visit"', load_dialect("redshift"), Schema.from_ddl(CASES, "redshift")) == []


HOUSE = """
name = "house"
base = "duckdb"
[quoting]
identifiers = ["[", "]"]
strings = '"'
[pagination]
limit = "TAKE"
offset = "SKIP"
offset_first = true
[keywords]
VIA = "USING"
[operators]
"~=" = "<>"
[functions]
"TOTAL(x)" = "SUM(x)"
"RATIO(a, b)" = "a / NULLIF(b, 0)"
"SPLIT(x)" = "REGEXP_SPLIT_TO_TABLE(x, ',')"
[types]
"""


@pytest.fixture(scope="module")
def house() -> Dialect:
    return Dialect("house", DialectSpec.from_text(HOUSE, "house.toml"))


def test_a_house_dialect_is_checked_after_its_functions_are_expanded(house: Dialect) -> None:
    sql = 'SELECT store_name, [group], RATIO(TOTAL(net_amount), 2) FROM store JOIN region VIA (region_id) JOIN sale VIA (store_id) WHERE store_name ~= "Leeds" GROUP BY store_name, [group] ORDER BY TOTAL(net_amount) TAKE 5'
    assert findings(sql, house) == []


def test_places_are_those_of_the_house_text(house: Dialect) -> None:
    sql = 'SELECT RATIO(TOTAL(net_amout), 2)\nFROM sale JOIN store VIA (store_id)\nWHERE store_name ~= "x" AND [grp] = 1'
    first, second = findings(sql, house)
    assert (first.line, first.column, first.token) == (1, 20, "net_amout")
    assert (second.line, second.column, second.token) == (3, 29, "[grp]")


def test_functions_of_the_specs_templates_are_trusted(house: Dialect) -> None:
    assert findings("SELECT SPLIT(store_name) FROM store", house) == []
    assert findings("SELECT REGEXP_SPLIT_TO_TABLE(store_name, ',') FROM store")[0].kind == "function"


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("duckdb", "SELECT {: 1} FROM t"),
        ("tsql", "SELECT DATEDIFF('', a, a) FROM t"),
        ("duckdb", " UNION ".join(["SELECT 1"] * 1100)),
        ("duckdb", "SELECT a" + "::INT" * 1100 + " FROM t"),
    ],
)
def test_what_the_parser_stumbles_over_is_a_finding(dialect: str, sql: str) -> None:
    [found] = check(sql, load_dialect(dialect), Schema.from_ddl("CREATE TABLE t (a INT)"))
    assert found.kind == "syntax"
