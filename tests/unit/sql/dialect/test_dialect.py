"""A house dialect as one-line facts: house text, the base text it becomes, and the value that gives."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import sqlglot
import sqlglot.tokens
from sqlglot import exp

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec, Pagination

RETAIL = Path(__file__).parents[4] / "examples" / "retail"

DATA = """
CREATE TABLE shop (id INTEGER, city VARCHAR, size DECIMAL(10, 2), opened DATE, "group" VARCHAR, "take" INTEGER);
INSERT INTO shop VALUES
    (1, 'Leeds', 10.50, DATE '2024-12-31', 'a', 7),
    (2, 'York', 20.00, DATE '2025-02-01', 'a', 8),
    (3, NULL, NULL, DATE '2026-01-31', 'b', 9);
CREATE TABLE "order" (order_id INTEGER, id INTEGER, amount DOUBLE, placed DATE);
INSERT INTO "order" VALUES
    (1, 1, 10.0, DATE '2025-01-31'), (2, 1, 30.0, DATE '2025-02-01'), (3, 2, 0.0, DATE '2025-04-30'), (4, 3, NULL, DATE '2026-01-01');
"""


@pytest.fixture(scope="module")
def larkql() -> Dialect:
    return load_dialect("dialect.toml", RETAIL)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(DATA)
    yield connection
    connection.close()


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


# What the house writes · what DuckDB is given · the value. Every line is also written back to what it was.
EXPRESSIONS = [
    ("TOTAL(amount)", "SUM(amount)", 40.0),
    ("TOTAL(DISTINCT id)", "SUM(DISTINCT id)", 6),
    ("AVERAGE(amount)", "AVG(amount)", 40 / 3),
    ("TALLY()", "COUNT(*)", 4),
    ("TALLY(amount)", "COUNT(amount)", 3),
    ("UNIQUES(id)", "COUNT(DISTINCT id)", 3),
    ("MIN(amount) + MAX(amount)", "MIN(amount) + MAX(amount)", 30.0),
    ("TALLY() FILTER(WHERE amount > 5)", "COUNT(*) FILTER(WHERE amount > 5)", 2),
    ("TOTAL(CASE WHEN amount > 5 THEN 1 ELSE 0 END)", "SUM(CASE WHEN amount > 5 THEN 1 ELSE 0 END)", 2),
    ("RATIO(TOTAL(amount), UNIQUES(id))", "SUM(amount) / NULLIF(COUNT(DISTINCT id), 0)", 40 / 3),
    ("RATIO(TOTAL(amount), 0)", "SUM(amount) / NULLIF(0, 0)", None),
    ("MONEY(AVERAGE(amount))", "ROUND(AVG(amount), 2)", 13.33),
    ("MONEY(RATIO(TOTAL(amount), 7))", "ROUND(SUM(amount) / NULLIF(7, 0), 2)", 5.71),
    ("ROUND(AVERAGE(amount), 1)", "ROUND(AVG(amount), 1)", 13.3),
    ("RATIO(1 + 2, 4) * 2", None, 1.5),
    ("12 - RATIO(10, 2 + 3)", None, 10.0),
    ("12 / RATIO(6, 2)", None, 4.0),
    ("-RATIO(6, 2)", None, -3.0),
    ("RATIO(RATIO(12, 2), RATIO(6, 2))", None, 2.0),
    ("IFMISSING(MISSING, 3)", "COALESCE(NULL, 3)", 3),
    ("IFMISSING(MISSING, MISSING, 4)", "COALESCE(NULL, NULL, 4)", 4),
    ("IFMISSING(TOTAL(amount), 0) / 4", None, 10.0),
    ("BUSINESS_DATE()", "CAST('2026-01-31' AS DATE)", day("2026-01-31")),
    ('ADD_DAYS("2025-01-31", 1)', None, day("2025-02-01")),
    ('ADD_DAYS("2025-01-01", -1)', None, day("2024-12-31")),
    ("ADD_DAYS(BUSINESS_DATE(), -30)", None, day("2026-01-01")),
    ("ADD_DAYS(MAX(placed), TALLY() - 5)", None, day("2025-12-31")),
    ('ADD_MONTHS("2025-01-31", 1)', None, day("2025-02-28")),
    ('ADD_MONTHS("2025-03-31", -1)', None, day("2025-02-28")),
    ("ADD_MONTHS(BUSINESS_DATE(), -12)", None, day("2025-01-31")),
    ("ADD_MONTHS(MONTH_START(BUSINESS_DATE()), -1)", None, day("2025-12-01")),
    ("ADD_MONTHS(MAX(placed), 1 + 1)", None, day("2026-03-01")),
    ('DAYS_BETWEEN("2025-01-01", "2025-03-01")', None, 59),
    ('DAYS_BETWEEN(BUSINESS_DATE(), "2026-01-01")', None, -30),
    ('YEAR_OF("2025-01-01")', "YEAR(CAST('2025-01-01' AS DATE))", 2025),
    ("YEAR_OF(MIN(placed))", "YEAR(CAST(MIN(placed) AS DATE))", 2025),
    ('MONTH_OF("2025-07-01")', None, 7),
    ('MONTH_START("2025-07-19")', None, day("2025-07-01")),
    ('FISCAL_YEAR("2025-01-31")', None, 2025),
    ('FISCAL_YEAR("2025-02-01")', None, 2026),
    ('FISCAL_YEAR("2026-01-31")', None, 2026),
    ('FISCAL_YEAR("2024-02-29")', None, 2025),
    ("FISCAL_YEAR(BUSINESS_DATE())", None, 2026),
    ('FISCAL_QUARTER("2025-02-01")', None, 1),
    ('FISCAL_QUARTER("2025-04-30")', None, 1),
    ('FISCAL_QUARTER("2025-05-01")', None, 2),
    ('FISCAL_QUARTER("2025-10-31")', None, 3),
    ('FISCAL_QUARTER("2025-11-01")', None, 4),
    ('FISCAL_QUARTER("2026-01-31")', None, 4),
    ('"Leeds"', "'Leeds'", "Leeds"),
    ('"say ""hi"""', "'say \"hi\"'", 'say "hi"'),
    ('"it\'s"', "'it''s'", "it's"),
    ('"TAKE 5 [x] MISSING ~= SUM(x) -- no"', "'TAKE 5 [x] MISSING ~= SUM(x) -- no'", "TAKE 5 [x] MISSING ~= SUM(x) -- no"),
    ("1 ~= 2", "1 <> 2", True),
    ("MISSING IS MISSING", "NULL IS NULL", True),
    ("TOTAL(amount) IS NOT MISSING", "NOT SUM(amount) IS NULL", True),
    ('"LEEDS" RESEMBLES "l%"', "'LEEDS' ILIKE 'l%'", True),
    ('"York" NOT RESEMBLES "l%"', "'York' NOT ILIKE 'l%'", True),
    ('CAST("2.345" AS NUMBER(10, 2))', "CAST('2.345' AS DECIMAL(10, 2))", Decimal("2.35")),
    ("CAST(5 AS TEXT)", "CAST(5 AS TEXT)", "5"),
    ('CAST("2025-01-01" AS DAY)', "CAST('2025-01-01' AS DATE)", day("2025-01-01")),
]  # fmt: skip


