"""The specs that come with sqlora: that they are there, and what is particular to each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sqlora.errors import DialectError
from sqlora.sql.dialect import load_dialect
from sqlora.sql.dialect.shipped import shipped_dialects, shipped_spec, shipped_text
from sqlora.sql.dialect.spec import DialectSpec

DUCKDB = load_dialect("duckdb")
ROOT = Path(__file__).parents[4]


def test_they_are_loaded_by_name() -> None:
    assert shipped_dialects() == ("ledgerql", "oracle-like", "pipe-like", "tsql-like")
    for name in shipped_dialects():
        assert load_dialect(name.upper()).name == shipped_spec(name).name == name
        assert shipped_spec(name).description
        assert DialectSpec.from_text(shipped_spec(name).to_toml()) == shipped_spec(name)
        assert shipped_text(name).startswith("# ")


def test_a_misspelt_name_is_told() -> None:
    with pytest.raises(DialectError) as refused:
        load_dialect("oracle-lik")
    assert refused.value.next_step == "Did you mean oracle-like?"


def test_they_are_in_the_wheel() -> None:
    """hatchling takes the files of a package that git does not ignore."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["src/sqlora"]
    assert not {"exclude", "only-include"} & {*build, *build["targets"]["wheel"]}
    assert all((ROOT / "src" / "sqlora" / "dialects" / f"{name}.toml").is_file() for name in shipped_dialects())


