"""What files of pairs may look like, and what is said when they don't."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sqlora.errors import DatasetError
from sqlora.prepare.check import Checker
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.pairs import read_pairs
from sqlora.prepare.sources.sql_create_context import read_sql_create_context
from sqlora.sql.dialect import Dialect


def _examples(path: Path) -> list[Example]:
    return [candidate.example for candidate in read_pairs(path, "p", "train")]


def test_json_lines_with_other_fields_as_tags(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": " how many? ", "sql": "SELECT 1", "author": "clerk", "tags": ["easy"]}\n\n')
    assert _examples(path) == [Example("how many?", "SELECT 1", "p", "train", tags=("easy", "author=clerk"))]


def test_csv_with_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('question,sql,level\n"a, b?","SELECT ""x""\nFROM t",2\n', encoding="utf-8-sig")
    assert _examples(path) == [Example("a, b?", 'SELECT "x"\nFROM t', "p", "train", tags=("level=2",))]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.jsonl", '{"question": "a", "sql": "b"}\n{"question": "a"', "p.jsonl:2: is not JSON"),
        ("p.jsonl", '["a", "b"]', "p.jsonl:1: is not a JSON object"),
        ("p.jsonl", '{"question": "a", "query": "b"}', "p.jsonl:1: needs a text named 'sql'; it has question, query"),
        ("p.jsonl", '{"question": "  ", "sql": "b"}', "p.jsonl:1: needs a text named 'question'"),
        ("p.csv", "question,query\na,b\n", "p.csv:1: has no column 'sql'"),
        ("p.csv", "question,sql\na,b,c\n", "p.csv:2: has more values than columns"),
        ("p.csv", "", "p.csv:1: has no column 'question' or 'sql'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError) as caught:
        _examples(tmp_path / name)
    assert says in caught.value.message
    assert caught.value.next_step


def test_a_missing_or_binary_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        _examples(tmp_path / "none.jsonl")
    (tmp_path / "p.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="UTF-8"):
        _examples(tmp_path / "p.jsonl")


CONTEXT = {
    "question": "How many heads are older than 56?",
    "context": "CREATE TABLE head (age INTEGER, name VARCHAR)",
    "answer": 'SELECT COUNT(*) FROM Head WHERE AGE > 56 AND name = "Bob"',
}


@pytest.mark.parametrize("form", ["jsonl", "json", "gz"])
def test_sql_create_context_is_written_in_the_dialect(tmp_path: Path, dialect: Dialect, form: str) -> None:
    path = tmp_path / f"c.{form}"
    text = json.dumps([CONTEXT]) if form == "json" else json.dumps(CONTEXT) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    [candidate] = list(read_sql_create_context(path, "c", dialect))
    assert isinstance(candidate, Candidate)
    checked = Checker(dialect).check(candidate)
    assert isinstance(checked, Example)
    assert checked.sql == 'SELECT TALLY() FROM head WHERE age > 56 AND name = "Bob"'
    assert checked.system is not None
    assert "head(age, name)" in checked.system
    assert "shopql" in checked.system


def test_an_answer_that_its_context_does_not_carry_is_rejected(tmp_path: Path, dialect: Dialect) -> None:
    path = tmp_path / "c.jsonl"
    wrong = {**CONTEXT, "answer": "SELECT height FROM head"}
    broken = {**CONTEXT, "answer": "SELECT FROM WHERE"}
    path.write_text(json.dumps(wrong) + "\n" + json.dumps(broken) + "\n")
    first, second = read_sql_create_context(path, "c", dialect)
    assert isinstance(first, Candidate)
    checked = Checker(dialect).check(first)
    assert isinstance(checked, Rejection)
    assert checked.reason == "column"
    assert isinstance(second, Rejection)
    assert (second.reason, second.origin) == ("syntax", "c line 2")


def test_a_sample_is_drawn_by_seed(tmp_path: Path, dialect: Dialect) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(json.dumps({**CONTEXT, "question": f"q{i}"}) for i in range(30)))

    def drawn(seed: int) -> list[str]:
        found = read_sql_create_context(path, "c", dialect, count=5, seed=seed)
        return [each.example.question for each in found]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(drawn(1)) == 5


def test_truncated_gzip_and_wrong_fields(tmp_path: Path, dialect: Dialect) -> None:
    path = tmp_path / "c.gz"
    path.write_bytes(gzip.compress(json.dumps(CONTEXT).encode())[:-6])
    with pytest.raises(DatasetError, match="gzip"):
        list(read_sql_create_context(path, "c", dialect))
    path.write_text('{"question": "a", "sql": "b"}')
    with pytest.raises(DatasetError, match=r"c\.gz:1: needs a text named 'context'"):
        list(read_sql_create_context(path, "c", dialect))