@pytest.mark.parametrize(("house", "base", "value"), EXPRESSIONS, ids=lambda part: str(part)[:40])
def test_expression(
    larkql: Dialect, database: duckdb.DuckDBPyConnection, house: str, base: str | None, value: object
) -> None:
    query = f"SELECT {house} FROM [order]"
    translated = larkql.to_base(query)
    if base is not None:
        assert translated == f'SELECT {base} FROM "order"'
    row = database.execute(translated).fetchone()
    assert row is not None
    assert row[0] == (pytest.approx(value) if isinstance(value, float) else value)
    assert larkql.normalize(query) == query


QUERIES = [
    ("SELECT id FROM shop ORDER BY id TAKE 2", [(1,), (2,)]),
    ("SELECT id FROM shop ORDER BY id DESC SKIP 1 TAKE 1", [(2,)]),
    ("SELECT id FROM shop ORDER BY id SKIP 2", [(3,)]),
    ('SELECT id FROM shop WHERE city ~= "Leeds"', [(2,)]),
    ("SELECT id FROM shop WHERE city IS MISSING", [(3,)]),
    ("SELECT id FROM shop WHERE city IS NOT MISSING AND id NOT IN (1, 5)", [(2,)]),
    ("SELECT id FROM shop WHERE id NOT BETWEEN 2 AND 3", [(1,)]),
    ("SELECT city FROM [order] JOIN shop VIA (id) WHERE amount > 20", [("Leeds",)]),
    ("SELECT [take] FROM shop WHERE [group] = \"b\"", [(9,)]),
    ("SELECT [group], TALLY() FROM shop GROUP BY [group] HAVING TALLY() > 1", [("a", 2)]),
    ('SELECT order_id FROM [order] WHERE placed >= "2025-04-30" ORDER BY order_id', [(3,), (4,)]),
    ('SELECT order_id FROM [order] WHERE MONTH_START(placed) = "2025-02-01"', [(2,)]),
    ("SELECT FISCAL_YEAR(placed), FISCAL_QUARTER(placed) FROM [order] ORDER BY placed TAKE 2", [(2025, 4), (2026, 1)]),
    ("SELECT id, TOTAL(amount) OVER (PARTITION BY id ORDER BY order_id) FROM [order] ORDER BY order_id TAKE 2", [(1, 10.0), (1, 40.0)]),
    ("SELECT RATIO(amount, TOTAL(amount) OVER ()) FROM [order] WHERE id = 1 ORDER BY 1", [(0.25,), (0.75,)]),
    ("SELECT id FROM shop WHERE EXISTS(SELECT 1 FROM [order] WHERE [order].id = shop.id AND amount IS MISSING)", [(3,)]),
    ("SELECT id FROM shop WHERE id IN (SELECT id FROM [order] GROUP BY id HAVING TALLY() > 1)", [(1,)]),
    ("WITH big AS (SELECT id, TOTAL(amount) AS amount FROM [order] GROUP BY id) SELECT city FROM big JOIN shop VIA (id) ORDER BY amount DESC TAKE 1", None),
    ("SELECT id FROM shop WHERE id ~= 2 UNION ALL SELECT TALLY() FROM [order] ORDER BY id DESC TAKE 2", [(4,), (3,)]),
    ("SELECT id FROM (SELECT id FROM [order] WHERE amount IS NOT MISSING ORDER BY amount DESC TAKE 1) AS best", [(1,)]),
    ("SELECT DISTINCT YEAR_OF(opened) AS y FROM shop ORDER BY y DESC TAKE 1", [(2026,)]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "rows"), QUERIES, ids=lambda part: str(part)[:60])