# The dialect · what DuckDB is given · what the dialect writes, which is read back as the same.
WRITTEN = [
    ("tsql-like", "SELECT a FROM t ORDER BY a DESC NULLS FIRST LIMIT 3", "SELECT TOP 3 a FROM t ORDER BY IIF(a IS NULL, 0, 1), a DESC"),
    ("tsql-like", "SELECT a FROM t UNION SELECT b FROM u ORDER BY a NULLS FIRST LIMIT 2", "SELECT TOP 2 * FROM (SELECT a FROM t UNION SELECT b FROM u) AS limited ORDER BY a"),
    ("tsql-like", "SELECT d - INTERVAL '3 months' FROM t", "SELECT DATEADD(MONTH, -3, d) FROM t"),
    ("tsql-like", "SELECT DATE_TRUNC('month', CAST(d AS DATE)) FROM t", "SELECT DATETRUNC(MONTH, CONVERT(DATE, d)) FROM t"),
    ("tsql-like", 'SELECT "order" FROM t WHERE active', "SELECT [order] FROM t WHERE active = 1"),
    ("tsql-like", "SELECT a > 1 AS b FROM t", "SELECT CASE WHEN a > 1 THEN 1 WHEN NOT (a > 1) THEN 0 END AS b FROM t"),
    ("tsql-like", "SELECT COALESCE(a, b), COALESCE(a, b, 0) FROM t", "SELECT ISNULL(a, b), COALESCE(a, b, 0) FROM t"),
    ("oracle-like", "SELECT a FROM t ORDER BY a LIMIT 3", "SELECT * FROM (SELECT A FROM T ORDER BY A) WHERE ROWNUM <= 3"),
    ("oracle-like", "SELECT COUNT(*) FROM t LIMIT 3", "SELECT * FROM (SELECT COUNT(*) FROM T) WHERE ROWNUM <= 3"),
    ("oracle-like", "SELECT STRING_AGG(a, ',') FROM t LIMIT 3", "SELECT * FROM (SELECT LISTAGG(A, ',') FROM T) WHERE ROWNUM <= 3"),
    ("oracle-like", "SELECT STRING_AGG(DISTINCT a, ',' ORDER BY a) FROM t", "SELECT LISTAGG(DISTINCT A, ',') WITHIN GROUP (ORDER BY A) FROM T"),
    ("tsql-like", "SELECT STRING_AGG(a, ',' ORDER BY a NULLS FIRST) FROM t", "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a) FROM t"),
    ("oracle-like", "SELECT a FROM t WHERE b = 1 OR c = 2 LIMIT 3", "SELECT A FROM T WHERE (B = 1 OR C = 2) AND ROWNUM <= 3"),
    ("oracle-like", "SELECT a FROM t EXCEPT SELECT b FROM u", "SELECT A FROM T MINUS SELECT B FROM U"),
    ("oracle-like", "SELECT a FROM t WHERE d >= DATE '2025-01-31'", "SELECT A FROM T WHERE D >= TO_DATE('2025-01-31', 'YYYY-MM-DD')"),
    ("oracle-like", 'SELECT "order", "Mixed", COALESCE(a, 0) FROM t', 'SELECT "ORDER", "Mixed", NVL(A, 0) FROM T'),
    ("pipe-like", "SELECT b, COUNT(*) AS n FROM t GROUP BY b HAVING COUNT(*) > 1", "FROM t |> AGGREGATE COUNT(*) AS n GROUP BY b |> WHERE n > 1"),
    ("pipe-like", "SELECT b FROM t GROUP BY b ORDER BY SUM(a) DESC LIMIT 1", "FROM t |> AGGREGATE SUM(a) AS sum_1 GROUP BY b |> ORDER BY sum_1 DESC |> LIMIT 1 |> SELECT b"),
    ("pipe-like", "SELECT b FROM t GROUP BY b HAVING COUNT_IF(a > 1) > 2", "FROM t |> AGGREGATE COUNTIF(a > 1) AS countif_1 GROUP BY b |> WHERE countif_1 > 2 |> SELECT b"),
    ("pipe-like", "SELECT a FROM t ORDER BY b DESC", "FROM t |> ORDER BY b DESC |> SELECT a"),
    ("pipe-like", "SELECT a, SUM(b) OVER (PARTITION BY a) AS s FROM t ORDER BY c DESC LIMIT 3", "FROM t |> EXTEND SUM(b) OVER (PARTITION BY a) AS window_1 |> ORDER BY c DESC |> LIMIT 3 |> SELECT a, window_1 AS s"),
    ("pipe-like", "SELECT a, RANK() OVER (ORDER BY SUM(b) DESC) AS r FROM t GROUP BY a", "FROM t |> AGGREGATE SUM(b) AS sum_1 GROUP BY a |> SELECT a, RANK() OVER (ORDER BY sum_1 DESC) AS r"),
    ("pipe-like", "SELECT x.a FROM t AS x LEFT JOIN u ON x.id = u.id WHERE u.id IS NULL", "FROM t AS x |> LEFT JOIN u ON x.id = u.id |> WHERE u.id IS NULL |> SELECT x.a"),
    ("pipe-like", "SELECT DISTINCT a FROM t WHERE a > (SELECT AVG(a) FROM t)", "FROM t |> WHERE a > (FROM t |> AGGREGATE AVG(a)) |> SELECT DISTINCT a"),
    ("ledgerql", "SELECT SUM(a) FROM t WHERE b IS NULL AND d = DATE '2026-01-31'", "SELECT TOTAL(a) FROM t WHERE b IS ABSENT AND d = @today"),
    ("ledgerql", "SELECT a FROM t ORDER BY a LIMIT 5 OFFSET 10", "SELECT a FROM t ORDERED BY a KEEP 5 AFTER 10"),
    ("ledgerql", "SELECT ledger.a FROM (SELECT * FROM ledger WHERE tenant_id = 42) AS ledger", "SELECT ledger.a FROM @ledger"),
    ("ledgerql", "SELECT d + INTERVAL '1' DAY, CAST(a AS DECIMAL(18, 2)) FROM t WHERE TRUE", "SELECT d + 1 DAY, a::MONEY FROM t WHERE YES"),
    ("ledgerql", "SELECT CAST('30 days' AS INTERVAL), d + CAST('-1 month' AS INTERVAL) FROM t", "SELECT 30 DAYS, d - 1 MONTH FROM t"),
    ("ledgerql", "SELECT d + INTERVAL (-7) DAY, d - e - INTERVAL '-7' DAY FROM t", "SELECT d - 7 DAYS, d - e + 7 DAYS FROM t"),
    ("ledgerql", "SELECT d + INTERVAL (n) DAY, d - INTERVAL (n + 1) MONTH FROM t", "SELECT d + n * 1 DAY, d - (n + 1) * 1 MONTH FROM t"),
    ("ledgerql", "SELECT CAST('1 year 2 days' AS INTERVAL) FROM t", "SELECT '1 year 2 days'::INTERVAL FROM t"),
    ("oracle-like", "SELECT d + INTERVAL (-7) DAY, CAST('30 days' AS INTERVAL) FROM t", "SELECT D + INTERVAL '-7' DAY, INTERVAL '30' DAY FROM T"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "base", "house"), WRITTEN, ids=lambda text: text[:50])
def test_written(name: str, base: str, house: str) -> None:
    dialect = load_dialect(name)
    assert dialect.generate(DUCKDB.parse(base)) == house
    assert dialect.normalize(house) == house


@pytest.mark.parametrize("sql", ["SELECT a[1] FROM t", "SELECT [1, 2] FROM t", "SELECT ARRAY_AGG(a)[1:2] FROM t"])
def test_no_element_of_a_list_becomes_a_name(sql: str) -> None:
    """a[1] would be a column called "1" where [ ] quote names."""
    with pytest.raises(DialectError, match=r"no way to write \[, which opens a name"):
        load_dialect("tsql-like").generate(DUCKDB.parse(sql))


