"""The one place that turns schema and question into a prompt; training, serving and evaluation all call it.

A training record and a question to a served model are the same object, the record of Bedrock's
``bedrock-conversation-2024`` format: system (instructions and schema), user (the question), and, in training
data, assistant (the SQL). A conversation may go on: user and assistant in turn, as often as the context has room
for. What differs between questions of one deployment comes last, so that everything before it is a prefix whose
key/value cache is computed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import DatasetError

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.schema import Schema, Style
    from sqlora.sql.schema.needed import Needed
    from sqlora.sql.schema.prune import Pruner

SCHEMA_VERSION = "bedrock-conversation-2024"


def system_text(dialect_name: str, schema_text: str) -> str:
    """The instructions of one dialect, and the text of a schema."""
    return f"You write {dialect_name} SQL for this database. Answer with one query.\n{schema_text.strip()}"


@dataclass(frozen=True)
class SchemaPrompt:
    """The system texts of one dialect and schema: one for all questions, or where ``tokens`` are fewer than the schema
    has (estimated), one for each with what that question needs.

    Both the training records and the questions to a deployment get theirs here, so a model is asked as it was taught.
    """

    dialect: Dialect
    schema: Schema
    style: Style = "compact"
    tokens: int | None = None

    @property
    def prunes(self) -> bool:
        """Whether the schema is over the budget, so that questions have texts of their own."""
        return self._pruner is not None and not self._pruner.fits

    def shown(self, question: str = "", keep: Needed | None = None) -> Schema:
        """What of the schema the question's text shows; what ``keep`` names is always in it."""
        if self._pruner is None:
            return self.schema
        from sqlora.sql.schema.needed import NOTHING

        return self._pruner.prune(question, keep or NOTHING)

    def system(self, question: str = "", keep: Needed | None = None) -> str:
        """The system text of a question."""
        return self._system(self.shown(question, keep)) if self.prunes else self._whole

    @cached_property
    def _whole(self) -> str:
        return self._system(self.schema)

    @cached_property
    def _pruner(self) -> Pruner | None:
        if self.tokens is None:
            return None
        from sqlora.sql.schema.prune import Pruner

        return Pruner(self.schema, self.tokens, self.style, self.dialect)

    def _system(self, schema: Schema) -> str:
        return system_text(self.dialect.name, schema.to_prompt(self.style, self.dialect))


def record(system: str, question: str, sql: str | None = None) -> dict[str, Any]:
    """One conversation; without ``sql`` it is a question to be answered."""
    return conversation(system, [question] if sql is None else [question, sql])


def conversation(system: str, turns: Sequence[str]) -> dict[str, Any]:
    """The record of a whole conversation: the turns are the user's and the assistant's by turns, the user's first."""
    messages = [
        {"role": "assistant" if place % 2 else "user", "content": [{"text": text}]} for place, text in enumerate(turns)
    ]
    return {"schemaVersion": SCHEMA_VERSION, "system": [{"text": system}], "messages": messages}


def parts(conversation: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """(system, question, sql or None) of a record; `DatasetError` when it is not one.

    Of a longer conversation, its first question and answer.
    """
    system, turns = read_turns(conversation)
    return system, turns[0].text, turns[1].text if len(turns) > 1 else None


@dataclass(frozen=True)
class Turn:
    """What one side said at once."""

    role: Literal["user", "assistant"]
    text: str


def read_turns(conversation: Mapping[str, Any]) -> tuple[str, list[Turn]]:
    """(system, turns) of a record: the user's and the assistant's by turns, the user's first.

    Blocks of a message become lines, and so do messages of one side that follow each other: chat clients send such,
    and many chat templates refuse them. `DatasetError` when it is not a record.
    """
    try:
        system = "\n".join(_text(block) for block in conversation.get("system") or [])
        turns: list[Turn] = []
        for message in conversation["messages"]:
            turn = _turn(message)
            if turns and turns[-1].role == turn.role:
                turn = Turn(turn.role, f"{turns.pop().text}\n{turn.text}")
            turns.append(turn)
        if turns[0].role != "user":
            raise ValueError("it does not begin with the user")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"not a {SCHEMA_VERSION} record: {str(conversation)[:120]!r} ({error!r})", "sqlora prepare"
        ) from None
    return system, turns


def asked_in(conversation: Mapping[str, Any]) -> str:
    """Everything that the user says in a record, for a follow-up is about what the question before it was about."""
    return "\n".join(turn.text for turn in read_turns(conversation)[1] if turn.role == "user")


def _turn(message: Mapping[str, Any]) -> Turn:
    role = message["role"]
    if role not in ("user", "assistant"):
        raise ValueError(f"the role {str(role)[:40]!r}")
    texts = [_text(block) for block in message["content"]]
    if not texts:
        raise ValueError("a turn without text")
    return Turn(role, "\n".join(texts))


def _text(block: Mapping[str, Any]) -> str:
    text = block["text"]
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}")
    return text


@dataclass(frozen=True)
class Encoded:
    """Token ids of one conversation: what is given, and what is to be learnt (with the end-of-turn token)."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


def encode(tokenizer: Any, conversation: Mapping[str, Any]) -> Encoded:
    """Token ids by the tokenizer's own chat template.

    The prompt is everything up to the user's last turn, and the beginning of the answer to it. The completion is the
    assistant's turn after that, what a record teaches; it is empty for a question.
    """
    system, turns = read_turns(conversation)
    answer = turns.pop() if turns[-1].role == "assistant" else None
    chat = [{"role": turn.role, "content": turn.text} for turn in turns]
    if system:
        chat.insert(0, {"role": "system", "content": system})
    prompt = tuple(_prompt_tokens(tokenizer, chat))
    if answer is None:
        return Encoded(prompt, ())
    plain = {"split_special_tokens": True} if _has_special(tokenizer, answer.text) else {}
    completion = tokenizer(answer.text, add_special_tokens=False, **plain)["input_ids"]
    return Encoded(prompt, (*completion, tokenizer.eos_token_id))


def _prompt_tokens(tokenizer: Any, chat: list[dict[str, str]]) -> list[int]:
    """The tokens of a chat with the answer begun. A text that spells a special token is that text and nothing more.

    Whoever writes a question, or a comment into a schema, could otherwise end the turn and speak for somebody else.
    """
    said = [turn["content"] for turn in chat]
    if not any(_has_special(tokenizer, text) for text in said):
        whole: list[int] = tokenizer(_rendered(tokenizer, chat), add_special_tokens=False)["input_ids"]
        return whole
    # The template is rendered around marks that nobody wrote, and what was said put in between as plain text.
    marks = [f"\ue000{place}\ue001" for place in range(len(said))]
    if any(mark in text for text in said for mark in marks):
        raise DatasetError("private-use characters U+E000 and U+E001 around a number, beside a special token's text")
    marked = [turn | {"content": mark} for turn, mark in zip(chat, marks, strict=True)]
    pieces = re.split("(\ue000[0-9]+\ue001)", _rendered(tokenizer, marked))
    tokens: list[int] = []
    for piece in pieces:
        mine = piece in marks
        text = said[marks.index(piece)] if mine else piece
        tokens += tokenizer(text, add_special_tokens=False, split_special_tokens=mine)["input_ids"]
    return tokens


def _rendered(tokenizer: Any, chat: list[dict[str, str]]) -> str:
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return text


def _has_special(tokenizer: Any, text: str) -> bool:
    return any(token in text for token in getattr(tokenizer, "all_special_tokens", ()))


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
