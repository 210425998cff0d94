"""schema-only: a schema file is enough to ask about; every query runs, and nothing in it comes from anybody's data."""

from __future__ import annotations

import datetime
import json
from itertools import islice
from pathlib import Path

import pytest

from sqlora.errors import ConfigError, SchemaError
from sqlora.prepare.check import Checker
from sqlora.prepare.examples import Candidate, Example
from sqlora.prepare.sources.invented import in_types_of, invent_database, quarter
from sqlora.prepare.sources.invented import rows as rows_module
from sqlora.prepare.sources.invented.rows import FACTS, THINGS, invent_rows
from sqlora.prepare.sources.schema_only import read_schema_file, read_schema_only
from sqlora.prepare.sources.synthesize.profile import profile_rows, profile_tables
from sqlora.project import Project, load_project
from sqlora.settings import SourceSection
from sqlora.sql.execute import open_database
from sqlora.sql.schema import Column, ForeignKey, Schema, Table

SNOWFLAKE = """
CREATE TABLE sales.customers (id NUMBER(38,0) PRIMARY KEY, full_name VARCHAR, email VARCHAR, active BOOLEAN, extra VARIANT);
CREATE TABLE sales.orders (id NUMBER(38,0) PRIMARY KEY, customer_id NUMBER NOT NULL REFERENCES sales.customers (id),
    total NUMBER(10,2), status VARCHAR, ordered_on DATE NOT NULL);
CREATE TABLE "line items" ("order" NUMBER REFERENCES sales.orders (id), "no 🏆" INTEGER, "it's" FLOAT, note TEXT);
"""
DAY = datetime.date(2026, 3, 4)


def _project(folder: Path, dialect: str, shop: Path) -> Project:
    named = f"{shop}/dialect.toml" if dialect == "house" else dialect
    (folder / "sqlora.toml").write_text(f'[project]\ndialect = "{named}"\n')
    return load_project(folder)


@pytest.mark.parametrize("dialect", ["house", "sqlite", "postgres", "tsql"])
def test_what_is_drawn_runs_in_every_dialect(tmp_path: Path, shop: Path, dialect: str) -> None:
    (tmp_path / "schema.sql").write_text(SNOWFLAKE)
    project = _project(tmp_path, dialect, shop)
    source = SourceSection(kind="schema-only", path=tmp_path / "schema.sql", written_in="snowflake", split="train")
    found = [each for each in islice(read_schema_only(source, project, "so"), 30) if isinstance(each, Candidate)]
    first = found[0]
    assert len(found) == 30
    assert first.example.split == "train"
    assert (first.needs_rows, first.run, first.written_in) == (False, True, None)
    speaks = project.dialect()
    schema = Schema.from_ddl(str(first.ddl), speaks.base)
    assert [table.name for table in schema.tables] == ["customers", "orders", "line items"]
    with open_database(str(first.database)) as database:
        checker = Checker(speaks, schema, database)
        checked = [checker.check(Candidate(each.example, normal=True)) for each in found]
    assert [str(each) for each in checked if not isinstance(each, Example)] == []


@pytest.mark.parametrize("dialect", ["postgres", "snowflake", "oracle"])
def test_names_that_have_a_case_are_quoted(tmp_path: Path, shop: Path, dialect: str) -> None:
    ddl = 'CREATE TABLE "Customer" ("Id" INT PRIMARY KEY, "fullName" VARCHAR(20), city VARCHAR(20), "Total" INT)'
    (tmp_path / "schema.sql").write_text(ddl)
    source = SourceSection(kind="schema-only", path=tmp_path / "schema.sql")
    project = _project(tmp_path, dialect, shop)
    found = [each for each in islice(read_schema_only(source, project, "so"), 20) if isinstance(each, Candidate)]
    with Checker(project.dialect()) as checker:
        checked = [checker.check(each) for each in found]
    assert [str(each) for each in checked if not isinstance(each, Example)] == []


def test_the_projects_own_schema_is_taken_without_its_rows(tmp_path: Path, shop: Path, schema: Schema) -> None:
    (tmp_path / "sqlora.toml").write_text(f'[project]\ndialect = "{shop}/dialect.toml"\n')
    project = load_project(tmp_path)
    [found] = islice(read_schema_only(SourceSection(kind="schema-only"), project, "so", schema), 1)
    assert isinstance(found, Candidate)
    assert (found.ddl, found.database) == (None, None)  # it is checked against the project's
    with open_database(f"duckdb:///{next((tmp_path / '.sqlora' / 'invented').glob('*.duckdb'))}") as database:
        assert "Leeds" not in database.values("customer", "city")
    with pytest.raises(ConfigError, match="needs a schema"):
        next(iter(read_schema_only(SourceSection(kind="schema-only"), project, "so")))


