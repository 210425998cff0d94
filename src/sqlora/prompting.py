"""The one place that turns schema and question into a prompt; training, serving and evaluation all call it.

A training record and a question to a served model are the same object, the record of Bedrock's
``bedrock-conversation-2024`` format: system (instructions and schema), user (the question), and, in training
data, assistant (the SQL). What differs between questions of one deployment comes last, so that everything
before it is a prefix whose key/value cache is computed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlora.errors import DatasetError

SCHEMA_VERSION = "bedrock-conversation-2024"


def system_text(dialect_name: str, schema_text: str) -> str:
    """The instructions of one dialect and schema; the same text for every question of a deployment."""
    return f"You write {dialect_name} SQL for this database. Answer with one query.\n{schema_text.strip()}"


def record(system: str, question: str, sql: str | None = None) -> dict[str, Any]:
    """One conversation; without ``sql`` it is a question to be answered."""
    messages = [{"role": "user", "content": [{"text": question}]}]
    if sql is not None:
        messages.append({"role": "assistant", "content": [{"text": sql}]})
    return {"schemaVersion": SCHEMA_VERSION, "system": [{"text": system}], "messages": messages}


def parts(conversation: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """(system, question, sql or None) of a record; `DatasetError` when it is not one."""
    try:
        system = "\n".join(block["text"] for block in conversation.get("system") or [])
        question = conversation["messages"][0]["content"][0]["text"]
        answers = conversation["messages"][1:]
        sql = answers[0]["content"][0]["text"] if answers else None
    except (KeyError, IndexError, TypeError) as error:
        raise DatasetError(
            f"not a {SCHEMA_VERSION} record: {str(conversation)[:120]!r} ({error!r})", "sqlora prepare"
        ) from None
    return system, question, sql


@dataclass(frozen=True)
class Encoded:
    """Token ids of one conversation: what is given, and what is to be learnt (with the end-of-turn token)."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


def encode(tokenizer: Any, conversation: Mapping[str, Any]) -> Encoded:
    """Token ids by the tokenizer's own chat template; the completion is empty for a question."""
    system, question, sql = parts(conversation)
    chat = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    if not system:
        chat = chat[1:]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    if sql is None:
        return Encoded(tuple(prompt), ())
    completion = tokenizer(sql, add_special_tokens=False)["input_ids"]
    return Encoded(tuple(prompt), (*completion, tokenizer.eos_token_id))


def shared_prefix(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many leading tokens all prompts have in common, at least one short of the shortest."""
    if not prompts:
        return 0
    low, high = min(prompts), max(prompts)
    limit = min(len(prompt) for prompt in prompts) - 1
    count = 0
    while count < limit and low[count] == high[count]:
        count += 1
    return count


_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)


def clean_sql(text: str) -> str:
    """The SQL in a model's answer: code fences and the trailing semicolon removed, nothing rewritten."""
    fenced = _FENCE.search(text)
    sql = (fenced.group(1) if fenced else text).strip()
    return sql.rstrip(";").strip()
