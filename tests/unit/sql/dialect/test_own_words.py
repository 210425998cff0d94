"""Whether a query is written in normal form or as it came: that form changes nothing but spelling, or it is not used."""

from __future__ import annotations

import pytest

from sqlora.sql.dialect import load_dialect
from sqlora.sql.dialect.own_words import spelt

# The dialect · what was written · what is taught; None: the normal form.
SPELLINGS = [
    ("snowflake", "select div0(a, 2) from t", "select div0(a, 2) from t"),
    ("snowflake", "SELECT ZEROIFNULL(x) FROM t", "SELECT ZEROIFNULL(x) FROM t"),
    ("snowflake", "SELECT NVL(a, 0) FROM t", "SELECT NVL(a, 0) FROM t"),
    ("snowflake", "SELECT a FROM t MINUS SELECT a FROM u;", "SELECT a FROM t MINUS SELECT a FROM u"),
    ("snowflake", "SELECT addr:zip::string FROM t", "SELECT addr:zip::string FROM t"),
    ("snowflake", "SELECT a FROM t WHERE x NOT IN (SELECT y FROM u)", None),
    ("duckdb", "SELECT string_agg(a, ', ') FROM t", "SELECT string_agg(a, ', ') FROM t"),
    ("duckdb", "SELECT a FROM t WHERE City ~ 'Y.*'", "SELECT a FROM t WHERE City ~ 'Y.*'"),
    ("duckdb", "SELECT today()", "SELECT today()"),
    ("duckdb", "SELECT nvl2(a,\n  'b  -- c', \"d  e\") /* why */ FROM t -- end\n GROUP \t BY  ALL ;;",
     "SELECT nvl2(a, 'b  -- c', \"d  e\") FROM t GROUP BY ALL"),
    ("duckdb", "SELECT a::INT/* no space */FROM t", "SELECT a::INT FROM t"),
    ("postgres", "SELECT $$a\n b$$::text", "SELECT $$a\n b$$::text"),
    ("duckdb", 'select  "a" x from t  inner join u on t.a == u.b left outer join v using (c) order by 1 asc; -- end', None),
    ("duckdb", "SELECT a FROM t WHERE d > CURRENT_DATE - INTERVAL 7 DAY AND NOT b IS NULL AND c != 1", None),
    ("mysql", 'SELECT `a` FROM t WHERE b = "x y"', None),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "written", "taught"), SPELLINGS, ids=lambda part: str(part)[:40])
def test_only_spelling_is_made_normal(dialect: str, written: str, taught: str | None) -> None:
    spoken = load_dialect(dialect)
    normal = spoken.normalize(written)
    text = spelt(written, normal, dialect)
    assert text == (taught or normal)
    assert spoken.parse(text) == spoken.parse(written)
