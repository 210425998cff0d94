"""What files of pairs may look like, and what is said when they don't."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path

import duckdb
import pytest

from sqlora.errors import ConfigError, DatasetError
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.candidates import sample
from sqlora.prepare.sources.files.lines import LONGEST
from sqlora.prepare.sources.pairs import read_pairs
from sqlora.prepare.sources.rewrite import read_rewrites

GOOD = '{"question": "a", "sql": "b"}'


def _examples(path: Path) -> list[Example]:
    return [found.example for found in read_pairs(path, "p", "train") if isinstance(found, Candidate)]


def _rejections(path: Path) -> list[Rejection]:
    return [found for found in read_pairs(path, "p") if isinstance(found, Rejection)]


def test_json_lines_with_other_fields_as_tags(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": " how many? ", "sql": "SELECT 1", "author": "clerk", "tags": ["easy"]}\n\n')
    assert _examples(path) == [Example("how many?", "SELECT 1", "p", "train", tags=("easy", "author=clerk"))]


def test_csv_with_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('question,sql,level\n"a, b?","SELECT ""x""\nFROM t",2\n', encoding="utf-8-sig")
    assert _examples(path) == [Example("a, b?", 'SELECT "x"\nFROM t', "p", "train", tags=("level=2",))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"question": "a", "sql": "b"}\n{"question": "c", "sql": "d"}'),
        ("p.json", '[{"question": "a", "sql": "b"},\n {"question": "c", "sql": "d"}]'),
        ("p.csv", "question,sql\na,b\nc,d\n"),
        ("p.csv", "sql;question\r\nb;a\r\nd;c\r\n"),
        ("p.tsv", "question\tsql\na\tb\nc\td"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_format_gives_the_same_pairs(tmp_path: Path, name: str, content: str, zipped: bool) -> None:
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert [(example.question, example.sql) for example in _examples(path)] == [("a", "b"), ("c", "d")]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "what [is] this?.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 'q' || i AS question, 'SELECT ' || i AS query, i % 2 AS level, "
            "TIMESTAMP '2025-01-02 03:04:05' + INTERVAL (i) DAY AS time FROM range(1200) r(i)"
        )
        connection.execute("INSERT INTO t VALUES (NULL, 'SELECT 1', 0, NULL)")
        connection.sql("SELECT * FROM t").write_parquet(str(path))
    found = list(read_pairs(path, "p", fields={"sql": "query"}))
    assert len(found) == 1201
    assert isinstance(found[1], Candidate)
    expected = Example("q1", "SELECT 1", "p", tags=("level=1",), time="2025-01-03T03:04:05")
    assert (found[1].example, found[1].origin) == (expected, "p row 2")
    assert isinstance(found[-1], Rejection)
    assert (found[-1].reason, found[-1].origin) == ("malformed", "p row 1201")
    with pytest.raises(DatasetError, match=r"parquet:1: has no column 'sql'; it has question, query, level, time"):
        list(read_pairs(path, "p"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"level", b"l\xffvel"))
    with pytest.raises(DatasetError, match="can't be read as Parquet"):
        list(read_pairs(path, "p", fields={"sql": "query"}))
    path.write_bytes(whole[:-100])
    with pytest.raises(DatasetError, match="can't be read as Parquet"):
        list(read_pairs(path, "p", fields={"sql": "query"}))


def test_what_has_a_meaning_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    row = {"question": "a", "sql": "b", "split": "dev", "database": "shop", "time": "2026-01-31 10:00", "weight": 12}
    path.write_text(json.dumps({**row, "note": None, "deep": {"a": [1]}, "long": "x" * 200}) + "\n" + GOOD + "\n")
    first, second = read_pairs(path, "p")
    assert isinstance(first, Candidate)
    expected = Example("a", "b", "p", "validation", database="shop", time="2026-01-31T10:00:00", weight=12.0)
    assert first.example == expected
    assert isinstance(second, Candidate)
    assert (second.example.split, second.example.weight) == (None, 1.0)


def test_a_pair_with_a_schema_of_its_own_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"question": "a", "sql": "b", "ddl": "CREATE TABLE t (x INT)"}))
    [found] = read_pairs(path, "p")
    assert isinstance(found, Candidate)
    assert (found.ddl, found.run) == ("CREATE TABLE t (x INT)", False)


def test_rewrites_are_to_be_proven(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(GOOD)
    [found] = read_rewrites(path, "p", "postgres", "train")
    assert isinstance(found, Candidate)
    assert (found.written_in, found.prove, found.run, found.example.split) == ("postgres", True, True, "train")


@pytest.mark.parametrize(
    ("name", "text", "place", "says"),
    [
        ("p.jsonl", f'{GOOD}\n{{"question": "a"', "line 2", "is not JSON: Expecting ',' delimiter at column 17"),
        ("p.jsonl", f'\n{GOOD}\n["a", "b"]', "line 3", "is not a JSON object but an array"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "query": "b"}}', "line 2", "needs a text named 'sql'; it has question, query"),
        ("p.jsonl", f'{GOOD}\n{{"question": "  ", "sql": "b"}}', "line 2", "'question' is empty"),
        ("p.jsonl", f'{GOOD}\n{{"question": 5, "sql": "b"}}', "line 2", "'question' is a number, not a text"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "sql": null}}', "line 2", "'sql' is null, not a text"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "sql": "b", "database": ["c"]}}', "line 2", "'database' is an array, not a text"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "sql": "b", "split": "holdout"}}', "line 2", "split is 'holdout'"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a\\u0000", "sql": "b"}}', "line 2", "has a NUL character"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a\\ud800", "sql": "b"}}', "line 2", "half of a surrogate pair, \\ud800"),
        ("p.jsonl", f'{GOOD}\n{{"question": {"[" * 100_000}', "line 2", "nested too deeply"),
        ("p.jsonl", f'{GOOD}\n{{"question": {"1" * 5_000}}}', "line 2", "is not JSON: Exceeds the limit"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "sql": "b", "weight": -1}}', "line 2", "weight is '-1'"),
        ("p.jsonl", f'{GOOD}\n{{"question": "a", "sql": "b", "time": "noon"}}', "line 2", "time is 'noon'"),
        ("p.jsonl", f'{GOOD}\n{"x" * (LONGEST + 9)}\n{GOOD}', "line 2", "is longer than 4,194,304 bytes"),
        ("p.json", f"[{GOOD},\n\n 7]", "line 3, item 2", "is not a JSON object but a number"),
        ("p.json", f'[{GOOD},{{"question":"a"}},{GOOD}]', "line 1, item 2", "needs a text named 'sql'; it has question"),
        ("p.csv", "question,sql\na,b\na,b,c\n", "line 3", "has more values than columns; quote values that have commas"),
        ("p.csv", "question;sql\na;b\na;b;c\n", "line 3", "has more values than columns; quote values that have semicolons"),
        ("p.csv", 'question,sql\na,b\n"a"x,b\n', "line 3", "is not CSV: ',' expected after '\"'"),
        ("p.csv", f'question,sql\na,b\n"{"x" * 140_000},\nc,d\n', "line 3", "field larger than field limit"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_a_rejection_and_the_others_stay(
    tmp_path: Path, name: str, text: str, place: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    [rejection] = _rejections(tmp_path / name)
    assert (rejection.reason, rejection.origin) == ("malformed", f"p {place}")
    assert says in rejection.detail
    assert rejection.suggestion
    assert len(rejection.detail) < 200
    assert ("a", "b") in [(example.question, example.sql) for example in _examples(tmp_path / name)]


def test_a_line_that_is_not_utf_8_is_a_rejection(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(f"{GOOD}\n".encode() + b"\xff\xfe\x00\n" + GOOD.encode())
    [rejection] = _rejections(tmp_path / "p.jsonl")
    assert (rejection.origin, rejection.detail) == ("p line 2", "is not UTF-8 text (byte 0)")
    assert len(_examples(tmp_path / "p.jsonl")) == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.jsonl", b'\n{"question": "a"', "p.jsonl:2: is not JSON"),
        ("p.jsonl", b'{"question": "a", "query": "b"}', "p.jsonl:1: needs a text named 'sql'; it has question, query"),
        ("p.jsonl", b"some prose\n" * 5_000, "p.jsonl:1: is not JSON"),
        ("p.jsonl", b"\xff\xfe\x00", "p.jsonl:1: is UTF-16, not UTF-8"),
        ("p.json", b'["a", "b"]', "p.json:1: is not a JSON object but a text"),
        ("p.json", f'[{GOOD},\n{{"question"'.encode(), "p.json:2: is not JSON"),
        ("p.json", f"[{GOOD}".encode(), "p.json:1: is not JSON: it ends within the array"),
        ("p.json", f"[{GOOD}\n{GOOD}]".encode(), "p.json:2: is not JSON: '{' where ']' was expected"),
        ("p.json", f"[{GOOD}] more".encode(), "p.json:1: has more text behind the array"),
        ("p.json", b"[\n" + b"[" * 100_000, "p.json:2: is not JSON: it is nested too deeply"),
        ("p.json", b'[\n"' + b"x" * (LONGEST + 9), "p.json:2: has a value of more than 4,194,304 characters"),
        ("p.json", f"[{GOOD},\n".encode() + b"\xff\xff", "p.json:1: is not UTF-8"),
        ("p.csv", b"question,query\na,b\n", "p.csv:1: has no column 'sql'"),
        ("p.csv", b"", "p.csv:1: has no column 'question' or 'sql'"),
        ("p.csv", b"question,\xff\n", "p.csv:1: is not UTF-8"),
        ("p.parquet", b"PAR1 and nothing of the kind", "p.parquet:1: can't be read as Parquet"),
        ("p.gz", gzip.compress(GOOD.encode() * 2_000)[:-9], "p.gz:1: is not a whole gzip file"),
        ("p.gz", b"\x1f\x8b and nothing of the kind", "p.gz:1: is not a whole gzip file"),
    ],
)
def test_a_file_of_another_kind_is_one_error_with_its_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        list(read_pairs(tmp_path / name, "p"))
    assert says in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("name", "content", "fields", "says"),
    [
        ("p.jsonl", GOOD, {"qestion": "text"}, "has 'qestion', which is no field of a row; did you mean 'question'?"),
        ("p.jsonl", GOOD, {"text": "question"}, "has 'text', which is no field of a row"),
        ("p.jsonl", '{"question": "a", "query": "b"}', {"sql": "qery"}, "no row has 'qery', which fields in [[sources]] calls sql; did you mean 'query'?"),
        ("p.jsonl", '{"question": "a", "sql": "b", "db_id": "c"}', {"database": "dbid"},
         "no row has 'dbid', which fields in [[sources]] calls database; did you mean 'db_id'?"),
        ("p.csv", "question,sql,db\na,b,c\n", {"database": "base"}, "has no column 'base'; it has question, sql, db"),
    ],
)  # fmt: skip
def test_fields_that_are_not_there(tmp_path: Path, name: str, content: str, fields: dict[str, str], says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((DatasetError, ConfigError)) as caught:
        list(read_pairs(tmp_path / name, "p", fields=fields))
    assert says in caught.value.message
    assert caught.value.next_step


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(DatasetError, match="cannot read"):
            list(read_pairs(path, "p"))


def test_what_was_read_before_a_zipped_file_breaks_off_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress((GOOD + "\n").encode() * 3_000 + bytes(range(256)) * 40)[:-200])
    found = read_pairs(path, "p")
    assert len(list(islice(found, 1_000))) == 1_000
    with pytest.raises(DatasetError, match=r"p\.jsonl\.gz:\d+: is not a whole gzip file"):
        list(found)


def test_an_empty_file_has_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").touch()
    assert list(read_pairs(tmp_path / "p.jsonl", "p")) == []


def test_a_sample_is_drawn_by_seed(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"q{i:02}", "sql": "s"}) for i in range(30)))

    def drawn(seed: int, count: int = 5) -> list[str]:
        found = sample(lambda: read_pairs(path, "p"), count, seed)
        return [each.example.question for each in found]

    assert drawn(1) == drawn(1) == sorted(drawn(1))
    assert drawn(1) != drawn(2)
    assert len(drawn(1)) == 5
    assert len(drawn(1, 99)) == 30