def test_query(
    larkql: Dialect, database: duckdb.DuckDBPyConnection, query: str, rows: list[tuple[object, ...]] | None
) -> None:
    got = database.execute(larkql.to_base(query)).fetchall()
    assert got == rows if rows is not None else got
    assert larkql.normalize(query) == query


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("select id from shop limit_ take 5", "SELECT id FROM shop AS limit_ TAKE 5"),
        ("SELECT id FROM shop TAKE 5 SKIP 2", "SELECT id FROM shop SKIP 2 TAKE 5"),
        ("SELECT [id] FROM [shop]", "SELECT id FROM shop"),
        ("SELECT [group] FROM [order]", "SELECT [group] FROM [order]"),
        ("SELECT total(x), Tally() FROM t", "SELECT TOTAL(x), TALLY() FROM t"),
        ("SELECT a / NULLIF(b, 0) FROM t", "SELECT RATIO(a, b) FROM t"),
        ("SELECT (RATIO(a, b)) * (c) FROM t", "SELECT RATIO(a, b) * (c) FROM t"),
        ("SELECT RATIO((a + 1), (b)) FROM t", "SELECT RATIO(a + 1, b) FROM t"),
        ("SELECT (a + 1) / NULLIF((b), 0) FROM t", "SELECT RATIO(a + 1, b) FROM t"),
        ('SELECT DAY "2026-01-31"', "SELECT BUSINESS_DATE()"),
        ("SELECT total, tally FROM t -- a comment", "SELECT total, tally FROM t"),
        ("SELECT TALLY(DISTINCT x) FROM t;", "SELECT UNIQUES(x) FROM t"),
        ("SELECT NOT a IS MISSING", "SELECT a IS NOT MISSING"),
        ("SELECT t.via, t.missing FROM t", "SELECT t.[via], t.[missing] FROM t"),
        ("SELECT day, text FROM t", "SELECT day, text FROM t"),
        ("SELECT x::NUMBER(4, 1)", "SELECT CAST(x AS NUMBER(4, 1))"),
        ("WITH total(a) AS (SELECT 1) SELECT a FROM total", "WITH [total](a) AS (SELECT 1) SELECT a FROM total"),
        ("SELECT a AS total FROM t ORDER BY total", "SELECT a AS total FROM t ORDER BY total"),
    ],
)
def test_normalize(larkql: Dialect, written: str, normal: str) -> None:
    assert larkql.normalize(written) == normal
    assert larkql.normalize(normal) == normal


