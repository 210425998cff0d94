"""A real PostgreSQL server: its schema, its limits, and what hostile SQL can do there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.errors import DatabaseError, QueryError, QueryLimitError, SqloraError
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import Database, Limits, open_database, run_query
from sqlora.sql.schema import Column, ForeignKey, Schema
from tests.database_servers import Server, postgres, postgres_bin
from tests.unit.sql.execute.on_a_server import ends, gives_rows, gives_samples

psycopg = pytest.importorskip("psycopg", reason="no PostgreSQL driver")
pytestmark = pytest.mark.skipif(postgres_bin() is None, reason="no PostgreSQL server on this machine")

DATA = """
CREATE TABLE region (region_id int PRIMARY KEY, region_name varchar(20) NOT NULL);
CREATE TABLE city (city_id int PRIMARY KEY, region_id int REFERENCES region, city_name text, kind text, mayor_email text);
COMMENT ON TABLE city IS 'where we are';
COMMENT ON COLUMN city.kind IS 'by size';
INSERT INTO region VALUES (1, 'north'), (2, 'south');
INSERT INTO city SELECT i, i % 2 + 1, 'city ' || i, CASE WHEN i % 3 = 0 THEN 'town' ELSE 'village' END, 'm@x.org'
    FROM generate_series(1, 30) i;
CREATE VIEW big AS SELECT city_id, city_name FROM city WHERE kind = 'town';
CREATE MATERIALIZED VIEW counted AS SELECT region_id, count(*) AS cities FROM city GROUP BY region_id;
CREATE TYPE mood AS ENUM ('glad', 'it''s so-so');
CREATE TABLE "the ""odd"" täble 🛒" ("select" int PRIMARY KEY, "group by" mood, "Mixed" text[], "café ☕" numeric(10, 2));
CREATE SCHEMA "Old Times";
CREATE TABLE "Old Times".city (id int PRIMARY KEY, new_id int REFERENCES public.city);
CREATE TABLE "Old Times".stop (city int REFERENCES "Old Times".city);
CREATE TABLE visit (visit_id int, day date) PARTITION BY RANGE (day);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE SEQUENCE s;
CREATE TABLE secret (word text);
INSERT INTO secret VALUES ('correct horse');
CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM city RETURNING 1';
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA "Old Times" TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, "Old Times" TO reader;
GRANT INSERT, UPDATE, DELETE ON city TO reader;  -- more than it should have: the transaction is the second fence
REVOKE ALL ON secret FROM reader;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as started:
        with psycopg.connect(started.url(database="postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE shop")
        with psycopg.connect(started.url(database="shop")) as connection:
            connection.execute(DATA)
        yield started


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    with open_database(server.url("reader", "shop")) as opened:
        yield opened


@pytest.fixture(scope="module")
def schema(database: Database) -> Schema:
    return database.schema()


def test_schema(schema: Schema) -> None:
    assert schema.dialect == "postgres"
    city = schema.table("city")
    assert city.comment == "where we are"
    assert city.columns[3] == Column("kind", "TEXT", "by size")
    assert city.primary_key == ("city_id",)
    assert city.foreign_keys == (ForeignKey(("region_id",), "region", ("region_id",)),)
    assert schema.table("region").columns[1] == Column("region_name", "VARCHAR(20)", nullable=False)


def test_views_are_tables_too(schema: Schema) -> None:
    assert [column.name for column in schema.table("big").columns] == ["city_id", "city_name"]
    assert [column.type for column in schema.table("counted").columns] == ["INT", "BIGINT"]


def test_other_namespaces_come_after_the_default_one(schema: Schema) -> None:
    old = schema.table("Old Times.city")
    assert old.foreign_keys == (ForeignKey(("new_id",), "city", ("city_id",)),)
    assert schema.table("Old Times.stop").foreign_keys == (ForeignKey(("city",), "city", ("id",), "Old Times"),)
    assert [table.namespace for table in schema.tables[-2:]] == ["Old Times", "Old Times"]
    assert not any(table.namespace.startswith("pg_") for table in schema.tables)


def test_parts_of_a_partitioned_table_are_left_out(schema: Schema) -> None:
    assert schema.get("visit") is not None
    assert schema.get("visit_2025") is None


def test_odd_names_and_types(schema: Schema, database: Database) -> None:
    odd = schema.table('the "odd" täble 🛒')
    assert [column.type for column in odd.columns] == [
        "INT",
        "ENUM ('glad', 'it''s so-so')",
        "TEXT[]",
        "DECIMAL(10, 2)",
    ]
    assert database.count(odd.name) == 0
    line = next(line for line in schema.to_prompt().splitlines() if "odd" in line)
    assert line == '"the ""odd"" täble 🛒"("select", "group by", "Mixed", "café ☕")'
    columns = line[line.index("(") + 1 : -1]
    assert database.run(f"SELECT {columns} FROM {line[: line.index('(')]}").rows == []
    assert Schema.from_ddl(schema.to_ddl(), "postgres") == schema


def test_sample_values(schema: Schema, database: Database) -> None:
    gives_samples(schema, database)


def test_rows(database: Database) -> None:
    gives_rows(database)
    assert database.values("city", "kind") == ["village", "town"]


def test_more_rows_than_are_fetched_at_once(database: Database) -> None:
    result = database.run("SELECT i FROM generate_series(1, 3500) i", Limits(rows=3200))
    assert (len(result.rows), result.rows[-1], result.truncated) == (3200, (3200,), True)


def test_a_question_of_the_projects_dialect_is_run(database: Database, schema: Schema) -> None:
    result = run_query("SELECT COUNT(*) FROM city WHERE kind = 'town'", load_dialect("postgres"), database, schema)
    assert result.rows == [(10,)]


ATTACKS = [
    "DELETE FROM city",
    "DELETE FROM city RETURNING city_id",
    "WITH gone AS (DELETE FROM city RETURNING *) SELECT * FROM gone",
    "SELECT 1; DELETE FROM city",
    "SELECT 1; COMMIT; DELETE FROM city",
    "COMMIT; DELETE FROM city",
    "ROLLBACK; DELETE FROM city; COMMIT",
    "SELECT 1; SET TRANSACTION READ WRITE; DELETE FROM city; COMMIT",
    "BEGIN; DELETE FROM city; COMMIT",
    "SELECT spoil()",
    "SELECT set_config('transaction_read_only', 'off', false), spoil()",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT set_config('search_path', 'nowhere', false)",
    "SELECT set_config('role', 'admin', false)",
    "SELECT pg_advisory_lock(1)",
    "CREATE TABLE u AS SELECT 1 AS a",
    "CREATE TEMP TABLE city AS SELECT 1 AS city_id",
    "SELECT 1 AS a INTO u",
    "DROP TABLE city CASCADE",
    "TRUNCATE city",
    "ALTER TABLE city RENAME TO gone",
    "SELECT nextval('s')",
    "COPY city TO '/tmp/sqlora-attack'",
    "COPY city TO PROGRAM 'touch /tmp/sqlora-attack'",
    "COPY city FROM PROGRAM 'cat /etc/passwd'",
    "COPY city TO STDOUT",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM secret",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
    "SELECT query_to_xml('DELETE FROM city', true, true, '')",
    "DO $$ BEGIN DELETE FROM city; END $$",
    "CALL nothing()",
    "SET statement_timeout = 0",
    "RESET ALL",
    "LISTEN x",
    "PREPARE p AS DELETE FROM city",
    "EXECUTE p",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LOCK TABLE city",
    "VACUUM city",
    "EXPLAIN ANALYZE DELETE FROM city",
    "CREATE EXTENSION dblink",
    "SELECT * FROM city FOR UPDATE",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", ATTACKS)
def test_an_attack_past_the_check_is_harmless(sql: str, database: Database, schema: Schema) -> None:
    state = "SELECT current_setting('search_path'), current_user::text, current_setting('transaction_read_only'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
    before = database.run(state).rows
    try:
        shown = repr(database.run(sql, Limits(seconds=2)).rows)
    except SqloraError as error:
        shown = str(error)
    assert "correct horse" not in shown
    assert "root:" not in shown
    assert not Path("/tmp/sqlora-attack").exists()
    assert database.count("city") == 30
    assert database.run(state).rows == before
    assert database.schema() == schema


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_sleep(60)",
        "SELECT pg_sleep(0.001) FROM generate_series(1, 1000000)",
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 1000) c",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT set_config('statement_timeout', '0', true), pg_sleep(60)",
    ],
)
def test_no_query_runs_for_longer_than_its_limit(sql: str, database: Database) -> None:
    ends(sql, database)


