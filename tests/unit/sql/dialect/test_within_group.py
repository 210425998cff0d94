"""The order of an aggregate's rows behind it: what is written is read back as it was meant, or is refused."""

from __future__ import annotations

import pytest

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, DialectSpec, load_dialect

DUCKDB = load_dialect("duckdb")
HOUSE = Dialect(
    "house",
    DialectSpec.from_text(
        """
        name = "house"
        base = "duckdb"
        [ordering]
        aggregates = "within_group"
        [functions]
        "LISTED(x, s)" = "STRING_AGG(x, s)"
        "TOTAL(x)" = "SUM(x)"
        "HEAD(x)" = "FIRST(x)"
        "SORTED(x)" = "ARRAY_AGG(x ORDER BY x)"
        "LOUD(x)" = "UPPER(STRING_AGG(x, ','))"
        "QUANTILE(x, p)" = "QUANTILE_CONT(x, p)"
        """
    ),
)

# What DuckDB is given · what the house writes, which is read back as the same.
WRITTEN = [
    ("STRING_AGG(a, '-' ORDER BY b, c DESC) FILTER(WHERE c > 1) OVER (PARTITION BY d)",
     "LISTED(a, '-') WITHIN GROUP (ORDER BY b, c DESC) FILTER(WHERE c > 1) OVER (PARTITION BY d)"),
    ("STRING_AGG(STRING_AGG(a, '-' ORDER BY b), ';' ORDER BY (SELECT FIRST(b ORDER BY c) FROM u))",
     "LISTED(LISTED(a, '-') WITHIN GROUP (ORDER BY b), ';') "
     "WITHIN GROUP (ORDER BY (SELECT HEAD(b) WITHIN GROUP (ORDER BY c) FROM u))"),
    ("SUM(a ORDER BY b)", "TOTAL(a) WITHIN GROUP (ORDER BY b)"),
    ("COUNT(DISTINCT a ORDER BY a)", "COUNT(DISTINCT a) WITHIN GROUP (ORDER BY a)"),
    ("ANY_VALUE(a ORDER BY b)", "ANY_VALUE(a) WITHIN GROUP (ORDER BY b)"),
    ("ARRAY_AGG(a ORDER BY a)", "SORTED(a)"),
    ("ARRAY_AGG(a ORDER BY b)", "ARRAY_AGG(a) WITHIN GROUP (ORDER BY b)"),
    ("MODE() WITHIN GROUP (ORDER BY b)", "MODE() WITHIN GROUP (ORDER BY b)"),
    ("STRING_AGG(a, ',')", "LISTED(a, ',')"),
    ("ARG_MAX(a, b ORDER BY c)", "ARG_MAX(a, b ORDER BY c)"),
    ("HISTOGRAM(a ORDER BY b)", "HISTOGRAM(a ORDER BY b)"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "house"), WRITTEN, ids=lambda text: text[:40])
def test_written_and_read(base: str, house: str) -> None:
    tree = DUCKDB.parse(f"SELECT {base} FROM t")
    assert HOUSE.generate(tree) == f"SELECT {house} FROM t"
    assert HOUSE.parse(f"SELECT {house} FROM t") == tree


def test_values_without_a_separator_have_duckdb_s() -> None:
    assert HOUSE.generate(DUCKDB.parse("SELECT STRING_AGG(DISTINCT a) FROM t")) == "SELECT LISTED(DISTINCT a, ',') FROM t"


@pytest.mark.parametrize(
    ("house", "words"),
    [
        ("SORTED(a) WITHIN GROUP (ORDER BY b)", "have an order already"),
        ("STRING_AGG(a, ',' ORDER BY b) WITHIN GROUP (ORDER BY c)", "STRING_AGG is written LISTED"),
        ("ARRAY_AGG(a ORDER BY b) WITHIN GROUP (ORDER BY c)", "have an order already"),
        ("LOUD(a) WITHIN GROUP (ORDER BY b)", "LOUD is an expression|behind an aggregate"),
        ("ABS(a) WITHIN GROUP (ORDER BY b)", "behind an aggregate"),
        ("TOTAL(a ORDER BY b)", "stands behind it"),
    ],
)
def test_what_has_no_order_behind_it_is_refused(house: str, words: str) -> None:
    with pytest.raises(DialectError, match=words):
        HOUSE.parse(f"SELECT {house} FROM t")


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("STRING_AGG(a, ',' ORDER BY b LIMIT 2)", "rows have no LIMIT"),
        ("QUANTILE_CONT(a, 0.5 ORDER BY b)", "stands behind it"),
    ],
)
def test_what_would_not_be_read_is_not_written(base: str, words: str) -> None:
    with pytest.raises(DialectError, match=words):
        HOUSE.generate(DUCKDB.parse(f"SELECT {base} FROM t"))


def test_an_order_in_an_order_takes_its_key_for_nulls_too() -> None:
    tsql = load_dialect("tsql-like")
    tree = DUCKDB.parse("SELECT c FROM t GROUP BY c ORDER BY STRING_AGG(a, ',' ORDER BY b NULLS LAST) NULLS LAST")
    listed = "STRING_AGG(a, ',') WITHIN GROUP (ORDER BY IIF(b IS NULL, 1, 0), b)"
    text = f"SELECT c FROM t GROUP BY c ORDER BY IIF({listed} IS NULL, 1, 0), {listed}"
    assert tsql.generate(tree) == text
    assert tsql.normalize(text) == text
    assert tsql.parse(text) == tree