@pytest.mark.parametrize(
    ("base", "house"),
    [
        ("SELECT year(placed) FROM t", "SELECT YEAR_OF(placed) FROM t"),
        ("SELECT YEAR(placed + INTERVAL '11 months') FROM t", "SELECT FISCAL_YEAR(placed) FROM t"),
        ("SELECT coalesce(a, b, 'x') FROM t", 'SELECT IFMISSING(a, b, "x") FROM t'),
        ("SELECT take, \"Skip\" FROM \"order\" LIMIT 3 OFFSET 1", "SELECT [take], [Skip] FROM [order] SKIP 1 TAKE 3"),
        ("SELECT a FROM t WHERE b != 'x''y' AND c ~~* 'z'", "SELECT a FROM t WHERE b ~= \"x'y\" AND c RESEMBLES \"z\""),
        ("SELECT a ]] FROM t".replace("]]", '"x]y"'), "SELECT a AS [x]]y] FROM t"),
        ("SELECT x::DATE, x::DECIMAL(9, 1), x::INTEGER", "SELECT CAST(x AS DAY), CAST(x AS NUMBER(9, 1)), CAST(x AS INT)"),
    ],
)  # fmt: skip
def test_base_text_is_written_the_house_way(larkql: Dialect, base: str, house: str) -> None:
    duck = load_dialect("duckdb")
    assert larkql.generate(duck.parse(base)) == house
    larkql.parse(house)


def test_pretty_text_is_the_same_query(larkql: Dialect) -> None:
    query = 'SELECT a, TOTAL(b) FROM t JOIN u VIA (k) WHERE c ~= "x" GROUP BY a ORDER BY TOTAL(b) DESC TAKE 5'
    pretty = larkql.generate(larkql.parse(query), pretty=True)
    assert "\n" in pretty
    assert larkql.normalize(pretty) == query


