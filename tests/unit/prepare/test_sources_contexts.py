"""sql-create-context: pairs that bring their tables."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Example
from sqlora.prepare.sources.sql_create_context import read_sql_create_context

CONTEXT = {
    "question": "How many heads are older than 56?",
    "context": "CREATE TABLE head (age INTEGER, name VARCHAR)",
    "answer": 'SELECT COUNT(*) FROM Head WHERE AGE > 56 AND name = "Bob"',
}


@pytest.mark.parametrize("form", ["jsonl", "json", "gz"])
def test_sql_create_context_brings_its_tables(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"c.{form}"
    text = json.dumps([CONTEXT]) if form == "json" else json.dumps(CONTEXT) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    [found] = read_sql_create_context(path, "c", "duckdb")
    example = Example(CONTEXT["question"], CONTEXT["answer"], "c")
    place = "c line 1, item 1" if form == "json" else "c line 1"
    assert found == Candidate(example, place, ddl=CONTEXT["context"], written_in="duckdb", run=False)


def test_sql_create_context_without_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"question": "a", "sql": "b"}')
    with pytest.raises(DatasetError, match=r"c\.jsonl:1: needs a text named 'question'|named 'answer'; it has question, sql"):
        list(read_sql_create_context(path, "c", "duckdb"))
