"""Source ``openai-chat``: fine-tuning records as OpenAI's API takes them.

{"messages": [{"role": "system", "content": …}, {"role": "user", "content": …},
              {"role": "assistant", "content": "SELECT …"}]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlora.prepare.examples import Candidate, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.conversation import candidate_of, text_of
from sqlora.prepare.sources.files import Row, RowError, read_rows

SHAPE = 'each line is {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}'
INSTRUCTIONS = ("system", "developer")


def read_openai_chat(path: Path, name: str, split: Split | None = None, written_in: str | None = None) -> Found:
    """The first question of each record of ``path`` and the answer to it.

    An answer whose ``weight`` is 0 is not meant to be learnt, so its record is rejected. ``written_in`` is the dialect
    of the answers, default: the project's. See `sqlora.prepare.sources.conversation`.
    """

    def exchange(row: Row) -> Candidate:
        said = _said(row.values.get("messages"))
        system = "\n".join(text for role, text in said if role in INSTRUCTIONS)
        turns = [turn for turn in said if turn[0] not in INSTRUCTIONS]
        if [role for role, _ in turns[:2]] != ["user", "assistant"]:
            raise RowError("does not begin with a user's question and the assistant's answer")
        return candidate_of(system, turns[0][1], turns[1][1], row, name, split, written_in)

    return read_candidates(path, name, read_rows(path), exchange, SHAPE)


def _said(messages: Any) -> list[tuple[str, str]]:
    """(role, text) of the messages up to the first answer."""
    said: list[tuple[str, str]] = []
    for message in messages if isinstance(messages, list) else ():
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str):
            raise RowError("has a message without a role")
        said.append((role, text_of(message.get("content"), f"what the {role[:20]} says")))
        if role == "assistant":
            if message.get("weight", 1) == 0:
                raise RowError("has an answer of weight 0, which is not to be learnt")
            break
    if not said:
        raise RowError("has no messages")
    return said