# A house dialect is no superset: what it renames is refused in the base's spelling, with the house's word.
REFUSED = [
    ("SELECT a FROM t LIMIT 5", 1, 17, "LIMIT", "write TAKE"),
    ("SELECT a\nFROM t\n  OFFSET 5", 3, 3, "OFFSET", "write SKIP"),
    ("SELECT SUM(x) FROM t", 1, 8, "SUM", "write TOTAL(x)"),
    ("SELECT avg (x) FROM t", 1, 8, "avg", "write AVERAGE(x)"),
    ("SELECT COUNT(*) FROM t", 1, 8, "COUNT", "write TALLY() or TALLY(x) or UNIQUES(x)"),
    ("SELECT COALESCE(a, b) FROM t", 1, 8, "COALESCE", "write IFMISSING(a, b...)"),
    ("SELECT IFNULL(a, b) FROM t", 1, 8, "IFNULL", "write IFMISSING(a, b...)"),
    ("SELECT YEAR(a) FROM t", 1, 8, "YEAR", "write YEAR_OF(d)"),
    ("SELECT a FROM t WHERE b = 'x'", 1, 27, "'x'", 'write "x"'),
    ("SELECT a FROM t WHERE b <> 1", 1, 25, "<>", "write ~="),
    ("SELECT a FROM t WHERE b != 1", 1, 25, "!=", "write ~="),
    ("SELECT a FROM t WHERE b ILIKE \"x\"", 1, 25, "ILIKE", "write RESEMBLES"),
    ("SELECT a FROM t WHERE b IS NULL", 1, 28, "NULL", "write MISSING"),
    ("SELECT a FROM t JOIN u USING (k)", 1, 24, "USING", "write VIA"),
    ("SELECT CAST(a AS DATE) FROM t", 1, 18, "DATE", "write DAY"),
    ("SELECT a::NUMERIC FROM t", 1, 11, "NUMERIC", "write NUMBER"),
    ('SELECT DATE "2025-01-01"', 1, 8, "DATE", "write DAY"),
    ("SELECT a FROM order", 1, 15, "order", "write [order]"),
    ("SELECT group FROM t", 1, 8, "group", "write [group]"),
    ("SELECT !take FROM t", 1, 9, "take", "write [take]"),
    ("SELECT a\r\nFROM t\rWHERE b ~= sum(c)", 3, 12, "sum", "write TOTAL(x)"),
    ("SELECT \ue000NOSUCH(a) FROM t", 1, 8, "\ue000NOSUCH", None),
    ("SELECT `a` FROM t", 1, 8, "`", None),
    ("SELECT TALLY(a, b) FROM t", 1, 8, "TALLY", None),
    ("SELECT TALLY(*) FROM t", 1, 8, "TALLY", None),
    ("SELECT YEAR_OF() FROM t", 1, 8, "YEAR_OF", None),
    ("SELECT RATIO(a, b) OVER () FROM t", 1, 8, "RATIO", None),
    ("SELECT YEAR_OF(DISTINCT a) FROM t", 1, 8, "YEAR_OF", None),
    ("SELECT a FROM t WHERE", 1, 17, "WHERE", None),
    ("SELECT (a FROM t", 1, 11, "FROM", None),
    ("SELECT a,\n  b c d FROM t", 2, 7, "d", None),
    ('SELECT "abc', 1, 8, '"', None),
    ('SELECT a,\n  "abc', 2, 3, '"', None),
    ("SELECT [abc FROM t", 1, 8, "[", None),
    ('SELECT a,\n"abc', 2, 1, '"', None),
]  # fmt: skip


@pytest.mark.parametrize(("query", "line", "column", "token", "hint"), REFUSED, ids=lambda part: str(part)[:40])
def test_refused_with_position(
    larkql: Dialect, query: str, line: int, column: int, token: str, hint: str | None
) -> None:
    with pytest.raises(DialectError) as refused:
        larkql.parse(query)
    error = refused.value
    assert (error.line, error.column, error.token) == (line, column, token)
    assert f"line {line}, column {column}" in error.message
    if hint:
        assert error.next_step == f"In larkql, {hint}."


