"""Templates: equal for queries that differ in values and made-up names only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.structure import structure

RETAIL = Path(__file__).parents[3] / "examples" / "retail"
LARKQL = load_dialect("dialect.toml", RETAIL)


def template(query: str, dialect: Dialect = LARKQL) -> str:
    return structure(dialect.parse(query))


SAME = [
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 2.5"),
    ("SELECT a FROM t WHERE b = 1", 'SELECT a FROM t WHERE b = "x"'),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = -1"),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = TRUE"),
    ("SELECT a FROM t WHERE b = 1", 'SELECT a FROM t WHERE b = DAY "2025-01-01"'),
    ("SELECT a FROM t WHERE b IN (1, 2, 3)", "SELECT a FROM t WHERE b IN (7)"),
    ("SELECT a FROM t WHERE b BETWEEN 1 AND 2", "SELECT a FROM t WHERE b BETWEEN 3 AND 4"),
    ("SELECT a FROM t ORDER BY a TAKE 5", "SELECT a FROM t ORDER BY a TAKE 10"),
    ("SELECT a FROM t ORDER BY a SKIP 1 TAKE 5", "SELECT a FROM t ORDER BY a SKIP 2 TAKE 10"),
    ("SELECT a FROM t WHERE YEAR_OF(d) = 2025", "SELECT a FROM t WHERE YEAR_OF(d) = 2024"),
    ("SELECT a FROM t WHERE d > ADD_DAYS(BUSINESS_DATE(), -30)", "SELECT a FROM t WHERE d > ADD_DAYS(BUSINESS_DATE(), -7)"),
    ('SELECT a FROM t WHERE MONTH_START(d) = "2025-01-01"', 'SELECT a FROM t WHERE MONTH_START(d) = "2025-02-01"'),
    ("SELECT t.a FROM t", "SELECT x.a FROM t AS x"),
    ("SELECT a FROM [t]", "select A from T"),
    ("SELECT x.a FROM t AS x JOIN t AS y ON x.b = y.c", "SELECT l.a FROM t AS l JOIN t AS r ON l.b = r.c"),
    ("SELECT TOTAL(a) AS total FROM t ORDER BY total DESC", "SELECT TOTAL(a) AS s FROM t ORDER BY s DESC"),
    ("WITH w AS (SELECT a FROM t) SELECT w.a FROM w", "WITH big AS (SELECT a FROM t AS z) SELECT q.a FROM big AS q"),
    ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k)", "SELECT a FROM t AS o WHERE EXISTS (SELECT 2 FROM u AS i WHERE i.k = o.k)"),
    ("SELECT s.a FROM (SELECT a FROM t WHERE b = 1) AS s", "SELECT z.a FROM (SELECT a FROM t WHERE b = 2) AS z"),
    ("SELECT CASE WHEN a > 5 THEN \"x\" ELSE \"y\" END FROM t", "SELECT CASE WHEN a > 6 THEN \"p\" ELSE \"q\" END FROM t"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same_template(one: str, other: str) -> None:
    assert template(one) == template(other)


DIFFERENT = [
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b > 1"),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE c = 1"),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b IN (1)"),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM u WHERE b = 1"),
    ("SELECT a FROM t WHERE b IS MISSING", "SELECT a FROM t WHERE b IS NOT MISSING"),
    ("SELECT TOTAL(a) FROM t", "SELECT AVERAGE(a) FROM t"),
    ("SELECT TALLY(a) FROM t", "SELECT UNIQUES(a) FROM t"),
    ("SELECT YEAR_OF(a) FROM t", "SELECT MONTH_OF(a) FROM t"),
    ("SELECT YEAR_OF(a) FROM t", "SELECT FISCAL_YEAR(a) FROM t"),
    ("SELECT MONTH_START(a) FROM t", "SELECT DATE_TRUNC(\"year\", a) FROM t"),
    ("SELECT ADD_DAYS(a, 1) FROM t", "SELECT ADD_MONTHS(a, 1) FROM t"),
    ("SELECT a FROM t ORDER BY b TAKE 1", "SELECT a FROM t ORDER BY b DESC TAKE 1"),
    ("SELECT a FROM t ORDER BY b TAKE 1", "SELECT a FROM t ORDER BY b"),
    ("SELECT x.a FROM t AS x JOIN t AS y ON x.b = y.c", "SELECT y.a FROM t AS x JOIN t AS y ON x.b = y.c"),
    ("SELECT TOTAL(amount) AS amount FROM t", "SELECT TOTAL(units) AS units FROM t"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_templates(one: str, other: str) -> None:
    assert template(one) != template(other)


def test_the_text() -> None:
    query = 'SELECT s.city, TOTAL(x) AS n FROM store AS s JOIN sale VIA (id) WHERE s.kind IN ("a", "b") AND d >= DAY "2025-01-01" GROUP BY s.city ORDER BY n DESC TAKE 5'
    assert template(query) == (
        "SELECT t1.city, SUM(x) AS a1 FROM store AS t1 JOIN sale AS t2 USING (id) "
        "WHERE t1.kind IN (?) AND d >= ? GROUP BY t1.city ORDER BY a1 DESC LIMIT ?"
    )


def test_the_tree_is_left_alone() -> None:
    tree = LARKQL.parse("SELECT x.a FROM t AS x WHERE b = 1 TAKE 5")
    before = tree.copy()
    structure(tree)
    assert tree == before


def test_the_same_in_every_dialect() -> None:
    house = template('SELECT a, TOTAL(b) FROM t WHERE c ~= "x" GROUP BY a TAKE 3')
    base = template("SELECT a, SUM(b) FROM t WHERE c <> 'y' GROUP BY a LIMIT 9", load_dialect("duckdb"))
    assert house == base


values = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(0, 10**6).map(lambda x: f"{x:.3f}"),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12).map(lambda s: '"' + s.replace('"', '""') + '"'),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(values, min_size=3, max_size=3), st.lists(values, min_size=1, max_size=4), st.integers(0, 99))
def test_values_never_show(three: list[str], several: list[str], limit: int) -> None:
    def query(a: str, b: str, c: str, items: list[str], n: int) -> str:
        return (
            f"SELECT a, IFMISSING(b, {a}) FROM t WHERE c > {b} AND d IN ({', '.join(items)}) "
            f"AND e IN (SELECT f FROM u WHERE g ~= {c}) ORDER BY a TAKE {n}"
        )

    assert template(query(*three, several, limit)) == template(query("1", "2", "3", ["4"], 5))


def test_nothing_is_said_of_what_the_template_cannot_write(caplog: pytest.LogCaptureFixture) -> None:
    template("SELECT TO_CHAR(a, 'YYYY-MM') FROM t", Dialect("snowflake"))
    assert not caplog.records
