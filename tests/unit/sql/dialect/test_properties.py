"""Properties of the translation, over generated queries that DuckDB runs.

Two families: DuckDB text, as a company's existing queries would be, written the house's way; and house text, as
a model would write it. Both keep their meaning (the rows are the same) and settle after one round.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec, Pagination

RETAIL = Path(__file__).parents[4] / "examples" / "retail"
DUCKDB = load_dialect("duckdb")
LARKQL = load_dialect("dialect.toml", RETAIL)
# The opposite of larkql in every respect that a spec has: nothing may depend on what larkql happens to choose.
OTHER = Dialect(
    "other",
    DialectSpec(
        name="other",
        identifier_quotes=("'", "'"),
        string_quote="`",
        pagination=Pagination(style="top", limit="BEST"),
        keywords={"SORTED BY": "ORDER BY", "ALIKE": "LIKE", "NAMED": "AS", "VOID": "IS NULL", "UNITED": "UNION ALL"},
        operators={"≠": "<>", "=": "=", "∧": "AND", "⧺": "||"},
        functions={
            "ADDED(x)": "SUM(x)", "ROWS_OF()": "COUNT(*)", "PART(a, b)": "a / NULLIF(b, 0)", "GLUE(a, b...)": "CONCAT(a, b...)",
            "FIRST_OF(a...)": "GREATEST(0, a...)", "SPAN(a, b)": "(a - b) * (a - b)", "IFF(c, a, b)": "CASE WHEN c THEN a ELSE b END",
            "SAME(x, y)": "x IS NOT DISTINCT FROM y", "NEXT(d)": "d + INTERVAL '1' DAY",
        },
        types={"DECIMAL": "DOUBLE", "DOUBLE": "DECIMAL", "CHARS": "VARCHAR"},
    ),
)  # fmt: skip
DIALECTS = [LARKQL, OTHER]

DATA = """
CREATE TABLE t (n INTEGER, m INTEGER, s VARCHAR, d DATE, "order" INTEGER, "take" INTEGER, "via" VARCHAR, "weird ]name`'" INTEGER);
INSERT INTO t VALUES
    (1, 0, 'Leeds', DATE '2025-02-01', 1, 2, 'x', 4), (2, -3, 'it''s [x]', DATE '2024-02-29', 3, 4, '"', 5),
    (3, 7, NULL, DATE '2026-01-31', NULL, 6, 'NULL', 6), (NULL, 7, 'TAKE 5', NULL, 5, 8, '', 7);