@pytest.mark.parametrize(
    ("query", "column", "token"),
    [
        ("", 0, ""), ("-- nothing", 0, ""), (";", 0, ""), ("SELECT 1; SELECT 2", 11, "SELECT"), ("SELECT 1;; DROP TABLE t;", 12, "DROP"),
        ("DROP TABLE t", 1, "DROP"), (" INSERT INTO t VALUES (1)", 2, "INSERT"), ("EXPLAIN SELECT 1", 1, "EXPLAIN"), ("a + 1", 1, "a"),
        ("EXPLAIN 'x'", 1, "EXPLAIN"), ("CALL f(1)", 1, "CALL"), ("SET x = 1", 1, "SET"), ("VALUES (1)", 1, "VALUES"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["larkql", "duckdb"])
def test_only_one_query_is_a_query(larkql: Dialect, name: str, query: str, column: int, token: str) -> None:
    dialect = larkql if name == "larkql" else load_dialect(name)
    with pytest.raises(DialectError, match=r"query was expected|not a query") as refused:
        dialect.parse(query)
    assert (refused.value.column, refused.value.token) == (column, token)


def test_parse_any_gives_every_statement(larkql: Dialect, caplog: pytest.LogCaptureFixture) -> None:
    trees = larkql.parse_any("SELECT TOTAL(a) FROM t; DROP TABLE t; EXPLAIN SELECT 1;")
    assert [type(tree) for tree in trees] == [exp.Select, exp.Drop, exp.Command]
    assert trees[0].find(exp.Sum)
    assert not caplog.records


def test_a_function_renamed_in_part_is_still_there() -> None:
    dialect = Dialect("h", DialectSpec(name="h", functions={"ROWS()": "COUNT(*)", "MONEY(x)": "ROUND(x, 2)"}))
    query = "SELECT ROWS(), COUNT(a), MONEY(b), ROUND(b, 1) FROM t"
    assert dialect.normalize(query) == query
    assert dialect.normalize("SELECT COUNT(*), ROUND(b, 2) FROM t") == "SELECT ROWS(), MONEY(b) FROM t"


def test_a_tree_the_house_cannot_say_is_refused() -> None:
    dialect = Dialect("h", DialectSpec(name="h", functions={"LOG(x)": "LN(x)"}))
    tree = load_dialect("duckdb").parse("SELECT LOG(2, 8)")
    with pytest.raises(DialectError, match="no way to write LOG"):
        dialect.generate(tree)


def test_parse_gives_the_bases_own_tree(larkql: Dialect) -> None:
    duck = load_dialect("duckdb")
    house = 'SELECT city, TOTAL(size) FROM shop WHERE city ~= "x" GROUP BY city ORDER BY TOTAL(size) DESC TAKE 5'
    base = "SELECT city, SUM(size) FROM shop WHERE city <> 'x' GROUP BY city ORDER BY SUM(size) DESC LIMIT 5"
    assert larkql.parse(house) == duck.parse(base)
    assert not list(larkql.parse(house).find_all(exp.Anonymous))


def test_positions_in_the_tree_are_those_of_the_house_text(larkql: Dialect) -> None:
    query = "SELECT TOTAL(amount) FROM shop VIA"[:-4] + " WHERE city RESEMBLES size"
    for name in ("amount", "city", "size"):
        column = next(c for c in larkql.parse(query).find_all(exp.Column) if c.name == name)
        meta = column.this.meta
        assert query[meta["start"] : meta["end"] + 1] == name


# ── other dialects ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["duckdb", "sqlite", "postgres", "mysql", "snowflake", "tsql", "bigquery"])
def test_sqlglots_own_dialects(name: str) -> None:
    dialect = load_dialect(name)
    assert (dialect.name, dialect.base, dialect.spec) == (name, name, None)
    tree = dialect.parse("SELECT a, SUM(b) FROM t WHERE c <> 'x' AND d IS NOT NULL GROUP BY a ORDER BY a")
    text = dialect.generate(tree)
    assert dialect.parse(text) == tree
    assert "IS NOT NULL" in text
    assert dialect.normalize(text) == text


def test_two_dialects_do_not_see_each_other() -> None:
    before = dict(sqlglot.Dialect.classes)
    one = Dialect("same", DialectSpec(name="same", keywords={"PICK": "SELECT"}, functions={"F(x)": "SUM(x)"}))
    two = Dialect(
        "same", DialectSpec(name="same", base="sqlite", operators={"=/=": "<>"}, functions={"F(x)": "MAX(x)"})
    )
    assert one.to_base("PICK F(a) FROM t WHERE b <> 1") == "SELECT SUM(a) FROM t WHERE b <> 1"
    assert two.to_base("SELECT F(a) FROM t WHERE b =/= 1") == "SELECT MAX(a) FROM t WHERE b <> 1"
    assert one.normalize("PICK F(a) FROM t") == "PICK F(a) FROM t"
    for dialect, foreign in ((one, "SELECT a FROM t"), (two, "PICK a FROM t")):
        with pytest.raises(DialectError):
            dialect.parse(foreign)
    duck = load_dialect("duckdb")
    assert (
        duck.normalize("SELECT SUM(a) FROM t WHERE b <> 'c' LIMIT 1") == "SELECT SUM(a) FROM t WHERE b <> 'c' LIMIT 1"
    )
    assert dict(sqlglot.Dialect.classes) == before


SQUARE = DialectSpec(
    name="square",
    base="sqlite",
    identifier_quotes=("`", "`"),
    pagination=Pagination(style="top", limit="FIRST", offset="AFTER"),
    keywords={"SORTED BY": "ORDER BY", "PER": "GROUP BY", "IS UNKNOWN": "IS NULL", "MATCHING": "NOT LIKE"},
    operators={"≠": "<>", "**": "||", "&": "AND"},
    functions={"JOINED(a...)": "CONCAT(a...)", "SHARE(a)": "a * 100.0 / SUM(a) OVER ()", "LATEST(x)": "MAX(x)"},
    types={"WHOLE": "INTEGER", "CASH": "DECIMAL(18, 2)"},
)


@pytest.mark.parametrize(
    ("house", "base"),
    [
        ("SELECT FIRST 5 a FROM t SORTED BY a", "SELECT a FROM t ORDER BY a LIMIT 5"),
        ("SELECT DISTINCT FIRST 5 a FROM t", "SELECT DISTINCT a FROM t LIMIT 5"),
        ("SELECT a FROM t WHERE b IS UNKNOWN & c ≠ 1", "SELECT a FROM t WHERE b IS NULL AND c <> 1"),
        ("SELECT a, LATEST(b) FROM t PER a", "SELECT a, MAX(b) FROM t GROUP BY a"),
        ("SELECT a ** 'x' FROM t", "SELECT a || 'x' FROM t"),
        ("SELECT SHARE(a) FROM t", "SELECT a * 100.0 / SUM(a) OVER () FROM t"),
        ("SELECT SHARE(a) + SHARE(b - 1) FROM t", "SELECT (a * 100.0 / SUM(a) OVER ()) + ((b - 1) * 100.0 / SUM(b - 1) OVER ()) FROM t"),
        ("SELECT JOINED(a), JOINED(a, b, c) FROM t", None),
        ("SELECT CAST(a AS WHOLE), CAST(a AS CASH), CAST(a AS BLOB) FROM t", None),
        ("SELECT `SORTED`, `first`, `PER` FROM t", None),
    ],
)  # fmt: skip
def test_other_styles(house: str, base: str | None) -> None:
    dialect = Dialect("square", SQUARE)
    if base:
        assert dialect.to_base(house) == base
    assert dialect.normalize(house) == house


@pytest.mark.parametrize(
    "query", ["SELECT a FROM t LIMIT 5", "SELECT a FROM t ORDER\n BY a", "SELECT a FROM t WHERE a IS NULL"]
)
def test_other_styles_refuse_the_bases_words(query: str) -> None:
    with pytest.raises(DialectError, match="is written"):
        Dialect("square", SQUARE).parse(query)


# ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_unknown_dialect_names_the_nearest() -> None:
    with pytest.raises(DialectError, match="no SQL dialect 'duckdbb'") as refused:
        load_dialect("duckdbb")
    assert refused.value.next_step == "Did you mean duckdb?"


def test_missing_dialect_file(tmp_path: Path) -> None:
    with pytest.raises(DialectError, match=r"no dialect file .*house\.toml"):
        load_dialect("house.toml", tmp_path)


def test_a_spec_made_in_code_is_checked_too() -> None:
    with pytest.raises(DialectError, match=r"functions.*does not parse"):
        Dialect("h", DialectSpec(name="h", functions={"F(x)": "SUM(("}))


def test_compiled_sqlglot_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sqlglot.tokens, "SQLGLOTC_INSTALLED", True)
        with pytest.raises(DialectError) as refused:
            load_dialect("duckdb")
    assert refused.value.next_step == "pip uninstall sqlglotc"
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "30.30.0" if name == "sqlglotc" else real(name))
    with pytest.raises(DialectError, match=r"sqlglotc 30\.30\.0"):
        load_dialect("dialect.toml", RETAIL)


def test_nesting_has_an_end(larkql: Dialect) -> None:
    with pytest.raises(DialectError, match="nested too deeply"):
        larkql.parse("SELECT " + "(" * 5000 + "1" + ")" * 5000)


def test_threads_do_not_mix(larkql: Dialect) -> None:
    queries = [f'SELECT a{i}, TOTAL(b) FROM t WHERE c ~= "{i}" TAKE {i}' for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(larkql.normalize, queries)) == queries


def test_every_question_of_the_example_is_written_the_one_way(larkql: Dialect) -> None:
    """What people wrote by hand parses, settles, and is what the generator would write."""
    for path in sorted((RETAIL / "questions").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            sql = json.loads(line)["sql"]
            assert larkql.normalize(sql) == sql