def test_rows_fit_their_keys_and_types() -> None:
    schema = in_types_of(Schema.from_ddl(SNOWFLAKE, "snowflake"), "duckdb")
    rows = invent_rows(schema, DAY)
    assert rows == invent_rows(schema, DAY)
    assert rows != invent_rows(schema, DAY, seed=1)
    customers, orders, lines = rows["sales.customers"], rows["sales.orders"], rows["line items"]
    assert (len(customers), len(orders), len(lines)) == (THINGS, FACTS, FACTS)
    assert {row["customer_id"] for row in orders} <= {row["id"] for row in customers}
    assert {row["order"] for row in lines} - {row["id"] for row in orders} == {None}
    assert {row["status"] for row in orders} == {"open", "closed", "pending", "cancelled", None}
    assert all(row["ordered_on"] and DAY - datetime.timedelta(days=1100) < row["ordered_on"] <= DAY for row in orders)
    assert all(row["email"] is None and row["extra"] is None for row in customers)
    assert all(row["full_name"] is None or " " in str(row["full_name"]) for row in customers)


TYPES = {
    "mysql": "id INT(11) PRIMARY KEY, a TINYINT(1), b DOUBLE(10,2), c FLOAT(7,4), d BIGINT(20) UNSIGNED, e DECIMAL(10,2) UNSIGNED, "
    "f MEDIUMINT(8), g LONGTEXT, h YEAR(4), i SMALLINT, j TIMESTAMP, k DATETIME(6), l ENUM('x', 'y'), m BIT(1), n DECIMAL(2,2)",
    "tsql": "id INT PRIMARY KEY, a NVARCHAR(MAX), b MONEY, c DATETIME2(7), d BIT, e UNIQUEIDENTIFIER, f VARBINARY(MAX), g DATETIMEOFFSET",
    "redshift": "id INT PRIMARY KEY, a VARCHAR(MAX), b SUPER, c INT8",
    "oracle": "id NUMBER PRIMARY KEY, a NUMBER(*,2), b VARCHAR2(20 CHAR), c CLOB, d INTERVAL YEAR TO MONTH, e FLOAT(126)",
    "postgres": "id SERIAL PRIMARY KEY, a MONEY, b TEXT[], c INTERVAL, d BYTEA, e JSONB, f TIMESTAMPTZ, g TIME, h INT[], i CITEXT",
    "snowflake": "id NUMBER PRIMARY KEY, a NUMBER(3,3), b VARIANT, c ARRAY, d TIMESTAMP_TZ(9), e BINARY, f VARCHAR(16777216)",
    "bigquery": "id INT64, a BIGNUMERIC(40,2), b ARRAY<STRING>, c STRUCT<a INT64>, d STRING(10), e DATETIME",
    "clickhouse": "id UInt64, a Nullable(Int32), b LowCardinality(String), c Array(String), d DateTime64(3), e Enum8('x' = 1, 'y' = 2)",
    "duckdb": "id INTEGER PRIMARY KEY, a ENUM('x', 'y'), b INTEGER[], c MAP(VARCHAR, INTEGER), d STRUCT(x INTEGER), e HUGEINT, f BLOB",
}


@pytest.mark.parametrize("dialect", TYPES)
def test_every_ordinary_type_is_stored_as_what_it_is_asked_about(tmp_path: Path, shop: Path, dialect: str) -> None:
    (tmp_path / "schema.sql").write_text(f"CREATE TABLE t ({TYPES[dialect]}, name VARCHAR(9))")
    project = _project(tmp_path, dialect, shop)
    source = SourceSection(kind="schema-only", path=tmp_path / "schema.sql")
    found = [each for each in islice(read_schema_only(source, project, "so"), 60) if isinstance(each, Candidate)]
    speaks = project.dialect()
    with open_database(str(found[0].database)) as database:
        checker = Checker(speaks, Schema.from_ddl(str(found[0].ddl), speaks.base), database)
        checked = [checker.check(Candidate(each.example, normal=True)) for each in found]
    assert [str(each) for each in checked if not isinstance(each, Example)] == []


