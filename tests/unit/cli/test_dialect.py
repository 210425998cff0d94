"""sqlora dialect: what it prints, what it refuses, and what it does with files that nobody would write."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sqlora.cli.app import app
from sqlora.cli.dialect_file import new_dialect
from sqlora.cli.dialect_view import SAMPLES, known_dialects
from sqlora.cli.underline import underlined
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.spec import DialectSpec
from tests.unit.cli.conftest import Run, write_project

RETAIL = Path(__file__).parents[3] / "examples" / "retail"
LARKQL = str(RETAIL / "dialect.toml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, no project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes, name: str = "q.sql") -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sqlora.cli.app import app\n"
        "try: app.main(['dialect', 'check', '--help'], prog_name='sqlora')\n"
        "except SystemExit: pass\n"
        "print([name for name in ('sqlglot', 'duckdb', 'rich', 'pydantic') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


# ── list and show ────────────────────────────────────────────────────────────────────────────────────────────


def test_list_has_sqlglots_and_says_where_they_run(run: Run) -> None:
    listed = {each["name"]: each for each in json.loads(run("dialect", "list", "--json").stdout)}
    assert len([each for each in listed.values() if each["kind"] == "sqlglot"]) >= 30
    assert listed["sqlite"]["runs"] == "SQLite"
    assert listed["snowflake"]["runs"] == "DuckDB, translated"
    table = run("dialect", "list").stdout
    assert "Microsoft SQL Server" in table


def test_list_has_the_projects_own(run: Run, folder: Path) -> None:
    write((RETAIL / "dialect.toml").read_bytes(), "house.toml")
    write('[project]\ndialect = "house.toml"\n', "sqlora.toml")
    assert json.loads(run("dialect", "list", "--json").stdout)[0] | {"description": ""} == {
        "name": "larkql", "kind": "project", "base": "duckdb", "runs": "DuckDB", "description": "",
    }  # fmt: skip
    write("name = 3", "house.toml")
    broken = run("dialect", "list")
    assert broken.exit_code == 0
    assert "house.toml has a problem" in broken.stderr


def test_every_dialect_of_the_list_can_be_shown(run: Run) -> None:
    for each in known_dialects(None):
        shown = run("dialect", "show", each["name"], "--json")
        assert shown.exit_code == 0, each["name"]
        assert set(json.loads(shown.stdout)["samples"]) == set(SAMPLES)


def test_show_says_how_things_are_written(run: Run) -> None:
    shown = run("dialect", "show", "tsql").stdout
    for words in ("[unit price]", "SELECT TOP 5 name", "OFFSET 10 ROWS FETCH FIRST 5 ROWS ONLY", "DATEDIFF"):
        assert words in shown
    house = run("dialect", "show", LARKQL).stdout
    for words in ("larkql", "TAKE", "IFMISSING(a, b...)", "COALESCE(a, b...)", "[unit price]", "SELECT name FROM item"):
        assert words in house


def test_show_covers_every_field_of_a_spec(run: Run) -> None:
    """A key that a spec has and `show` leaves out would be a secret."""
    shown = json.loads(run("dialect", "show", LARKQL, "--json").stdout)
    spec = load_dialect("dialect.toml", RETAIL).spec
    assert spec is not None
    kept = {name for name in DialectSpec.model_fields if getattr(spec, name) is not None}
    assert kept <= set(shown)


# ── new ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("base", ["snowflake", "tsql", "mysql", "bigquery", "oracle", "duckdb", "clickhouse", "spark"])
def test_a_new_dialect_is_its_base_until_it_is_changed(run: Run, base: str) -> None:
    made = run("dialect", "new", "--from", base, "acme.toml")
    assert made.exit_code == 0, made.stderr
    assert "next: edit acme.toml" in made.stderr
    dialect, plain = load_dialect("acme.toml", Path()), load_dialect(base)
    assert (dialect.name, dialect.base) == ("acme", base)
    query = plain.generate(load_dialect("duckdb").parse("SELECT SUM(a) AS \"b c\" FROM t WHERE d = 'x' ORDER BY 1"))
    assert dialect.normalize(query) == plain.normalize(query)


@pytest.mark.parametrize("base", ["snowflake", "tsql", "mysql", "duckdb"])
def test_every_example_in_the_new_file_is_a_line_that_works(base: str) -> None:
    text = new_dialect(load_dialect(base), "acme")
    uncommented = re.sub(r"(?m)^#: ", "", text)
    assert uncommented != text
    spec = DialectSpec.from_text(uncommented)
    assert spec.functions["RATIO(a, b)"] == "a / NULLIF(b, 0)"
    Dialect("acme", spec)
    shown = set(re.findall(r"(?m)^\[(\w+)\]|^(?:#: )?(\w+) = ", uncommented))
    names = {name for pair in shown for name in pair if name} - {"quoting", "identifiers", "strings", "case"}
    sections = {"identifier_quotes", "string_quote", "name_case"}  # the three keys of [quoting]
    assert set(DialectSpec.model_fields) - sections <= names


def test_a_new_dialect_from_a_house_dialect_is_a_copy(run: Run) -> None:
    assert run("dialect", "new", "--from", LARKQL, "--name", "mine").exit_code == 0
    mine, larkql = load_dialect("dialect.toml", Path()).spec, load_dialect("dialect.toml", RETAIL).spec
    assert mine is not None
    assert larkql is not None
    assert mine == larkql.model_copy(update={"name": "mine"})


def test_new_overwrites_nothing_and_says_what_is_wrong(run: Run) -> None:
    assert run("dialect", "new", "--from", "duckdb").exit_code == 0
    again = run("dialect", "new", "--from", "duckdb")
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    nowhere = run("dialect", "new", "--from", "duckdb", "no/such/folder.toml")
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (1, True)
    odd = run("dialect", "new", "--from", "duckdb", "--name", "a b", "odd.toml")
    assert (odd.exit_code, "is not a name" in odd.stderr) == (1, True)
    assert not Path("odd.toml").exists()
    assert DialectSpec.from_text(run("dialect", "new", "--from", "duckdb", "-").stdout).name == "house"


# ── check ────────────────────────────────────────────────────────────────────────────────────────────────────

MIXED = "-- ours;\nSELECT a FROM t;\nSELECT a,\n\tST_AREA(b) -- ;\nFROM t;\nSELECT DATEADD(day, 1, d) FROM t"


def test_check_underlines_what_does_not_survive(run: Run) -> None:
    found = run("dialect", "check", write(MIXED), "--dialect", "snowflake")
    assert found.exit_code == 1
    assert found.stdout.splitlines()[:3] == [
        "q.sql:4:2: ST_AREA(): DuckDB has no function ST_AREA",
        "  4 │     ST_AREA(b) -- ;",
        "    │     ^^^^^^^",
    ]
    assert "3 statements, snowflake through DuckDB: 2 survive (1 in another form), 1 does not" in found.stdout
    assert "survives: DATEADD() 1" in found.stdout
    assert "\x1b" not in found.stdout


def test_check_is_content_with_what_survives(run: Run) -> None:
    found = run("dialect", "check", write("SELECT TOTAL(a) FROM t TAKE 5;"), "--dialect", LARKQL)
    assert found.exit_code == 0
    assert found.stdout == "survives: LIMIT 1, TOTAL() 1\n1 statement, larkql through DuckDB: 1 survives\n"


def test_what_a_house_function_stands_for_is_not_counted(run: Run) -> None:
    found = run("dialect", "check", write("SELECT FISCAL_YEAR(d), TALLY() FROM t ORDER BY 1"), "--dialect", LARKQL)
    assert found.stdout.splitlines()[0] == "survives: FISCAL_YEAR() 1, ORDER BY 1, TALLY() 1"


@pytest.mark.parametrize("name", ["ledgerql", "oracle-like", "pipe-like", "tsql-like"])
def test_what_a_shipped_dialect_shows_survives(run: Run, name: str) -> None:
    samples = json.loads(run("dialect", "show", name, "--json").stdout)["samples"]
    file = write(";\n".join(text for text in samples.values() if text))
    found = run("dialect", "check", file, "--dialect", name)
    assert found.exit_code == 0, found.stdout


def test_a_new_dialect_from_a_shipped_one_keeps_its_comments(run: Run) -> None:
    assert run("dialect", "new", "--from", "tsql-like", "acme.toml").exit_code == 0
    acme, tsql = load_dialect("acme.toml", Path()).spec, load_dialect("tsql-like").spec
    assert acme is not None
    assert tsql is not None
    assert acme == tsql.model_copy(update={"name": "acme"})
    assert "#" in Path("acme.toml").read_text()


def test_check_as_json_is_one_document(run: Run) -> None:
    found = run("dialect", "check", write(MIXED), write("SELECT 1", "r.sql"), "--dialect", "snowflake", "--json")
    assert found.exit_code == 1
    report = json.loads(found.stdout)
    assert (report["dialect"], report["through"]) == ("snowflake", "duckdb")
    assert [(s["file"], s["line"], s["outcome"]) for s in report["statements"]] == [
        ("q.sql", 2, "same"), ("q.sql", 3, "lost"), ("q.sql", 6, "rewritten"), ("r.sql", 1, "same"),
    ]  # fmt: skip
    [loss] = report["statements"][1]["losses"]
    assert (loss["line"], loss["column"], loss["token"], loss["kind"]) == (4, 2, "ST_AREA", "function")
    assert report["counts"] == {"same": 2, "rewritten": 1, "lost": 1}
    assert {"name": "ST_AREA()", "statements": 1, "lost": 1, "why": "DuckDB has no function ST_AREA"} in report[
        "constructs"
    ]


def test_check_reads_standard_input(run: Run) -> None:
    found = run("dialect", "check", "-", "--dialect", "duckdb", stdin="SELECT 1; SELECT nosuch(1)")
    assert found.exit_code == 1
    assert "standard input:1:18: NOSUCH(): DuckDB has no function NOSUCH" in found.stdout


def test_many_places_of_one_construct_are_counted(run: Run) -> None:
    file = write("SELECT nosuch(a) FROM t;\n" * 50)
    found = run("dialect", "check", file, "--dialect", "duckdb")
    assert found.stdout.count("^^^^^^") == 3
    assert "… and 47 more places like these (--all shows each)" in found.stdout
    assert re.search(r"NOSUCH\(\)\s+50\s+50\s+DuckDB has no function", found.stdout)
    assert run("dialect", "check", file, "--dialect", "duckdb", "--all").stdout.count("^^^^^^") == 50


def test_each_mistake_is_shown_though_all_are_syntax(run: Run) -> None:
    statements = ["a FROM t GROUP", "a FROM", "(a FROM t", "a FROM t WHERE", "CASE a FROM t", "a FROM t ORDER", "'abc"]
    file = write(";\n".join(f"SELECT {statement}" for statement in ["a FROM t GROUP"] * 3 + statements))
    found = run("dialect", "check", file, "--dialect", "duckdb")
    assert found.stdout.count(": syntax: ") == 9
    assert "… and 1 more place like these (--all shows each)" in found.stdout
    table = re.findall(r"syntax +(\d+) +10 +(\S.*?) *\n", found.stdout)
    assert len(table) == 7
    assert table[0] == ("4", 'GROUP is a reserved word; in duckdb, write "GROUP"')
    assert ("1", "Expected table name but got the end") in table


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "q.sql has no statement"),
        (b" ;\n;-- x\n", "q.sql has no statement"),
        (b"\x7fELF\x02\x00\x00\xff\xfe", "q.sql, line 1: "),
        (b"SELECT 1;\nSELECT 'caf\xe9';", "q.sql, line 2: the byte 0xe9 is not UTF-8 text"),
        (b"\xef\xbb\xbfSELECT 1;\r\nSELECT nosuch(1);\r\n", "q.sql:2:8: NOSUCH()"),
        ("SELECT 1;\r\nSELECT nosuch(1);\r\n".encode("utf-16"), "q.sql:2:8: NOSUCH()"),
        (b"SELECT 'a;b';\nSELECT \"c;d\" FROM t;\nSELECT 'oh;\nSELECT nosuch(1);", "q.sql:3:8: syntax: the closing '"),
        ("SELECT 'Ünïcödé 日本語', nosuch(1)".encode(), "q.sql:1:23: NOSUCH()"),
        (b"SELECT '\x1b[2J', nosuch(1)", "SELECT '?[2J', nosuch(1)"),
        (b"{\"question\": \"how many\", \"sql\": \"SELECT 1\"}\n", "q.sql:1:"),
        (b"SELECT " + b"(" * 2000, "q.sql:1:"),
        (b"SELECT " + b"1 + " * 2000 + b"1", "1 statement, duckdb"),
    ],
)  # fmt: skip
def test_odd_files_end_in_words(run: Run, data: bytes, words: str) -> None:
    found = run("dialect", "check", write(data), "--dialect", "duckdb")
    assert found.exception is None or isinstance(found.exception, SystemExit)
    assert words in found.stdout + found.stderr
    as_json = run("dialect", "check", "q.sql", "--dialect", "duckdb", "--json")
    assert json.loads(as_json.stdout)["dialect"] == "duckdb"
    assert as_json.exit_code == found.exit_code


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked(run: Run, folder: Path) -> None:
    found = run("dialect", "check", "none.sql", str(folder), write("SELECT 1"), "--dialect", "duckdb")
    assert found.exit_code == 1
    assert "none.sql cannot be read: No such file" in found.stdout
    assert "is a folder" in found.stdout
    assert "1 statement in 3 files" in found.stdout


def test_a_file_with_a_name_that_is_no_text(run: Run) -> None:
    name = os.fsdecode(b"\xff\x1b.sql")
    Path(name).write_text("SELECT nosuch(1)")
    found = run("dialect", "check", name, "none\udcff.sql", "--dialect", "duckdb")
    assert " ?.sql:1:8: NOSUCH()" in found.stdout
    assert "none .sql cannot be read" in found.stdout
    as_json = run("dialect", "check", name, "none\udcff.sql", "--dialect", "duckdb", "--json")
    assert [each["outcome"] for each in json.loads(as_json.stdout)["statements"]] == ["lost", "unreadable"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "q.sql"], 1, "which dialect?"),
        (["check", "q.sql", "--dialect", "snowfake"], 1, "Did you mean snowflake?"),
        (["check", "q.sql", "--dialect", "sqlserver"], 1, "It is called tsql here."),
        (["check", "q.sql", "--dialect", "none.toml"], 1, "no dialect file"),
        (["check", "q.sql", "--dialect", "duckdb", "--run"], 1, "run where?"),
        (["check", "q.sql", "--dialect", "duckdb", "--database", "none.duckdb"], 1, "no database file"),
        (["check", "q.sql", "--dialect", "duckdb", "--through", "oracle"], 2, "'oracle' is not one of"),
        (["check", "q.sql", "--dialect", " "], 2, "the name is empty"),
        (["show", "ledger"], 1, "Did you mean ledgerql?"),
        (["check"], 2, "Missing argument"),
        (["convert", "q.sql", "--from", "duckdb", "--to", "postgresql"], 1, "It is called postgres here."),
        (["convert", "q.sql", "--to", "duckdb"], 1, "which dialect?"),
        (["convert", "none.sql", "--from", "duckdb", "--to", "mysql"], 1, "none.sql cannot be read"),
        (["show", "none.toml"], 1, "Correct NAME, or write the file: sqlora dialect new --from duckdb none.toml"),
        (["show", "duckdbb"], 1, "Did you mean duckdb?"),
        (["new", "--from", "snowfake"], 1, "Did you mean snowflake?"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: list[str], code: int, words: str) -> None:
    write("SELECT 1")
    found = run("dialect", *arguments)
    assert found.exit_code == code
    assert words in found.stderr


# ── check --run ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(folder: Path) -> Path:
    """A project with a database and no model."""
    return write_project(folder, folder / "no-model")


def test_run_compares_the_rows(run: Run, shop: Path) -> None:
    file = write(
        "SELECT city FROM store ORDER BY city; SELECT nosuch FROM store;\n"
        "SELECT sold_on + INTERVAL 1 DAY FROM sale; CREATE TABLE x (a INT)"
    )
    found = run("dialect", "check", file, "--run", "--dialect", "snowflake")
    assert found.exit_code == 1
    assert "q.sql:1:46: column" in found.stdout
    assert "2 of 3 queries gave the same rows" in found.stdout
    assert "nosuch" in found.stdout


def test_run_on_a_database_by_its_url(run: Run, shop: Path) -> None:
    file = write("SELECT COUNT(*) FROM store;")
    found = run("dialect", "check", file, "--database", "duckdb:///shop.duckdb", "--dialect", LARKQL)
    assert "COUNT is written TALLY() or TALLY(x)" in found.stdout
    found = run("dialect", "check", write("SELECT TALLY() FROM store"), "--database", "shop.duckdb", "--dialect", LARKQL)
    assert "1 of 1 query gave the same rows" in found.stdout
    assert found.exit_code == 0


# ── convert ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_convert_keeps_what_stands_between_the_statements(run: Run) -> None:
    text = "-- Report; of stores\n\nSELECT TOP 5 [a b] FROM t;\n\n/* two; */\nSELECT ISNULL(a, 0) FROM t -- inside\n;\n-- end\n"
    found = run("dialect", "convert", write(text), "--from", "tsql", "--to", "postgres")
    assert found.exit_code == 0
    assert found.stdout == (
        '-- Report; of stores\n\nSELECT "a b" FROM t LIMIT 5;\n\n/* two; */\nSELECT COALESCE(a, 0) FROM t;\n-- end\n'
    )
    assert found.stderr == ""


def test_convert_into_and_out_of_a_house_dialect(run: Run) -> None:
    there = run("dialect", "convert", write("SELECT SUM(a) FROM t LIMIT 5;"), "--from", "duckdb", "--to", LARKQL)
    assert there.stdout == "SELECT TOTAL(a) FROM t TAKE 5;\n"
    back = run("dialect", "convert", "-", "--from", LARKQL, "--to", "tsql", stdin=there.stdout)
    assert back.stdout == "SELECT TOP 5 SUM(a) FROM t;\n"
    pretty = run("dialect", "convert", "q.sql", "--from", "duckdb", "--to", "mysql", "--pretty")
    assert pretty.stdout == "SELECT\n  SUM(a)\nFROM t\nLIMIT 5;\n"


def test_convert_does_not_hide_what_it_cannot_say(run: Run) -> None:
    text = "SELECT 1;\nSELECT RATIO(1, 2) FROM t;\nSELEC x;\nSELECT (;"
    found = run("dialect", "convert", write(text), "--from", "duckdb", "--to", LARKQL)
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[0] == "SELECT 1;"
    assert lines[1].startswith("-- not converted: ")
    assert lines[2] == "-- SELECT RATIO(1, 2) FROM t"
    assert "-- SELEC x" in lines
    assert "q.sql:3:1: the statement: this is no statement" in found.stderr
    assert "3 statements did not come over whole" in found.stderr


def test_convert_underlines_what_loses_its_meaning(run: Run) -> None:
    file = write("SELECT a FROM t;\nSELECT a FROM t TABLESAMPLE (10 PERCENT);")
    found = run("dialect", "convert", file, "--from", "duckdb", "--to", "mysql")
    assert found.exit_code == 1
    assert found.stdout.startswith("SELECT a FROM t;\nSELECT a FROM t")
    assert "q.sql:2:" in found.stderr
    assert "TABLESAMPLE" in found.stderr
    assert "^" in found.stderr


def test_convert_does_not_trust_what_it_cannot_read_back(run: Run) -> None:
    file = write("SELECT STRING_AGG(a, ', ' ORDER BY b) FROM t;")
    found = run("dialect", "convert", file, "--from", "duckdb", "--to", "redshift")
    if "WITHIN GROUP" not in found.stdout:  # sqlglot may learn it
        assert found.exit_code == 1
        assert "sorts by a text" in found.stderr


def test_convert_as_json(run: Run) -> None:
    found = run("dialect", "convert", write("SELECT 1;\nSELECT ("), "--from", "duckdb", "--to", "mysql", "--json")
    report = json.loads(found.stdout)
    assert (report["from"], report["to"], report["failed"]) == ("duckdb", "mysql", 1)
    assert [(s["line"], s["sql"]) for s in report["statements"]] == [(1, "SELECT 1"), (2, "")]


# ── the underline ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "column", "token", "width", "lines"),
    [
        ("SELECT a", 8, "a", 80, ["  7 │ SELECT a", "    │        ^"]),
        ("\tSELECT a", 9, "a", 80, ["  7 │     SELECT a", "    │            ^"]),
        ("SELECT '日本', x", 14, "x", 80, ["  7 │ SELECT '日本', x", "    │                ^"]),
        ("", 1, "", 80, ["  7 │", "    │ ^"]),
        ("x" * 50 + " bad " + "y" * 50, 52, "bad", 30, None),
        ("SELECT " + "z" * 200, 8, "z" * 200, 40, None),
        ("a\x1b[31m", 1, "a", 80, ["  7 │ a?[31m", "    │ ^"]),
    ],
)
def test_underlines(source: str, column: int, token: str, width: int, lines: list[str] | None) -> None:
    import click

    shown = [line.rstrip() for line in click.unstyle(underlined(source, 7, column, token, width)).split("\n")]
    if lines is not None:
        assert shown == lines
    text, carets = shown
    assert max(map(len, shown)) <= width
    start = carets.index("^")
    assert token.startswith(text[start:].rstrip("…")[: carets.count("^")].rstrip("…")) or "…" in text


def test_a_terminal_gets_colours_and_a_narrow_one_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    file = write("SELECT " + ", ".join(f"column_{n}" for n in range(30)) + ", nosuch(1) FROM t")
    result: Result = CliRunner().invoke(app, ["dialect", "check", file, "--dialect", "duckdb"], color=True)
    assert "\x1b[31m" in result.stdout
    source, carets = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()[1:3]
    assert len(source) <= 40
    assert source[carets.index("^") :].startswith("nosuch")
