"""A real MariaDB server, asked as mysql://: its schema, its limits, and what hostile SQL can do there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from sqlora.errors import DatabaseError, QueryError, SqloraError
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import Database, Limits, open_database, run_query
from sqlora.sql.schema import Column, ForeignKey, Schema
from tests.database_servers import Server, mariadb, mariadb_server
from tests.unit.sql.execute.on_a_server import ends, gives_rows, gives_samples

pytest.importorskip("pymysql", reason="no MySQL driver")
pytestmark = pytest.mark.skipif(mariadb_server() is None, reason="no MariaDB server on this machine")

DATA = [
    "CREATE DATABASE shop",
    "USE shop",
    "CREATE TABLE region (region_id INT PRIMARY KEY, region_name VARCHAR(20) NOT NULL)",
    "CREATE TABLE city (city_id INT PRIMARY KEY, region_id INT, city_name VARCHAR(40) COMMENT 'as it calls itself', "
    "kind ENUM('town', 'village'), mayor_email VARCHAR(40), INDEX (city_name), "
    "FOREIGN KEY (region_id) REFERENCES region (region_id)) COMMENT = 'where we are'",
    "INSERT INTO region VALUES (1, 'north'), (2, 'south')",
    "INSERT INTO city SELECT seq, seq % 2 + 1, CONCAT('city ', seq), IF(seq % 3 = 0, 'town', 'village'), 'm@x.org' FROM seq_1_to_30",
    "CREATE VIEW big AS SELECT city_id, city_name FROM city WHERE kind = 'town'",
    'CREATE TABLE `the "odd" ``täble``` (`select` INT PRIMARY KEY, `group by` TINYINT(1), `Mixed` JSON, `café` DECIMAL(10, 2))',
    "CREATE TABLE gone (a INT)",
    "CREATE VIEW broken AS SELECT a FROM gone",
    "DROP TABLE gone",
    "CREATE FUNCTION spoil() RETURNS INT BEGIN DELETE FROM city; RETURN 1; END",
    "CREATE PROCEDURE ruin() BEGIN COMMIT; DELETE FROM city; COMMIT; END",
    "CREATE USER reader@'127.0.0.1'",
    "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, LOCK TABLES ON shop.* TO reader@'127.0.0.1'",  # more than it should have
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with mariadb() as started:
        execute(started, *DATA)
        yield started


def execute(server: Server, *statements: str) -> None:
    engine = sqlalchemy.create_engine(server.url().replace("mysql:", "mysql+pymysql:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    engine.dispose()


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    with open_database(server.url("reader", "shop")) as opened:
        yield opened


@pytest.fixture(scope="module")
def schema(database: Database) -> Schema:
    return database.schema()


def test_schema(schema: Schema) -> None:
    assert schema.dialect == "mysql"
    city = schema.table("city")
    assert city.comment == "where we are"
    assert city.columns[2] == Column("city_name", "VARCHAR(40)", "as it calls itself")
    assert city.columns[3].type == "ENUM('town', 'village')"
    assert city.primary_key == ("city_id",)
    assert city.foreign_keys == (ForeignKey(("region_id",), "region", ("region_id",)),)
    assert schema.table("region").columns[1] == Column("region_name", "VARCHAR(20)", nullable=False)
    assert [column.name for column in schema.table("big").columns] == ["city_id", "city_name"]


def test_a_view_that_is_broken_is_left_out(schema: Schema) -> None:
    assert schema.get("broken") is None


def test_odd_names(schema: Schema, database: Database) -> None:
    odd = schema.table('the "odd" `täble`')
    assert database.count(odd.name) == 0
    line = next(line for line in schema.to_prompt().splitlines() if "odd" in line)
    assert line == '`the "odd" ``täble```(`select`, `group by`, Mixed, `café`)'
    assert Schema.from_ddl(schema.to_ddl(), "mysql") == schema


def test_sample_values(schema: Schema, database: Database) -> None:
    gives_samples(schema, database)


def test_rows(database: Database) -> None:
    gives_rows(database)


def test_a_result_that_nobody_reads_to_its_end_is_let_go(database: Database) -> None:
    result = database.run("SELECT a.seq FROM seq_1_to_1000000 a, seq_1_to_1000000 b", Limits(seconds=20, rows=10))
    assert (len(result.rows), result.truncated) == (10, True)  # read to its end it would be over its time


def test_a_question_of_the_projects_dialect_is_run(database: Database, schema: Schema) -> None:
    result = run_query("SELECT COUNT(*) FROM city WHERE kind = 'town'", load_dialect("mysql"), database, schema)
    assert result.rows == [(10,)]


ATTACKS = [
    "DELETE FROM city",
    "SELECT 1; DELETE FROM city",
    "COMMIT; DELETE FROM city",
    "SELECT spoil()",
    "CALL ruin()",
    "/*! CALL ruin() */",
    "/*M! CALL ruin() */",
    "/*!50000 DELETE FROM city */",
    "SELECT 1 /*! , spoil() */",
    "WITH x AS (SELECT 1) DELETE FROM city",
    "CREATE TABLE u AS SELECT 1 AS a",
    "CREATE TEMPORARY TABLE city AS SELECT 1 AS city_id",
    "DROP TABLE city",
    "TRUNCATE city",
    "ALTER TABLE city RENAME TO gone",
    "SELECT * FROM city INTO OUTFILE '/tmp/sqlora-attack'",
    "SELECT 1 INTO DUMPFILE '/tmp/sqlora-attack'",
    "SELECT LOAD_FILE('/etc/passwd')",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE region",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE region",
    "SELECT 5 INTO @later",
    "SELECT @later := 5",
    "SELECT GET_LOCK('x', 0)",
    "SELECT User, Password FROM mysql.user",
    "SET SESSION max_statement_time = 0",
    "SET SESSION TRANSACTION READ WRITE",
    "LOCK TABLES city WRITE",
    "SELECT * FROM city FOR UPDATE",
    "HANDLER city OPEN",
    "PREPARE p FROM 'DELETE FROM city'",
    "EXECUTE IMMEDIATE 'DELETE FROM city'",
    "BEGIN NOT ATOMIC DELETE FROM city; COMMIT; END",
    "SHOW GRANTS",
    "KILL 1",
    "FLUSH TABLES",
    "SHUTDOWN",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", ATTACKS)
def test_an_attack_past_the_check_is_harmless(sql: str, database: Database, schema: Schema) -> None:
    try:
        shown = repr(database.run(sql, Limits(seconds=2)).rows)
    except SqloraError as error:
        shown = str(error)
    assert "root:" not in shown
    assert not Path("/tmp/sqlora-attack").exists()
    assert database.count("city") == 30
    assert database.run("SELECT @later, IS_USED_LOCK('x'), @@max_statement_time").rows == [(None, None, 10.0)]
    assert database.schema() == schema


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT SLEEP(60)",
        "SELECT BENCHMARK(1000000000000, MD5('x'))",
        "SELECT COUNT(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq * b.seq = 7",
        "SELECT a.seq FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
    ],
)
def test_no_query_runs_for_longer_than_its_limit(sql: str, database: Database) -> None:
    ends(sql, database)


def test_errors_are_one_line(database: Database) -> None:
    with pytest.raises(QueryError, match="Unknown column 'nosuch'") as caught:
        database.run("SELECT nosuch FROM city")
    assert "\n" not in caught.value.message


def test_no_query_is_run_as_a_role_that_reaches_the_servers_files(server: Server) -> None:
    execute(server, "CREATE USER strong@'127.0.0.1'", "GRANT FILE ON *.* TO strong@'127.0.0.1'",
            "GRANT SELECT ON shop.* TO strong@'127.0.0.1'")  # fmt: skip
    for user in ("strong", "root"):
        with open_database(server.url(user, "shop")) as opened:
            assert opened.schema().get("city") is not None
            with pytest.raises(DatabaseError, match="reach the server's files") as caught:
                opened.run("SELECT 1")
            assert "GRANT SELECT ON your_database" in str(caught.value.next_step)
