"""Fine-tuning records of Bedrock and OpenAI: the question, the SQL and the schema are found, the rest stays behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.bedrock_conversation import read_bedrock_conversation
from sqlora.prepare.sources.openai_chat import read_openai_chat
from sqlora.prompting import conversation, record

DDL = "CREATE TABLE head (age INT, note TEXT DEFAULT ') (', -- how old (years), isn't it\n  name VARCHAR(20))"
OTHER = 'create table if not exists "born (in)" (x INT)'


def _chat(system: str | None, user: Any, assistant: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    return {"messages": [*messages, {"role": "user", "content": user}, {"role": "assistant", "content": assistant}]}


def _read(folder: Path, *records: Any, read: Any = read_bedrock_conversation, written_in: str | None = None) -> list[Any]:
    path = folder / "r.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records))
    return list(read(path, "r", "train", written_in))


@pytest.mark.parametrize("read", [read_bedrock_conversation, read_openai_chat])
@pytest.mark.parametrize(
    ("system", "user", "ddl"),
    [
        ("You write shopql SQL for this database. Answer with one query.\nhead(age, name)", "how many?", None),
        (f"You are a powerful text-to-SQL model. Use the following table schema for context: {DDL};", "how many?", DDL),
        (f"Tables:\n{DDL};\n{OTHER} ENGINE=InnoDB;\nBe brief.", "how many?", f"{DDL};\n{OTHER}"),
        ("Answer in SQL.", "Return the SQL query that answers the following question: how many?", None),
        ("Answer in SQL.", f"### Input:\nhow many?\n\n### Context:\n{DDL}\n\n### Response:\n", DDL),
        ("Answer in SQL.", f"Here is the schema:\n```sql\n{DDL};\n```\nQuestion: how many?", DDL),
        ("Answer in SQL.", f"how many?\n\nThe tables are:\n{DDL}", DDL),
        ("Answer in SQL.", "how many?", None),
        ("CREATE TABLE head (age INT, cut off", "how many?", None),
    ],
)
def test_question_sql_and_schema(tmp_path: Path, read: Any, system: str, user: str, ddl: str | None) -> None:
    sql = "Sure:\n```sql\nSELECT 1;\n```"
    made = record(system, user, sql) if read is read_bedrock_conversation else _chat(system, user, sql)
    [found] = _read(tmp_path, made, read=read, written_in="sqlite")
    example = Example("how many?", "SELECT 1", "r", "train")
    assert found == Candidate(example, "r line 1", ddl=ddl, written_in="sqlite", run=ddl is None)


def test_of_a_longer_conversation_the_first_question_is_taken(tmp_path: Path) -> None:
    [found] = _read(tmp_path, conversation("", ["how many?", "SELECT 1", "and by city?", "SELECT 2"]))
    assert (found.example.question, found.example.sql) == ("how many?", "SELECT 1")
    [found] = _read(tmp_path, {"messages": [*_chat(None, "how many?", "SELECT 1")["messages"], {"role": "tool"}]}, read=read_openai_chat)
    assert (found.example.question, found.example.sql) == ("how many?", "SELECT 1")


def test_openai_content_may_be_parts(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "how"}, {"type": "text", "text": "many?"}]
    [found] = _read(tmp_path, _chat(None, parts, "SELECT 1"), read=read_openai_chat)
    assert found.example.question == "how\nmany?"


GOOD = record("", "how many?", "SELECT 1")
GOOD_CHAT = _chat("", "how many?", "SELECT 1")


@pytest.mark.parametrize(
    "bad",
    [
        {}, {"messages": []}, {"messages": "x"}, {"messages": [[]]}, record("", "how many?"), record("", " ", "SELECT 1"), record("", "a", "```sql\n```"),
        {"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, {**GOOD, "system": [{"text": 7}]}, {**GOOD, "system": "x"},
        {"messages": [{"role": "user", "content": [{"image": {}}]}, {"role": "assistant", "content": [{"text": "x"}]}]},
        record("", f"{DDL}", "SELECT 1"),
    ],
)  # fmt: skip
def test_a_record_without_question_or_sql_is_a_rejection(tmp_path: Path, bad: dict[str, Any]) -> None:
    _, found = _read(tmp_path, GOOD, bad)
    assert isinstance(found, Rejection)
    assert (found.reason, found.origin) == ("malformed", "r line 2")


@pytest.mark.parametrize(
    "bad",
    [
        {}, {"messages": []}, {"messages": "x"}, {"messages": [[]]}, {"messages": [{"role": 7}]}, _chat(None, 7, "x"), _chat(None, "a", None),
        _chat(None, [{"type": "image_url", "image_url": {}}], "x"), _chat(None, [], "x"), {"prompt": "a", "completion": "b"},
        {"messages": [{"role": "assistant", "content": "x"}]}, {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": 0}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": []}]},
    ],
)  # fmt: skip
def test_a_chat_without_question_or_sql_is_a_rejection(tmp_path: Path, bad: dict[str, Any]) -> None:
    _, found = _read(tmp_path, GOOD_CHAT, bad, read=read_openai_chat)
    assert isinstance(found, Rejection)
    assert (found.reason, found.origin) == ("malformed", "r line 2")
