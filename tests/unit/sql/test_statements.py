"""Files of SQL, statement by statement: where each begins and ends, whatever the file holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sqlora.errors import DatasetError
from sqlora.sql import statements
from sqlora.sql.dialect import load_dialect
from sqlora.sql.statements import Statement, read_statements, split

RETAIL = Path(__file__).parents[3] / "examples" / "retail"
DUCKDB = load_dialect("duckdb")


def texts(sql: str, dialect: str = "duckdb") -> list[str]:
    return [found.text for found in split([sql], load_dialect(dialect))]


@pytest.mark.parametrize(
    ("dialect", "sql", "found"),
    [
        ("duckdb", "SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("duckdb", "SELECT 1;;\n ; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("duckdb", "SELECT 'a;b', \"c;d\" -- e;f\n; SELECT /* g;h */ 2", ["SELECT 'a;b', \"c;d\" -- e;f", "SELECT /* g;h */ 2"]),
        ("duckdb", "SELECT 'it''s; so'; SELECT 2", ["SELECT 'it''s; so'", "SELECT 2"]),
        ("mysql", r"SELECT 'a\';b'; SELECT `c;d`", [r"SELECT 'a\';b'", "SELECT `c;d`"]),
        ("postgres", "SELECT $$a;b$$; SELECT 2", ["SELECT $$a;b$$", "SELECT 2"]),
        ("tsql", "SELECT [a;b]\nGO\nSELECT 2\ngo 3\n", ["SELECT [a;b]", "SELECT 2"]),
        ("oracle", "SELECT 1 FROM dual\n/\nSELECT 2 / 1 FROM dual\n/\n", ["SELECT 1 FROM dual", "SELECT 2 / 1 FROM dual"]),
        ("mysql", "DELIMITER //\nSELECT 1; SELECT 2//\nDELIMITER ;\nSELECT 3;", ["SELECT 1", "SELECT 2", "SELECT 3"]),
        ("postgres", "\\connect shop\nSELECT 1;", ["\\connect shop", "SELECT 1"]),
        ("sqlite", "CREATE TRIGGER t AFTER INSERT ON s BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END; SELECT 3",
         ["CREATE TRIGGER t AFTER INSERT ON s BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END", "SELECT 3"]),
        ("sqlite", "BEGIN; SELECT 1; COMMIT;", ["BEGIN", "SELECT 1", "COMMIT"]),
        ("tsql", "BEGIN TRANSACTION; SELECT 1; COMMIT", ["BEGIN TRANSACTION", "SELECT 1", "COMMIT"]),
        ("duckdb", "", []),
        ("duckdb", " \n\t;\n-- nothing\n/* here */", []),
    ],
)  # fmt: skip
def test_where_a_statement_ends(dialect: str, sql: str, found: list[str]) -> None:
    assert texts(sql, dialect) == found


def test_what_follows_the_last_statement_is_given_where_it_is_asked_for() -> None:
    assert [(s.text, s.lead) for s in split(["SELECT 1; -- end\n"], DUCKDB, tail=True)] == [("SELECT 1", ""), ("", " -- end\n")]
    assert [s.text for s in split(["SELECT 1;\n;\n"], DUCKDB, tail=True)] == ["SELECT 1"]


def test_house_quotes_count() -> None:
    larkql = load_dialect("dialect.toml", RETAIL)
    assert [s.text for s in split(['SELECT "a;b", [c;d]; SELECT 2'], larkql)] == ['SELECT "a;b", [c;d]', "SELECT 2"]


def test_places_are_those_of_the_file() -> None:
    text = "-- head\n\nSELECT 1; SELECT\n  2;\n"
    first, second = split([text], DUCKDB)
    assert (first.line, first.column, first.lead) == (3, 1, "-- head\n\n")
    assert (second.line, second.column, second.indent) == (3, 11, "SELECT 1; ")
    assert second.place(1, 8) == (3, 18)
    assert second.place(2, 3) == (4, 3)
    assert second.place(0, 0) == (3, 11)
    assert second.source_line(3) == "SELECT 1; SELECT"
    assert second.source_line(4) == "  2"
    assert second.source_line(9) == ""


def test_a_quote_that_is_not_closed_spoils_one_statement() -> None:
    found = list(split(["SELECT 1;\nSELECT 'oh;\nSELECT 3;\nSELECT 4"], DUCKDB))
    assert [(s.line, s.text) for s in found] == [(1, "SELECT 1"), (2, "SELECT 'oh"), (3, "SELECT 3"), (4, "SELECT 4")]


def test_a_quote_that_is_the_last_character() -> None:
    assert texts("SELECT 1; 'SELECT ';'") == ["SELECT 1", "'SELECT '", "'"]


def test_a_statement_longer_than_the_limit_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LONGEST", 200)
    long = "SELECT " + ", ".join(["1"] * 300)
    found = list(split([f"SELECT 1;\n{long};\nSELECT 2;\n"[start : start + 50] for start in range(0, 1000, 50)], DUCKDB))
    assert [(s.too_long, s.line) for s in found] == [(False, 1), (True, 2), (False, 3)]
    assert found[1].text.startswith("SELECT 1, 1")
    assert found[2].text == "SELECT 2"


def test_an_open_quote_does_not_hold_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LONGEST", 500)
    lines = ["SELECT 'oh;\n", *(f"SELECT {n};\n" for n in range(100))]
    found = list(split(lines, DUCKDB))
    assert [s.text for s in found] == ["SELECT 'oh", *(f"SELECT {n}" for n in range(100))]
    assert [s.line for s in found] == list(range(1, 102))


pieces = st.lists(
    st.sampled_from(["SELECT 1", "SELECT ';'", "/* ; */", "-- ;\n", ";", "\n", " ", '"a;b"', "'", "x", "BEGIN ", "END", "$$"]),
    max_size=14,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@example(["'", "SELECT ';'", "'", "$$"], 1, "duckdb")
@given(pieces, st.integers(1, 9), st.sampled_from(["duckdb", "postgres", "tsql", "mysql"]))
def test_how_text_is_cut_into_pieces_changes_nothing(words: list[str], size: int, name: str) -> None:
    text = "".join(words)
    dialect = load_dialect(name)
    whole = list(split([text], dialect))
    cut = list(split([text[start : start + size] for start in range(0, len(text), size)], dialect))
    assert cut == whole
    for found in whole:
        assert found.text.strip() == found.text
        assert found.source_line(found.line)[found.column - 1 :].startswith(found.text.split("\n")[0])


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


def read(folder: Path, data: bytes) -> list[Statement]:
    file = folder / "q.sql"
    file.write_bytes(data)
    return list(read_statements(file, DUCKDB))


@pytest.mark.parametrize(
    "data",
    [
        b"SELECT 1;\nSELECT 'caf\xc3\xa9';\n",
        b"\xef\xbb\xbfSELECT 1;\nSELECT 'caf\xc3\xa9';\n",
        b"SELECT 1;\r\nSELECT 'caf\xc3\xa9';\r\n",
        b"SELECT 1;\rSELECT 'caf\xc3\xa9';\r",
        "SELECT 1;\r\nSELECT 'café';\r\n".encode("utf-16"),
        b"\xfe\xff" + "SELECT 1;\nSELECT 'café';".encode("utf-16-be"),
    ],
    ids=["plain", "mark", "crlf", "cr", "utf-16", "utf-16-be"],
)
def test_encodings_and_line_ends(tmp_path: Path, data: bytes) -> None:
    assert [(s.line, s.column, s.text) for s in read(tmp_path, data)] == [(1, 1, "SELECT 1"), (2, 1, "SELECT 'café'")]


def test_line_ends_that_are_cut_in_two_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "PIECE", 1)
    found = read(tmp_path, "SELECT\r\n'é';\r\n\r\nSELECT 2".encode())
    assert [(s.line, s.text) for s in found] == [(1, "SELECT\n'é'"), (4, "SELECT 2")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SELECT 1;\nSELECT 'caf\xe9';\n", "line 2: the byte 0xe9 is not UTF-8 text"),
        (b"SELECT 1;\n\x00\x01\x02", "line 2: a zero byte"),
        (b"\xff\xfeS", "is not UTF-16 text"),
        (b"caf\xc3", "line 1: the byte 0xc3"),
    ],
)
def test_what_is_not_text_is_one_error_with_its_line(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(words)):
        read(tmp_path, data)


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is a folder"):
        list(read_statements(tmp_path, DUCKDB))
    with pytest.raises(DatasetError, match="No such file"):
        list(read_statements(tmp_path / "none.sql", DUCKDB))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["duckdb", "mysql", "tsql", "oracle", "postgres", "snowflake"]))
def test_any_bytes_are_statements_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.sql"
    file.write_bytes(data)
    refusal = ""
    try:
        found = list(read_statements(file, load_dialect(name)))
    except DatasetError as error:
        found, refusal = [], error.message
    assert not refusal or "any.sql" in refusal
    assert all(statement.text for statement in found)
