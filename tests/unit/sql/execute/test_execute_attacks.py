"""What a model could be talked into. Each attack must be refused by the check, and do no harm past the check.

Harm: the database's file changes, a file appears or is read, a setting changes, a later query sees something else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sqlora.errors import QueryError, QueryLimitError, SqloraError
from sqlora.sql.check import check
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import Database, Limits, open_database
from sqlora.sql.schema import Column, Schema, Table

SECRET = "correct horse battery staple"
LIMITS = Limits(seconds=2.0)
DATA = "CREATE TABLE t (a INTEGER, b VARCHAR(9)); INSERT INTO t VALUES (1, 'x'), (2, 'y');"

# {dir} is the folder of the database, where secret.txt and secret.csv lie.
EITHER = [
    "DROP TABLE t",
    "DELETE FROM t",
    "UPDATE t SET a = 3",
    "INSERT INTO t VALUES (3, 'z')",
    "INSERT INTO t VALUES (3, 'z') RETURNING a",
    "CREATE TABLE u AS SELECT 1 AS a",
    "CREATE TEMP TABLE u AS SELECT 1 AS a",
    "CREATE VIEW v AS SELECT 1 AS a",
    "ALTER TABLE t ADD COLUMN c INTEGER",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "SELECT 1; DROP TABLE t",
    "SELECT 1; SELECT 2",
    "/* harmless */ DROP TABLE t -- SELECT",
    "ATTACH '{dir}/new.db' AS n",
    "ATTACH DATABASE '{dir}/new.db' AS n",
    "VACUUM",
    "VACUUM INTO '{dir}/new.db'",
    "BEGIN",
    "COMMIT",
    "EXPLAIN SELECT a FROM t",
    "PRAGMA table_info('t')",
]
DUCKDB = [
    "SELECT * FROM read_csv('{dir}/secret.csv')",
    "SELECT * FROM read_csv_auto('/etc/passwd', delim=':')",
    "SELECT * FROM read_text('{dir}/secret.txt')",
    "SELECT * FROM read_blob('{dir}/secret.txt')",
    "SELECT * FROM read_json('{dir}/secret.txt')",
    "SELECT * FROM read_parquet('{dir}/secret.txt')",
    "SELECT * FROM sniff_csv('{dir}/secret.csv')",
    "SELECT * FROM '{dir}/secret.csv'",
    'SELECT * FROM "{dir}/secret.csv"',
    "SELECT (SELECT content FROM read_text('{dir}/secret.txt'))",
    "SELECT a FROM t WHERE b IN (SELECT content FROM read_text('{dir}/secret.txt'))",
    "SELECT * FROM glob('{dir}/*')",
    "SELECT * FROM query('SELECT * FROM read_text(''{dir}/secret.txt'')')",
    "SELECT * FROM query_table('{dir}/secret.csv')",
    "FROM '{dir}/secret.csv'",
    "COPY t TO '{dir}/out.csv'",
    "COPY (SELECT 1) TO '{dir}/out.csv'",
    "COPY t FROM '{dir}/secret.csv'",
    "EXPORT DATABASE '{dir}/out'",
    "IMPORT DATABASE '{dir}/out'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs FROM community",
    "SELECT * FROM 'https://localhost:1/x.csv'",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET GLOBAL threads = 64",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "SELECT getvariable('x')",
    "PRAGMA memory_limit = '100GB'",
    "PRAGMA enable_profiling",
    "CALL pragma_table_info('t')",
    "SELECT current_setting('memory_limit')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM information_schema.tables",
    "SELECT getenv('HOME')",
    "SELECT main.getenv('HOME')",
    "SELECT 'HOME'.getenv()",
    "SELECT * FROM secret_rows",  # a Python variable of that name is in sight
    "SELECT nextval('s')",
    "SELECT write_log('x')",
    "SELECT json_execute_serialized_sql('x')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "USE main",
    "CHECKPOINT",
    "DESCRIBE t",
    "SHOW TABLES",
    "SUMMARIZE t",
    "DETACH data",
    "MERGE INTO t USING t AS u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "TRUNCATE t",
    "COMMENT ON TABLE t IS 'x'",
    "CREATE SECRET (TYPE http, BEARER_TOKEN 'x')",
    "CREATE MACRO f(x) AS x",
    "SELECT * INTO u FROM t",
    "SELECT a FROM t FOR UPDATE",
]
SQLITE = [
    "PRAGMA query_only = off",
    "PRAGMA writable_schema = on",
    "PRAGMA journal_mode = WAL",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT * FROM pragma_database_list",
    "SELECT load_extension('{dir}/x')",
    "SELECT readfile('{dir}/secret.txt')",
    "SELECT writefile('{dir}/out.txt', 'x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT printf('%.*c', 900000000, 'x')",
    "SELECT length(printf('%.*c', 900000000, 'x'))",
    "SELECT length(randomblob(900000000))",
    "SELECT length(zeroblob(900000000))",
    "SELECT sqlite_source_id()",
    "REINDEX",
    "ANALYZE",
    "DETACH main",
    "REPLACE INTO t VALUES (1, 'z')",
    "SAVEPOINT s",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
]
CASES = [
    *(("duckdb", sql) for sql in EITHER + DUCKDB),
    *(("sqlite", sql) for sql in EITHER + SQLITE),
]


def prepare(engine: str, folder: Path) -> Path:
    (folder / "secret.txt").write_text(SECRET)
    (folder / "secret.csv").write_text(f"a,b\n1,{SECRET}\n")
    path = folder / "data"
    if engine == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(DATA)
    else:
        lite = sqlite3.connect(path)
        lite.executescript(DATA)
        lite.close()
    return path


@pytest.mark.parametrize(("engine", "sql"), CASES)
def test_an_attack_is_refused_by_the_check(engine: str, sql: str) -> None:
    schema = Schema((Table("t", (Column("a", "INT"), Column("b", "TEXT"))),), engine)
    assert check(sql.replace("{dir}", "/tmp"), load_dialect(engine), schema)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Database]]:
    """One of each engine for all attacks: what one of them leaves behind, the next would see."""
    paths = {engine: prepare(engine, tmp_path_factory.mktemp(engine)) for engine in ("duckdb", "sqlite")}
    opened = {engine: open_database(str(path)) for engine, path in paths.items()}
    yield opened
    for database in opened.values():
        database.close()


@pytest.mark.parametrize(("engine", "sql"), CASES)
def test_an_attack_past_the_check_is_harmless(
    engine: str, sql: str, databases: dict[str, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = databases[engine]
    folder = Path(database.name).parent
    monkeypatch.chdir(folder)
    secret_rows = [(SECRET,)]  # noqa: F841 (DuckDB would find it, were replacement scans on)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    settings = _settings(database) if engine == "duckdb" else None
    try:
        shown = repr(database.run(sql.replace("{dir}", str(folder)), LIMITS).rows)
    except SqloraError as error:
        shown = str(error)
    assert SECRET not in shown
    assert "root:" not in shown
    assert database.run("SELECT a, b FROM t ORDER BY a", LIMITS).rows == [(1, "x"), (2, "y")]
    assert [table.name for table in database.schema().tables] == ["t"]
    if engine == "duckdb":
        assert _settings(database) == settings
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def _settings(database: Database) -> list[tuple[object, ...]]:
    return database.run("SELECT name, value FROM duckdb_settings() ORDER BY name", LIMITS).rows


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        ("duckdb", "SELECT 1; SELECT 2"),
        ("duckdb", "CREATE TEMP TABLE u AS SELECT 1 AS a"),
        ("duckdb", "BEGIN"),
        ("duckdb", "CHECKPOINT"),
        ("duckdb", "PRAGMA enable_profiling"),
        ("duckdb", "EXPLAIN SELECT 1"),
        ("sqlite", "SELECT 1; SELECT 2"),
        ("sqlite", "CREATE TEMP TABLE u AS SELECT 1 AS a"),
        ("sqlite", "BEGIN"),
        ("sqlite", "PRAGMA query_only"),
        ("sqlite", "SELECT * FROM pragma_table_info('t')"),
        ("sqlite", "SELECT length(printf('%.*c', 900000000, 'x'))"),
        ("sqlite", "SELECT length(randomblob(900000000))"),
    ],
)
def test_what_the_engine_would_do_without_harm_is_refused_too(
    engine: str, sql: str, databases: dict[str, Database]
) -> None:
    with pytest.raises(QueryError, match=r"refused|only SELECT|one statement"):
        databases[engine].run(sql, LIMITS)


MEMORY_BOMBS = [
    ("duckdb", "SELECT LIST(r) FROM RANGE(100000000) t(r)"),
    ("duckdb", "SELECT STRING_AGG(REPEAT('x', 1000), '') FROM RANGE(10000000)"),
    ("duckdb", "WITH RECURSIVE r(n, s) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, s || s FROM r WHERE n < 40) SELECT MAX(LENGTH(s)) FROM r"),
    ("sqlite", "WITH RECURSIVE r(n, s) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, s || s FROM r WHERE n < 40) SELECT MAX(LENGTH(s)) FROM r"),
    ("sqlite", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT GROUP_CONCAT(n) FROM r"),
]


@pytest.mark.parametrize(("engine", "sql"), MEMORY_BOMBS)
def test_memory_bombs_stop_at_a_limit(engine: str, sql: str, tmp_path: Path) -> None:
    path = prepare(engine, tmp_path)
    with open_database(str(path)) as database:
        with pytest.raises(QueryLimitError):
            database.run(sql, Limits(seconds=2.0, memory_mb=128))
        assert database.run("SELECT COUNT(*) FROM t").rows == [(2,)]


ENDLESS = [
    ("duckdb", "SELECT bitstring('1', 2000000000)"),
    ("duckdb", "SELECT LENGTH(RANGE(10 ** 9))"),
    ("duckdb", "SELECT a FROM t WHERE " + " OR ".join(["a = 1"] * 20_000)),
    ("sqlite", "SELECT " + " + ".join(["1"] * 50_000)),
    ("duckdb", "SELECT " + "(" * 3_000 + "1" + ")" * 3_000),
    (
        "duckdb",
        "WITH c0 AS (SELECT * FROM t x, t y), "
        + ", ".join(f"c{n} AS (SELECT * FROM c{n - 1} x, c{n - 1} y)" for n in range(1, 30))
        + " SELECT COUNT(*) FROM c29",
    ),
]


@pytest.mark.parametrize(("engine", "sql"), ENDLESS)
def test_what_would_take_for_ever_to_read_or_to_plan_is_refused_by_the_check(engine: str, sql: str) -> None:
    schema = Schema((Table("t", (Column("a", "INT"), Column("b", "TEXT"))),), engine)
    assert check(sql, load_dialect(engine), schema)