"""
DATABASE = duckdb.connect()
DATABASE.execute(DATA)


def rows(sql: str) -> list[str] | str:
    """The rows as a bag, or the kind of error."""
    try:
        return sorted(map(repr, DATABASE.execute(sql).fetchall()))  # repr: NaN is not equal to itself
    except duckdb.Error as error:
        return type(error).__name__


# ── expressions by type; DuckDB text ─────────────────────────────────────────────────────────────────────────

texts = st.one_of(
    st.sampled_from(["TAKE 5", "it's", 'say "x"', "[a]", "SUM(x)", "~=", "`", "--", "a\\b", "é…", ""]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6),
).map(lambda text: "'" + text.replace("'", "''") + "'")
dates = st.sampled_from(["DATE '2025-03-31'", "DATE '2026-01-31'", "d", "CAST('2024-02-29' AS DATE)"])
number_leaves = st.sampled_from(
    ["n", "m", "1", "0", "-5", "2.5", '"order"', '"take"', '"weird ]name`\'"', "NULL", "t.n"]
)
text_leaves = st.one_of(texts, st.sampled_from(["s", '"via"', "t.s"]))


def numbers(inner: st.SearchStrategy[str], condition: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("{} {} {}".format, number_leaves, st.sampled_from("+-*/"), number_leaves),
        st.builds("({} / NULLIF({}, 0))".format, inner, inner),
        st.builds("{} / NULLIF({}, 0) * {}".format, number_leaves, number_leaves, number_leaves),
        st.builds("{} - {} / NULLIF({}, 0)".format, number_leaves, number_leaves, number_leaves),
        st.builds("-{}".format, st.sampled_from(["n", "(m)", "(n + 1)"])),
        st.builds("ROUND({}, {})".format, inner, st.sampled_from("12")),
        st.builds("COALESCE({}, {})".format, inner, inner),
        st.builds("COALESCE({}, {}, 7)".format, inner, inner),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, condition, inner, inner),
        st.builds("CAST({} AS DECIMAL(18, 4))".format, inner),
        st.builds("CAST({} AS DOUBLE)".format, inner),
        st.builds("{}(CAST({} AS DATE))".format, st.sampled_from(["YEAR", "MONTH", "QUARTER"]), dates),
        st.builds("{}({})".format, st.sampled_from(["YEAR", "DAY"]), dates),
        st.builds("YEAR(CAST({} AS DATE) + INTERVAL '{} months')".format, dates, st.sampled_from(["11", "1"])),
        st.builds("DATE_DIFF('day', CAST({} AS DATE), CAST({} AS DATE))".format, dates, dates),
        st.builds("({0} - {1}) * ({0} - {1})".format, inner, inner),
        st.builds("GREATEST(0, {}, {})".format, inner, inner),
    )  # fmt: skip


def conditions(number: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} {} {}".format, number, st.sampled_from(["<>", "=", "<", ">=", "!="]), number),
        st.builds("{} {} {}".format, text_leaves, st.sampled_from(["<>", "=", "ILIKE", "NOT ILIKE", "LIKE"]), text_leaves),
        st.builds("{} IS {}NULL".format, number, st.sampled_from(["", "NOT "])),
        st.builds("{} {}IN ({}, {})".format, number, st.sampled_from(["", "NOT "]), number, number),
        st.builds("{} BETWEEN {} AND {}".format, number, number, number),
        st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner),
        st.builds("NOT ({})".format, inner),
        st.builds("NOT {}".format, inner),
        st.builds("{} IS NOT DISTINCT FROM {}".format, number, number),
        st.builds("n IN (SELECT m FROM t AS u WHERE {})".format, inner),
        st.builds("EXISTS (SELECT 1 FROM t AS u WHERE u.n = t.m)".format),
    )  # fmt: skip


numeric = number_leaves
boolean: st.SearchStrategy[str] = st.just("n = 1")
for _ in range(2):
    numeric, boolean = st.one_of(numeric, numbers(numeric, boolean)), conditions(numeric, boolean)
aggregates = st.one_of(
    st.builds("{}({}{})".format, st.sampled_from(["SUM", "AVG", "COUNT", "MIN"]), st.sampled_from(["", "DISTINCT "]), numeric),
    st.just("COUNT(*)"),
    st.builds("COUNT(*) FILTER (WHERE {})".format, boolean),
    st.builds("SUM({}) / NULLIF(COUNT(DISTINCT {}), 0)".format, numeric, numeric),
    st.builds("ROUND(SUM({}) / NULLIF(COUNT(*), 0), 2)".format, numeric),
)  # fmt: skip
scalars = st.one_of(
    numeric,
    text_leaves,
    boolean.map("({})".format),
    st.builds("CONCAT({}, {})".format, text_leaves, text_leaves),
    st.builds("{} || {}".format, text_leaves, text_leaves),
    st.builds("CAST({} AS VARCHAR)".format, numeric),
    st.builds("CAST(DATE_TRUNC('month', CAST({} AS DATE)) AS DATE)".format, dates),
    st.builds("CAST({} AS DATE) + CAST({} AS INTEGER)".format, dates, st.sampled_from(["n", "-30", "(m + 1)", "1"])),
    st.builds("CAST(CAST({} AS DATE) + {} * INTERVAL '1 month' AS DATE)".format, dates, st.sampled_from(["n", "-3"])),
    st.builds("{} + INTERVAL '1' DAY".format, dates),
    st.builds("SUM({}) OVER (PARTITION BY m ORDER BY n)".format, st.sampled_from(["n", "n + 1"])),
    st.builds("COUNT(*) OVER ()".format),
)  # fmt: skip
queries = st.one_of(
    st.builds("SELECT {}, {} FROM t WHERE {}".format, scalars, scalars, boolean),
    st.builds("SELECT m, {} FROM t GROUP BY m HAVING {} > 0".format, aggregates, aggregates),
    st.builds("SELECT m, STRING_AGG({}, '+' ORDER BY {}) FROM t GROUP BY m".format, st.sampled_from(["s", "DISTINCT s"]),
              st.sampled_from(["s", "s DESC", "s NULLS FIRST"])),
    st.builds("SELECT {} FROM t JOIN t AS u USING (m) WHERE t.n <> 9".format, st.sampled_from(["t.s", "m", 'u."via"'])),
    st.builds("SELECT {} AS \"take\" FROM t ORDER BY n LIMIT 3".format, scalars),
    st.builds("SELECT n FROM t ORDER BY n DESC, m LIMIT 2 OFFSET 1".format),
    st.builds("WITH c AS (SELECT {} AS x FROM t) SELECT x FROM c WHERE x IS NOT NULL".format, scalars),
    st.builds("SELECT {0} FROM t UNION ALL SELECT {0} FROM t".format, numeric),
    st.builds("SELECT x FROM (SELECT {} AS x FROM t) AS q WHERE NOT x IS NULL".format, numeric),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(queries, st.sampled_from(DIALECTS))
def test_existing_queries_keep_their_meaning(query: str, house: Dialect) -> None:
    tree = DUCKDB.parse(query)
    text = house.generate(tree)
    canonical = house.parse(text)
    assert house.generate(canonical) == text
    assert not [call for call in canonical.find_all(exp.Anonymous) if not str(call.this).isascii()]
    got = rows(house.to_base(text))
    event("rows" if isinstance(got, list) else got)
    assert got == rows(query)


@settings(max_examples=150, deadline=None)
@given(queries, st.sampled_from(DIALECTS))
def test_generating_leaves_the_tree_alone(query: str, house: Dialect) -> None:
    tree = DUCKDB.parse(query)
    before = tree.copy()
    house.generate(tree)
    assert tree == before


# ── house text ───────────────────────────────────────────────────────────────────────────────────────────────

house_numbers: st.SearchStrategy[str] = st.sampled_from(["n", "m", "3", "[order]", "[take]", "MISSING", "-2"])
house_dates: st.SearchStrategy[str] = st.sampled_from(["d", "BUSINESS_DATE()", '"2025-02-01"', 'DAY "2024-01-31"'])
for _ in range(2):
    house_dates = st.one_of(
        house_dates,
        st.builds("ADD_DAYS({}, {})".format, house_dates, st.sampled_from(["n", "-30", "n - 1", "(m)"])),
        st.builds("ADD_MONTHS({}, {})".format, house_dates, st.sampled_from(["n", "-1", "m + 1"])),
        st.builds("MONTH_START({})".format, house_dates),
    )
    house_numbers = st.one_of(
        house_numbers,
        st.builds("{}({})".format, st.sampled_from(["YEAR_OF", "MONTH_OF", "FISCAL_YEAR", "FISCAL_QUARTER"]), house_dates),
        st.builds("RATIO({}, {})".format, house_numbers, house_numbers),
        st.builds("({} {} {})".format, house_numbers, st.sampled_from("+-*/"), house_numbers),
        st.builds("{} {} {}".format, house_numbers, st.sampled_from("+-*/"), house_numbers),
        st.builds("MONEY({})".format, house_numbers),
        st.builds("IFMISSING({}, {})".format, house_numbers, house_numbers),
        st.builds("DAYS_BETWEEN({}, {})".format, house_dates, house_dates),
        st.builds("CAST({} AS NUMBER(18, 2))".format, house_numbers),
    )  # fmt: skip
house_queries = st.one_of(
    st.builds("SELECT {}, {} FROM t".format, house_numbers, house_dates),
    st.builds("SELECT n FROM t WHERE {} ~= {} ORDER BY {} TAKE 2".format, house_numbers, house_numbers, house_numbers),
    st.builds("SELECT m, MONEY(RATIO(TOTAL({}), UNIQUES({}))) FROM t GROUP BY m".format, house_numbers, house_numbers),
    st.builds("SELECT TALLY() FILTER (WHERE {} > 1), TALLY({}) FROM t".format, house_numbers, house_numbers),
    st.builds("SELECT n, TOTAL({}) OVER (ORDER BY n) FROM t WHERE [via] RESEMBLES \"X\" OR s IS NOT MISSING".format, house_numbers),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(house_queries)
def test_house_queries_settle_in_one_round(query: str) -> None:
    tree = LARKQL.parse(query)
    text = LARKQL.generate(tree)
    assert LARKQL.parse(text) == tree
    assert LARKQL.normalize(text) == text
    again = DUCKDB.parse(LARKQL.to_base(query))
    assert again == tree  # the base's own text says the same tree
    assert rows(LARKQL.to_base(query)) == rows(LARKQL.to_base(text))


names = st.one_of(
    st.sampled_from([w.lower() for w in ["TAKE", "VIA", "MISSING", "LIMIT", "SELECT", "ORDER", "GROUP", "TOTAL", "TALLY",
                     "DAY", "DATE", "KEY", "FORMAT", "FILTER", "LEFT", "OVER", "CASE", "INTERVAL", "END", "MAP", "IF", "LAST"]]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=8),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(names, st.sampled_from([DUCKDB, *DIALECTS]))
def test_any_name_survives(name: str, dialect: Dialect) -> None:
    column = exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(name, quoted=True))
    tree = exp.select(column).from_(exp.to_identifier(name, quoted=True)).where(column.eq("x"))
    text = dialect.generate(tree)
    read = dialect.parse(text)
    assert {identifier.name for identifier in read.find_all(exp.Identifier)} <= {name, "x"}
    assert dialect.parse(dialect.generate(read)) == read


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(
    ["SELECT", "FROM", "TAKE", "TALLY", "(", ")", ",", "[", "]", '"', "'", "TOTAL", "x", "~=", "CAST", "AS", "DAY", ";", "VIA", "\n", "/*", "--", "1", "IS"]
), max_size=12).map(" ".join)))  # fmt: skip
def test_any_text_parses_or_is_refused(text: str) -> None:
    tree = refusal = None
    try:
        tree = LARKQL.parse(text)
    except DialectError as error:
        refusal = error
    if refusal:
        assert refusal.token in text
        lines = re.split(r"\r\n|\r|\n", text)
        assert 0 <= refusal.line <= len(lines)
        if refusal.line:
            assert lines[refusal.line - 1].startswith(refusal.token.splitlines()[0], refusal.column - 1)
    elif tree:
        written = LARKQL.generate(tree)
        assert LARKQL.normalize(written) == written


@pytest.mark.parametrize("house", DIALECTS, ids=lambda d: d.name)
def test_templates_are_written_for_what_they_expand_to(house: Dialect) -> None:
    """Every function of a spec, called with columns, comes back as itself."""
    assert house.spec
    for signature in house.spec.functions:
        call = signature.replace("...", "")
        query = f"SELECT {call} FROM t"
        assert house.normalize(query) == query