def test_the_memory_limit_counts_what_is_fetched(database: Database) -> None:
    with pytest.raises(QueryLimitError, match="16 MiB"):
        database.run("SELECT repeat('x', 1000000) FROM generate_series(1, 100)", Limits(memory_mb=16))


def test_errors_are_one_line(database: Database) -> None:
    with pytest.raises(QueryError, match='column "nosuch" does not exist') as caught:
        database.run("SELECT nosuch FROM city")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("grant", ["SUPERUSER", "pg_read_server_files", "pg_execute_server_program"])
def test_no_query_is_run_as_a_role_that_reaches_the_servers_files(grant: str, server: Server) -> None:
    with psycopg.connect(server.url(database="shop"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE strong LOGIN {grant if grant == 'SUPERUSER' else ''}")
        if grant != "SUPERUSER":
            connection.execute(f"GRANT {grant} TO strong")
    try:
        with open_database(server.url("strong", "shop")) as opened:
            assert opened.schema().get("city") is not None  # looking at the schema is no query of anybody's
            with pytest.raises(DatabaseError, match="reach the server's files") as caught:
                opened.run("SELECT 1")
            assert "GRANT pg_read_all_data TO reader" in str(caught.value.next_step)
    finally:
        with psycopg.connect(server.url(database="shop"), autocommit=True) as connection:
            connection.execute("DROP ROLE strong")


def test_a_server_that_stops_is_an_error_and_no_hang() -> None:
    with postgres() as server, open_database(server.url(database="postgres")) as opened:
        opened.schema()
    with pytest.raises(DatabaseError, match="can't be read"):
        opened.schema()