# What a dialect refuses · where · what is said.
REFUSED = [
    ("tsql-like", "SELECT a FROM t LIMIT 5", 17, "LIMIT is not allowed"),
    ("tsql-like", "SELECT a FROM t JOIN u USING (id)", 22, "USING is not allowed"),
    ("tsql-like", "SELECT a FROM t WHERE active OR b = 1", 23, "active is a value, no condition"),
    ("tsql-like", "SELECT TOP 5 a FROM t ORDER BY a NULLS LAST", 34, "NULLS LAST is not allowed"),
    ("tsql-like", "SELECT DATEADD(1, 2, d) FROM t", 8, "takes a unit such as DAY"),
    ("tsql-like", "SELECT a FROM t OFFSET 1 ROWS FETCH NEXT 5 PERCENT ROWS ONLY", None, "only FETCH … ROWS ONLY is read"),
    ("oracle-like", 'SELECT "name" FROM emp', 8, "names are in capitals"),
    ("oracle-like", "SELECT a FROM t WHERE ROWNUM <= 5 ORDER BY a", 23, "before they are sorted or grouped"),
    ("oracle-like", "SELECT LISTAGG(a, ',') FROM t WHERE ROWNUM <= 5", 37, "before they are sorted or grouped"),
    ("oracle-like", "SELECT LISTAGG(a, ',' ORDER BY a) FROM t", None, "stands behind it: WITHIN GROUP"),
    ("oracle-like", "SELECT ROWNUM, a FROM t", 8, "nowhere else"),
    ("oracle-like", "SELECT a FROM t WHERE d = TO_DATE('2025-02-30', 'YYYY-MM-DD')", 35, "2025-02-30 is not a date as 2025-01-31 is"),
    ("oracle-like", "SELECT a FROM t WHERE d = DATE '2025-02-03'", 27, "DATE is written TO_DATE('2025-01-31', 'YYYY-MM-DD')"),
    ("oracle-like", "SELECT a::NUMBER FROM t", 9, ":: is written CAST(x AS type)"),
    ("oracle-like", "SELECT a FROM t EXCEPT SELECT b FROM u", 17, "EXCEPT is written MINUS"),
    ("pipe-like", "SELECT a FROM t", 1, "a query is written FROM … |> SELECT …"),
    ("pipe-like", "FROM t |> SELECT SUM(a)", 11, "sums and counts are written |> AGGREGATE …"),
    ("pipe-like", "FROM t |> SELECT COUNTIF(a)", 11, "sums and counts are written |> AGGREGATE …"),
    ("pipe-like", "FROM t |> RENAME a AS b", 11, "|> takes WHERE, SELECT"),
    ("pipe-like", "FROM t |>", None, "|> takes WHERE, SELECT"),
    ("pipe-like", "FROM t WHERE a = 1", 1, "WHERE and the like are written |> WHERE …"),
    ("pipe-like", "FROM t |> SELECT a UNION ALL FROM u", None, ""),
    ("pipe-like", "FROM t |> EXTEND a + 1", 11, "EXTEND takes expressions with names"),
    ("pipe-like", "FROM t |> ORDER BY b |> SELECT a AS b", None, "b is a column in ORDER BY and another one in SELECT"),
    ("ledgerql", "SELECT * FROM t", 8, "SELECT * is not allowed"),
    ("ledgerql", "SELECT a FROM t, u", None, "tables with a comma between them"),
    ("ledgerql", "SELECT a, RANDOM() FROM t", 11, "RANDOM() is not allowed"),
    ("ledgerql", "SELECT d + INTERVAL '5' DAY FROM t", 12, "INTERVAL is written 5 DAYS"),
    ("ledgerql", "SELECT a FROM t WHERE d = #2025-13-01#", 27, "2025-13-01 is not a date"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query", "column", "said"), REFUSED, ids=lambda part: str(part)[:50])
def test_refused(name: str, query: str, column: int | None, said: str) -> None:
    with pytest.raises(DialectError) as refused:
        load_dialect(name).parse(query)
    assert said in refused.value.message
    if column:
        assert (refused.value.line, refused.value.column) == (1, column)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("pipe-like", "SELECT a FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY b) = 1"),
        ("pipe-like", "SELECT a, SUM(b) FROM t GROUP BY ROLLUP (a)"),
        ("pipe-like", "SELECT DISTINCT ON (a) a, b FROM t"),
        ("pipe-like", "SELECT DISTINCT a FROM t ORDER BY b"),
        ("pipe-like", "SELECT a FROM t WINDOW w AS (ORDER BY b)"),
        ("tsql-like", "SELECT COUNT(*) FILTER (WHERE a > 1) FROM t"),
        ("tsql-like", "SELECT a IS TRUE FROM t"),
        ("ledgerql", "SELECT a FROM t ORDER BY 1"),
    ],
)
def test_what_cannot_be_written_is_refused(name: str, base: str) -> None:
    with pytest.raises(DialectError, match=f"In {name}, "):
        load_dialect(name).generate(DUCKDB.parse(base))
