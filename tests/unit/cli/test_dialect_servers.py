"""sqlora dialect check --run on real servers: PostgreSQL's and MariaDB's own SQL, and another's translated for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from tests.database_servers import Server, mariadb, mariadb_server, postgres, postgres_bin
from tests.unit.cli.conftest import Run

DATA = [
    "CREATE TABLE city (city_id INT PRIMARY KEY, name VARCHAR(20), size INT, founded DATE)",
    "INSERT INTO city VALUES (1, 'Leeds', 500, '1207-01-01'), (2, 'York', NULL, '0071-01-01'), (3, 'Hull', 260, '1299-04-01')",
]
POSTGRES = """
SELECT name, COALESCE(size, 0)::numeric / 7 FROM city ORDER BY size DESC NULLS LAST;
SELECT STRING_AGG(name, ', ' ORDER BY name), COUNT(*) FILTER (WHERE size > 300) FROM city;
SELECT name FROM city WHERE name ILIKE 'l%' OR founded + INTERVAL '1 year' > DATE '1299-12-31' LIMIT 2 OFFSET 0;
SELECT DISTINCT ON (size) name FROM city ORDER BY size, name;
"""
MARIADB = """
SELECT `name`, IFNULL(size, 0) DIV 7 FROM city ORDER BY size DESC;
SELECT GROUP_CONCAT(name ORDER BY name SEPARATOR ', '), SUM(IF(size > 300, 1, 0)) FROM city;
SELECT name FROM city WHERE name LIKE 'l%' OR DATE_ADD(founded, INTERVAL 1 YEAR) > '1299-12-31' LIMIT 0, 2;
"""
# For any of them, in Snowflake's SQL.
SNOWFLAKE = (
    "SELECT TOP 2 NVL(size, 0), UPPER(name) FROM city ORDER BY name DESC; SELECT IFF(size > 300, 'l', 's') FROM city"
)


def fill(url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in DATA:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="no PostgreSQL driver")
    if postgres_bin() is None:
        pytest.skip("no PostgreSQL server on this machine")
    with postgres() as server:
        fill(server.url(database="postgres").replace("postgresql:", "postgresql+psycopg:"))
        engine = sqlalchemy.create_engine(server.url(database="postgres").replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE ROLE reader LOGIN")
            connection.exec_driver_sql("GRANT SELECT ON city TO reader")
        engine.dispose()
        yield server.url("reader", "postgres")


@pytest.fixture(scope="module")
def mysql() -> Iterator[str]:
    pytest.importorskip("pymysql", reason="no MySQL driver")
    if mariadb_server() is None:
        pytest.skip("no MariaDB server on this machine")
    with mariadb() as server:
        prepare(server)
        yield server.url("reader", "shop")


def prepare(server: Server) -> None:
    engine = sqlalchemy.create_engine(server.url().replace("mysql:", "mysql+pymysql:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE DATABASE shop")
        connection.exec_driver_sql("CREATE USER reader@'127.0.0.1'")
        connection.exec_driver_sql("GRANT SELECT ON shop.* TO reader@'127.0.0.1'")
    engine.dispose()
    fill(server.url(database="shop").replace("mysql:", "mysql+pymysql:"))


@pytest.mark.parametrize(
    ("dialect", "sql", "through"), [("postgres", POSTGRES, "DuckDB"), ("snowflake", SNOWFLAKE, "PostgreSQL")]
)
def test_postgresql(run: Run, tmp_path: Path, postgresql: str, dialect: str, sql: str, through: str) -> None:
    examine(run, tmp_path, postgresql, dialect, sql, through)


@pytest.mark.parametrize(
    ("dialect", "sql", "through"), [("mysql", MARIADB, "DuckDB"), ("snowflake", SNOWFLAKE, "MySQL")]
)
def test_mariadb(run: Run, tmp_path: Path, mysql: str, dialect: str, sql: str, through: str) -> None:
    examine(run, tmp_path, mysql, dialect, sql, through)


def examine(run: Run, folder: Path, url: str, dialect: str, sql: str, through: str) -> None:
    """All queries survive, and what came back gives the rows of what was written."""
    file = folder / "q.sql"
    file.write_text(sql)
    count = sum(bool(statement.strip()) for statement in sql.split(";"))
    found = run("dialect", "check", str(file), "--dialect", dialect, "--database", url)
    assert found.exit_code == 0, found.stdout + found.stderr
    assert f"through {through}: {count} survive" in found.stdout
    assert f"{count} of {count} queries gave the same rows" in found.stdout
    refused = run("dialect", "check", str(file), "--dialect", dialect, "--database", url.replace("reader", "nobody"))
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
