"""What survives the way to an engine and back, as one-line facts: what is lost, and where it is underlined."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.engines import Refusal, engine
from sqlora.sql.places import Places
from sqlora.sql.roundtrip import RoundTrip, Trip
from sqlora.sql.translate import canonical, instability, translate

RETAIL = Path(__file__).parents[3] / "examples" / "retail"
LARKQL = load_dialect("dialect.toml", RETAIL)
TRIPS = {
    name: RoundTrip(load_dialect(name))
    for name in ("duckdb", "snowflake", "tsql", "mysql", "oracle", "postgres", "bigquery")
}
TRIPS["larkql"] = RoundTrip(LARKQL)


def trip(dialect: str, sql: str) -> Trip:
    return TRIPS[dialect].trip(sql)


@pytest.mark.parametrize(
    ("dialect", "sql", "outcome", "there"),
    [
        ("duckdb", "SELECT a FROM t", "same", "SELECT a FROM t"),
        ("larkql", "SELECT TOTAL(x) FROM t TAKE 5", "same", "SELECT SUM(x) FROM t LIMIT 5"),
        ("larkql", 'SELECT [order] FROM t WHERE a ~= "b;c"', "same", "SELECT \"order\" FROM t WHERE a <> 'b;c'"),
        ("tsql", "SELECT TOP 5 [a b] FROM t", "same", 'SELECT "a b" FROM t LIMIT 5'),
        ("tsql", "SELECT ISNULL(a, 0) FROM t", "rewritten", "SELECT COALESCE(a, 0) FROM t"),
        ("snowflake", "SELECT DATEADD(day, 1, d) FROM t", "rewritten", "SELECT d + INTERVAL 1 DAY FROM t"),
        ("snowflake", "SELECT DATEADD(day, -7, d) FROM t", "rewritten", "SELECT d + INTERVAL (-7) DAY FROM t"),
        ("snowflake", "SELECT DATEADD(day, n, d) FROM t", "same", "SELECT d + INTERVAL (n) DAY FROM t"),
        ("snowflake", "SELECT a FROM t QUALIFY RANK() OVER (ORDER BY a) = 1", "same",
         "SELECT a FROM t QUALIFY RANK() OVER (ORDER BY a) = 1"),
        ("mysql", "SELECT `a b` FROM t LIMIT 5, 10", "same", 'SELECT "a b" FROM t LIMIT 10 OFFSET 5'),
        ("mysql", "SELECT DATE_FORMAT(d, '%Y') FROM t", "rewritten", "SELECT STRFTIME(CAST(d AS TIMESTAMP), '%Y') FROM t"),
        ("oracle", "SELECT NVL(a, 0) FROM dual", "rewritten", "SELECT COALESCE(a, 0) FROM dual"),
        ("postgres", "CREATE TABLE t (a INT)", "same", "CREATE TABLE t (a INT)"),
        ("postgres", "", "same", ""),
    ],
)  # fmt: skip
def test_what_survives(dialect: str, sql: str, outcome: str, there: str) -> None:
    found = trip(dialect, sql)
    assert (found.outcome, found.there, found.losses) == (outcome, there, ())


# Text · what is lost of it: kind, construct, line, column, what is underlined · words of the reason.
LOSSES = [
    ("duckdb", "SELECT a,\n  b FROM t GROUP", ("syntax", "syntax", 2, 12, "GROUP"), "GROUP is a reserved word"),
    ("duckdb", "SELECT 'abc", ("syntax", "syntax", 1, 8, "'"), "the closing ' is missing"),
    ("duckdb", "SELECT '", ("syntax", "syntax", 1, 8, "'"), "never closed"),
    ("duckdb", "SELEC a", ("statement", "the statement", 1, 1, "SELEC a"), "this is no statement"),
    ("larkql", "SELECT SUM(x) FROM t", ("syntax", "syntax", 1, 8, "SUM"), "SUM is written TOTAL(x)"),
    ("larkql", "SELECT a,\n NOSUCH(TOTAL(b)) FROM t", ("function", "NOSUCH()", 2, 2, "NOSUCH"), "no function NOSUCH"),
    ("snowflake", "SELECT a, ST_AREA(g) FROM t", ("function", "ST_AREA()", 1, 11, "ST_AREA"), "DuckDB has no function"),
    ("snowflake", "SELECT CAST(a AS GEOGRAPHY) FROM t", ("type", "type GEOGRAPHY", 1, 18, "GEOGRAPHY"), "no type GEOGRAPHY"),
    ("snowflake", "CREATE STAGE s", ("refused", "CREATE", 1, 8, "STAGE"), "near \"STAGE\""),
    ("snowflake", "SELECT v:a.b FROM t", ("changed", "->", 1, 8, "v"), "comes back as GET_PATH"),
    ("oracle", "SELECT a FROM t, u\nWHERE t.a = u.b(+)", ("unsupported", "(+)", 2, 13, "u.b"), "Outer join syntax"),
    ("oracle", "SELECT TO_CHAR(d, 'YYYY') FROM t", ("unsupported", "TO_CHAR()", 1, 8, "TO_CHAR"), "format"),
    ("mysql", "SELECT SQL_CALC_FOUND_ROWS * FROM t", ("refused", "SQL_CALC_FOUND_ROWS", 1, 8, "SQL_CALC_FOUND_ROWS"), "near"),
    ("mysql", "CALL p(1)", ("statement", "CALL", 1, 1, "CALL"), "sqlglot does not know"),
    ("tsql", "SELECT STUFF('abc', 1, 1, 'x')", ("changed", "STUFF()", 1, 8, "STUFF"), "instead of"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "sql", "place", "words"), LOSSES, ids=lambda part: str(part)[:40])
def test_what_is_lost_is_named_and_placed(
    dialect: str, sql: str, place: tuple[str, str, int, int, str], words: str
) -> None:
    found = trip(dialect, sql)
    [loss] = found.losses
    assert found.outcome == "lost"
    assert (loss.kind, loss.construct, loss.line, loss.column, loss.token) == place
    assert words in loss.message
    assert sql.split("\n")[loss.line - 1][loss.column - 1 :].startswith(loss.token)


def test_all_that_is_lost_of_a_statement_is_said_in_its_order() -> None:
    found = trip("snowflake", "SELECT ST_AREA(a), COUNT(*),\n my_udf(b) FROM t WHERE st_area(c) > 1")
    assert [(loss.construct, loss.line, loss.column) for loss in found.losses] == [
        ("ST_AREA()", 1, 8), ("MY_UDF()", 2, 2), ("ST_AREA()", 2, 25),
    ]  # fmt: skip


def test_several_statements_share_their_fate() -> None:
    found = trip("duckdb", "SELECT 1; SELECT nosuch(2)")
    assert (found.outcome, found.there) == ("lost", "SELECT 1;\nSELECT NOSUCH(2)")


def test_what_the_engine_cannot_read_the_second_time_is_lost() -> None:
    found = RoundTrip(load_dialect("exasol")).trip("SELECT a[1], MAP{'a': 1}, [1,2], x -> x + 1, t.*, COLUMNS('a') FROM t")
    assert found.outcome == "lost"
    assert found.losses


@pytest.mark.parametrize("depth", [50, 3000])
def test_a_deep_query_is_no_crash(depth: int) -> None:
    found = trip("duckdb", "SELECT " + "(" * depth + "1" + ")" * depth)
    assert found.outcome in ("same", "rewritten", "lost")


def test_other_engines() -> None:
    sqlite = RoundTrip(load_dialect("snowflake"), "sqlite")
    assert sqlite.trip("SELECT a FROM t WHERE a NOT IN (SELECT b FROM u)").there.count("NOT a IN (") == 1
    [loss] = sqlite.trip("SELECT ST_AREA(a) FROM t").losses
    assert loss.message == "SQLite has no function ST_AREA"
    assert RoundTrip(load_dialect("snowflake"), "postgres").trip("SELECT a FROM t").outcome == "same"


def test_a_house_that_cannot_say_it_loses_it() -> None:
    """A word of the base's that the house took away, and has no other for."""
    spec = DialectSpec(name="house", base="tsql", functions={"ISNULL(x)": "CASE WHEN x IS NULL THEN 1 ELSE 0 END"})
    found = RoundTrip(Dialect("house", spec)).trip("SELECT LEN(a), ISNULL(b) FROM t")
    assert found.outcome in ("same", "rewritten")


