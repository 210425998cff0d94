"""Whatever bytes a source's files have: candidates, counted rejections, or one error that names the file."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Rejection
from sqlora.prepare.sources.bedrock_conversation import read_bedrock_conversation
from sqlora.prepare.sources.bird import read_bird
from sqlora.prepare.sources.candidates import Found
from sqlora.prepare.sources.openai_chat import read_openai_chat
from sqlora.prepare.sources.pairs import read_pairs
from sqlora.prepare.sources.spider import read_spider
from sqlora.prepare.sources.sql_create_context import read_sql_create_context
from sqlora.prepare.sources.wikisql import read_wikisql
from sqlora.prompting import record

PAIR = {"question": "how many?", "sql": "SELECT 1", "tags": ["a"], "weight": 2, "time": "2026-01-31"}
ASKED = {"db_id": "full", "question": "how many?", "query": "SELECT 1", "SQL": "SELECT 1", "evidence": "none"}
TABLES = {"db_id": "listed", "table_names_original": ["t"], "column_names_original": [[-1, "*"], [0, "x"]], "column_types": ["text", "number"],
          "primary_keys": [1], "foreign_keys": [[1, 1]]}  # fmt: skip
TABLE = {"id": "1-1", "header": ["a", "b"], "types": ["text", "real"], "rows": [["x", 1]]}
QUERY = {"table_id": "1-1", "question": "how many?", "sql": {"sel": 0, "agg": 3, "conds": [[1, 1, 5], [0, 0, "x"]]}}
CONTEXT = {"question": "how many?", "context": "CREATE TABLE t (x INT)", "answer": "SELECT x FROM t"}
CHAT = {"messages": [{"role": "system", "content": "CREATE TABLE t (x INT)"}, {"role": "user", "content": "how many?"},
                     {"role": "assistant", "content": "SELECT 1", "weight": 1}]}  # fmt: skip

READERS: dict[str, tuple[Callable[..., Found], Any, Any, str]] = {
    # kind: (reader, a row, a row of the file of schemas, what that file is called)
    "pairs": (read_pairs, PAIR, None, ""),
    "sql-create-context": (lambda path, name: read_sql_create_context(path, name, "duckdb"), CONTEXT, None, ""),
    "spider": (read_spider, ASKED, TABLES, "tables.json"),
    "bird": (read_bird, ASKED, TABLES, "tables.json"),
    "wikisql": (read_wikisql, QUERY, TABLE, "x.tables.jsonl"),
    "bedrock-conversation": (read_bedrock_conversation, record("CREATE TABLE t (x INT)", "how many?", "SELECT 1"), None, ""),
    "openai-chat": (read_openai_chat, CHAT, None, ""),
}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# JSON of any kind, with what is hard to write again: surrogates, NULs, huge and infinite numbers.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["\ud800", "\0", "../..", "1e999", 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "database" / "full").mkdir(parents=True)
    connection = sqlite3.connect(tmp_path / "database" / "full" / "full.sqlite")
    connection.executescript("CREATE TABLE t (x INT)")
    connection.close()
    return tmp_path


def _read(kind: str, path: Path) -> list[Candidate | Rejection]:
    """What the source gives; DatasetError is the one error there may be, and it names a file."""
    found: list[Candidate | Rejection] = []
    refused: DatasetError | None = None
    try:
        for each in READERS[kind][0](path, "source"):
            found.append(each)
    except DatasetError as error:
        refused = error
    assert refused is None or (str(path.parent) in refused.message and refused.next_step)
    for each in found:
        if isinstance(each, Rejection):
            assert each.reason == "malformed"
            assert each.detail
            assert each.suggestion
            assert each.origin.startswith("source line ")
        # Whatever goes on can be written to a file and sent to another process.
        json.dumps([each.example.question, each.example.sql, each.origin, *each.example.tags], ensure_ascii=False).encode()
    return found


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one thing in it, at any depth, put out or changed."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        changed = _changed(draw, value[key])
        return {name: inside for name, inside in {**value, key: changed}.items() if name != key or changed != "gone"}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _changed(draw, value[place]), *value[place + 1 :]]
    return draw(st.just("gone") | VALUES)


changed = st.composite(_changed)


@pytest.mark.parametrize("kind", READERS)
@given(content=st.binary(max_size=300), name=st.sampled_from(["x.jsonl", "x.json", "x.csv", "x.gz", "x.tsv"]))
@FEW
def test_random_bytes(folder: Path, kind: str, content: bytes, name: str) -> None:
    (folder / name).write_bytes(content)
    _read(kind, folder / name)


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
@FEW
def test_bytes_put_into_a_good_file(folder: Path, kind: str, data: st.DataObject) -> None:
    _, row, listed, tables = READERS[kind]
    content = json.dumps(row) if data.draw(st.booleans()) else json.dumps([row, row], indent=data.draw(st.sampled_from([None, 1])))
    good = f"{content}\n{content}\n".encode() if content.startswith("{") else content.encode()
    place = data.draw(st.integers(0, len(good)))
    bad = good[:place] + data.draw(st.binary(max_size=6)) + good[place + data.draw(st.integers(0, 6)) :]
    if data.draw(st.booleans()):
        bad = gzip.compress(bad)
        bad = bad[: data.draw(st.integers(0, len(bad)))]
    if listed:
        (folder / tables).write_text(json.dumps([listed]))
    (folder / "x.jsonl").write_bytes(bad)
    _read(kind, folder / "x.jsonl")


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
@FEW
def test_values_of_other_kinds(folder: Path, kind: str, data: st.DataObject) -> None:
    _, row, listed, tables = READERS[kind]
    bad = data.draw(changed(row))
    if listed:
        (folder / tables).write_text(json.dumps([listed if data.draw(st.booleans()) else data.draw(changed(listed))]))
    (folder / "x.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(bad)}\n{json.dumps(row)}\n")
    found = _read(kind, folder / "x.jsonl")
    assert len(found) in (0, 3)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n\n\n", b"[", b"{", b"[]", b"[" * 50_000, b'{"a":' * 50_000, b"[[" + b"," * 1_000, b"\0" * 10_000, b"\xed\xa0\x80" * 100,
        b'{"question": "\\ud800", "sql": "\\udfff"}', b"\x1f\x8b\x08", b"PAR1" * 9, b"\xef\xbb\xbf", b"[1" + b"0" * 100_000 + b"]", b'"' * 9_999,
    ],
)  # fmt: skip
def test_known_traps(folder: Path, kind: str, content: bytes) -> None:
    for name in ("x.jsonl", "x.csv"):
        (folder / name).write_bytes(content)
        _read(kind, folder / name)