def test_keys_of_few_digits_and_of_days_are_enough_for_all_rows(tmp_path: Path) -> None:
    schema = Schema.from_ddl(
        "CREATE TABLE a (id DECIMAL(2) PRIMARY KEY, salary SMALLINT); CREATE TABLE day (day DATE PRIMARY KEY, "
        "a_id DECIMAL(2) REFERENCES a (id)); CREATE TABLE line (id TINYINT PRIMARY KEY, a_id DECIMAL(2) REFERENCES a (id))"
    )
    file = invent_database(schema, invent_rows(schema, DAY), tmp_path, "duckdb", DAY)
    with open_database(f"duckdb:///{file}") as database:
        counts = [database.run(f"SELECT COUNT(DISTINCT {key}) FROM {table}").rows[0][0] for table, key in (("day", "day"), ("line", "id"))]
        assert counts == [FACTS, FACTS]
        assert database.run("SELECT MAX(salary) < 32768 FROM a").rows == [(True,)]


def test_a_schema_that_no_database_can_have_is_refused(tmp_path: Path) -> None:
    schema = Schema.from_ddl('CREATE TABLE t (a INT, "A" INT)', "postgres")
    with pytest.raises(SchemaError, match=r"no duckdb database can be made of the schema: .*A"):
        invent_database(schema, invent_rows(schema, DAY), tmp_path, "duckdb", DAY)
    assert list(tmp_path.iterdir()) == []


def test_values_that_a_type_lists_are_taken() -> None:
    schema = in_types_of(Schema.from_ddl("CREATE TABLE t (size ENUM('S', 'M'), x INT)", "mysql"), "duckdb")
    assert {row["size"] for row in invent_rows(schema, DAY)["t"]} == {"S", "M", None}


def test_keys_that_go_around_in_a_circle_and_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema.from_ddl(
        "CREATE TABLE a (id INT PRIMARY KEY, b_id INT REFERENCES b (id), parent INT REFERENCES a (id));"
        "CREATE TABLE b (id INT PRIMARY KEY, a_id INT REFERENCES a (id), c_id INT REFERENCES c (id));"
    )
    rows = invent_rows(schema, DAY)
    assert {row["b_id"] for row in rows["a"]} - {row["id"] for row in rows["b"]} <= {None}
    monkeypatch.setattr(rows_module, "FACTS", 1)
    keys = [(ForeignKey(("next",), f"t{number + 1}", ("id",)),) for number in range(1_500)]
    columns = (Column("id", "INT"), Column("next", "INT"))
    chain = Schema(tuple(Table(f"t{number}", columns, ("id",), key) for number, key in enumerate(keys)))
    assert len(invent_rows(chain, DAY)) == 1_500


def test_the_database_is_made_once_a_quarter(tmp_path: Path) -> None:
    schema = Schema.from_ddl("CREATE TABLE t (x INT, y TEXT)")
    day = quarter(DAY)
    assert day == datetime.date(2026, 1, 1)
    rows = invent_rows(schema, day)
    first = invent_database(schema, rows, tmp_path, "duckdb", day)
    before = first.stat().st_mtime_ns
    assert invent_database(schema, rows, tmp_path, "duckdb", day) == first
    assert first.stat().st_mtime_ns == before
    assert invent_database(schema, rows, tmp_path, "duckdb", datetime.date(2026, 4, 1)) != first
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_rows_at_hand_are_what_the_database_would_say(tmp_path: Path, engine: str) -> None:
    schema = in_types_of(Schema.from_ddl(SNOWFLAKE.replace("sales.", ""), "snowflake"), engine)
    rows = invent_rows(schema, DAY)
    with open_database(f"{engine}:///{invent_database(schema, rows, tmp_path, engine, DAY)}") as database:
        read = profile_tables(schema, database)
    for table, columns in profile_rows(schema, rows).items():
        for name, profile in columns.items():
            told = read[table][name]
            assert (profile.kind, profile.distinct, profile.missing, profile.whole) == (told.kind, told.distinct, told.missing, told.whole)
            if profile.kind not in ("key", "number"):  # 1 is 1.0 to some
                assert [str(value) for value in profile.values] == [str(value) for value in told.values]


def test_a_manifest_of_dbt(tmp_path: Path) -> None:
    column = {"name": "store_id", "data_type": "integer", "description": ""}
    node = {"resource_type": "model", "name": "stores", "schema": "main", "columns": {"store_id": column}, "config": {}}
    manifest = {"metadata": {"adapter_type": "duckdb"}, "nodes": {"model.x.stores": node}, "sources": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert read_schema_file(tmp_path / "manifest.json", "duckdb").names == ("stores",)


@pytest.mark.parametrize("content", [b"", b"SELECT 1", b"CREATE TABLE t (", b"\xff\xfe", b"\0" * 9, b"CREATE TABLE t (x INT" + b"(" * 9_999, None])
def test_a_file_without_a_schema_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "schema.sql"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"schema\.sql"):
        read_schema_file(path, "duckdb")