@pytest.mark.parametrize("sql", ["ATTACH 'x.db' AS x", "PRAGMA journal_mode = wal", "COPY (SELECT 1) TO 'x.csv'", "CREATE TABLE x (a INT)",
                                 "SELECT * FROM read_csv('/etc/passwd')", "INSTALL httpfs", "SELECT load_extension('x')"])  # fmt: skip
@pytest.mark.parametrize("name", ["duckdb", "sqlite"])
def test_an_engine_that_judges_runs_nothing(
    name: str, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine(name).refusal(sql)
    RoundTrip(load_dialect("duckdb"), name).trip(sql)
    assert list(tmp_path.iterdir()) == []
    assert engine(name).refusal("SELECT a FROM x") is None


def test_the_engine_says_what_it_has() -> None:
    duckdb = engine("duckdb")
    assert {"sum", "coalesce", "strftime"} <= duckdb.functions
    assert "nosuch" not in duckdb.functions
    assert {"decimal", "varchar", "timestamp", "text"} <= duckdb.types
    assert duckdb.refusal("SELECT 1") is None
    assert duckdb.refusal("SELECT a, FROM FROM t") == Refusal('syntax error at or near "FROM"', "FROM", 2)
    assert engine("sqlite").refusal("SELECT a FROM nosuch") is None
    assert engine("sqlite").refusal("SELECT a FROM FROM t") == Refusal('near "FROM": syntax error', "FROM", 2)
    assert engine("oracle").functions == frozenset()


@pytest.mark.parametrize(
    ("source", "target", "sql", "text"),
    [
        ("tsql", "snowflake", "SELECT TOP 5 [a b] FROM t", 'SELECT "a b" FROM t ORDER BY 1 LIMIT 5'),
        ("snowflake", "sqlite", "SELECT a FROM t WHERE a NOT IN (SELECT b FROM u)",
         "SELECT a FROM t WHERE a NOT IN (SELECT b FROM u)"),
        ("snowflake", "duckdb", "SELECT a FROM t WHERE NOT (a NOT IN (SELECT b FROM u) OR a = ANY (SELECT b FROM u))",
         "SELECT a FROM t WHERE NOT (a NOT IN (SELECT b FROM u) OR a IN (SELECT b FROM u))"),
        ("postgres", "duckdb", "SELECT a = ANY(b) FROM t", "SELECT a = ANY(b) FROM t"),
        ("snowflake", "snowflake", "SELECT a NOT IN (SELECT b FROM u) = c FROM t",
         "SELECT (a NOT IN (SELECT b FROM u)) = c FROM t"),
        ("tsql", "duckdb", "SELECT CAST(a AS VARCHAR(MAX)) FROM t", "SELECT CAST(a AS TEXT) FROM t"),
        ("duckdb", "postgres", "SELECT d + INTERVAL (-7) DAY FROM t", "SELECT d + INTERVAL '-7 DAY' FROM t"),
        ("duckdb", "snowflake", "SELECT d + INTERVAL (-(7)) DAY FROM t", "SELECT d + INTERVAL '-7 DAY' FROM t"),
        ("duckdb", "bigquery", "SELECT d + INTERVAL (-7) DAY FROM t", "SELECT d + INTERVAL '-7' DAY FROM t"),
        ("duckdb", "duckdb", "SELECT d + INTERVAL (-7) DAY FROM t", "SELECT d + INTERVAL '-7' DAY FROM t"),
        ("duckdb", "postgres", "SELECT d + INTERVAL (n) DAY FROM t", "SELECT d + n * INTERVAL '1 DAY' FROM t"),
        ("mysql", "postgres", "SELECT d - INTERVAL n + 1 DAY FROM t", "SELECT d - (n + 1) * INTERVAL '1 DAY' FROM t"),
        ("duckdb", "postgres", "SELECT INTERVAL (n) DAY * 2 FROM t", "SELECT (n * INTERVAL '1 DAY') * 2 FROM t"),
        ("duckdb", "oracle", "SELECT d + INTERVAL (n) DAY FROM t", "SELECT d + n * INTERVAL '1' DAY FROM t"),
        ("duckdb", "snowflake", "SELECT d + INTERVAL (n) DAY - INTERVAL (n + 1) MONTH FROM t",
         "SELECT DATEADD(MONTH, -(n + 1), DATEADD(DAY, n, d)) FROM t"),
        ("duckdb", "redshift", "SELECT INTERVAL (n) DAY + d FROM t", "SELECT DATEADD(DAY, n, d) FROM t"),
        ("duckdb", "larkql", "SELECT SUM(x) FROM t LIMIT 5", "SELECT TOTAL(x) FROM t TAKE 5"),
        ("larkql", "tsql", "SELECT TOTAL(x) FROM t TAKE 5", "SELECT TOP 5 SUM(x) FROM t"),
    ],
)  # fmt: skip
def test_translation(source: str, target: str, sql: str, text: str) -> None:
    before, after = (LARKQL if name == "larkql" else load_dialect(name) for name in (source, target))
    found, unsupported = translate(before.parse(sql), before, after)
    assert (found.replace(" ORDER BY 1", ""), unsupported) == (text.replace(" ORDER BY 1", ""), [])


@pytest.mark.parametrize("sql", ["INTERVAL (n) DAY", "INTERVAL '1' DAY - INTERVAL (n) DAY", "INTERVAL (n) DAY - d"])
def test_no_interval_loses_its_number(sql: str) -> None:
    duckdb = load_dialect("duckdb")
    tree = duckdb.parse(f"SELECT {sql} FROM t")
    with pytest.raises(DialectError, match="computed length stands only beside a date"):
        translate(tree, duckdb, load_dialect("snowflake"))
    with pytest.raises(DialectError, match="computed length stands only beside a date"):
        load_dialect("snowflake").generate(tree)


def test_translation_says_what_the_target_has_not() -> None:
    duckdb, mysql = load_dialect("duckdb"), load_dialect("mysql")
    tree = duckdb.parse("SELECT a FROM t TABLESAMPLE (10 PERCENT)")
    text, unsupported = translate(tree, duckdb, mysql)
    assert text.startswith("SELECT a FROM t")
    [(node, message)] = unsupported
    assert "sample" in message.lower()
    assert Places("SELECT a FROM t TABLESAMPLE (10 PERCENT)", duckdb).construct(node) == "TABLESAMPLE"
    with pytest.raises(DialectError):
        translate(duckdb.parse("SELECT RATIO(1, 2)"), duckdb, LARKQL)


@pytest.mark.parametrize(
    ("dialect", "text", "words"),
    [
        ("redshift", "SELECT LISTAGG(a, ', ') WITHIN GROUP (ORDER BY b) FROM t", ""),
        ("redshift", "SELECT LISTAGG(a ORDER BY b, ', ') FROM t", "sorts by a text"),
        ("duckdb", "SELECT (", "is not read in duckdb"),
        ("tsql", "SELECT TOP 5 a FROM t ORDER BY b DESC", ""),
        ("trino", "SELECT DATE_DIFF('DAY', DATE_TRUNC('DAY', a), DATE_TRUNC('DAY', b)) FROM t", ""),
    ],
)
def test_text_that_its_own_dialect_reads_otherwise(dialect: str, text: str, words: str) -> None:
    found = instability(text, load_dialect(dialect))
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT INTERVAL 1 DAY", "SELECT INTERVAL '1' DAY", True),
        ("SELECT INTERVAL (-1) DAY", "SELECT INTERVAL '-1' DAY", True),
        ("SELECT INTERVAL (-1) DAY", "SELECT INTERVAL '1' DAY", False),
        ("SELECT CAST(CAST(a AS DATE) AS DATE)", "SELECT CAST(a AS DATE)", True),
        ("SELECT ((a)) + (b)", "SELECT a + b", True),
        ("SELECT DATE_TRUNC('DAY', DATE_TRUNC('DAY', a))", "SELECT DATE_TRUNC('DAY', a)", True),
        ("SELECT INTERVAL 1 DAY", "SELECT INTERVAL 2 DAY", False),
        ("SELECT CAST(CAST(a AS DATE) AS VARCHAR)", "SELECT CAST(a AS VARCHAR)", False),
        ("SELECT DATE_TRUNC('MONTH', DATE_TRUNC('DAY', a))", "SELECT DATE_TRUNC('MONTH', a)", False),
    ],
)
def test_differences_that_mean_nothing(one: str, other: str, same: bool) -> None:
    duckdb = load_dialect("duckdb")
    assert (canonical(duckdb.parse(one)) == canonical(duckdb.parse(other))) is same


words = st.lists(st.sampled_from(
    ["SELECT", "FROM", "t", "a", "(", ")", ",", "'x'", "1", "=", "SUM(a)", "nosuch(", "JOIN u", "ON", "WHERE", "GROUP BY", "LIMIT 5",
     "CAST(", "AS", "DATE", "INTERVAL '1' DAY", "CASE WHEN", "THEN", "END", "::", "[", "]", "\n", "QUALIFY", ":", "PIVOT", "CREATE TABLE"]
), max_size=14).map(" ".join)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(words, st.sampled_from(list(TRIPS)))
def test_any_text_makes_a_trip_and_what_is_underlined_is_there(text: str, dialect: str) -> None:
    found = trip(dialect, text)
    assert bool(found.losses) == (found.outcome == "lost")
    for loss in found.losses:
        assert loss.message
        assert loss.construct
        if loss.line:
            assert text.split("\n")[loss.line - 1][loss.column - 1 :].startswith(loss.token)
