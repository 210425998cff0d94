"""What can be said of a question and its SQL as texts, before anything is parsed.

Lengths, characters that cannot be written, what Bedrock refuses in training data, secrets and personal data, and
questions that hold their own answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from sqlora.cost.training import CHARACTERS_A_TOKEN
from sqlora.platform.conversations import FORBIDDEN
from sqlora.prepare.examples import Example
from sqlora.sql import personal

# A model that has to be asked in more than this, or answers in more, is not asked for a query. Characters.
QUESTION_LIMIT = 2_000
SQL_LIMIT = 4_000
SHOWN = 300  # characters of a text that is refused for its length

_FORBIDDEN = tuple(word.lower() for word in FORBIDDEN)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FENCE = re.compile(r"```\s*sql\b", re.IGNORECASE)
_BETWEEN = re.compile(r"[^\w<>=*%.+-]+")


@dataclass(frozen=True)
class Rules:
    """What an example may be. ``tokens``: the most that a record may have, about; None: any number."""

    tokens: int | None = None
    personal_data: Literal["reject", "keep"] = "reject"


def forbidden_in(text: str) -> str | None:
    """The first text in ``text`` that Bedrock refuses in training data, in lower case, else None."""
    lowered = text.lower()
    return next((word for word in _FORBIDDEN if word in lowered), None)


def unwritable_in(text: str) -> str | None:
    """The first character that is half a surrogate pair or a control character (line breaks and tabs are none)."""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def fault(example: Example, rules: Rules) -> tuple[str, str] | None:
    """(reason, detail) of the first thing wrong with an example's own texts, else None."""
    if not example.question.strip() or not example.sql.strip():
        return "malformed", "no question" if example.sql.strip() else "no SQL"
    if len(example.question) > QUESTION_LIMIT:
        return "question too long", f"{len(example.question)} of {QUESTION_LIMIT} characters"
    if len(example.sql) > SQL_LIMIT:
        return "sql too long", f"{len(example.sql)} of {SQL_LIMIT} characters"
    for text in (example.question, example.sql, example.system or ""):
        if found := text_fault(text, rules):
            return found
    if holds_answer(example.question, example.sql):
        return "answer in question", ""
    return None


def text_fault(text: str, rules: Rules) -> tuple[str, str] | None:
    """(reason, detail) of the first thing in a text that is not to be taught, else None."""
    if character := unwritable_in(text):
        return "malformed", f"the character {character}, which no training file may have"
    if word := forbidden_in(text):
        return "forbidden text", f"{word!r}, which Bedrock refuses in training data"
    return _private(text, rules)


def _private(text: str, rules: Rules) -> tuple[str, str] | None:
    for found in personal.find(text):
        if found.sort == "secret":
            return "secret", found.kind
        if rules.personal_data == "reject":
            return "personal", found.kind
    return None


def holds_answer(question: str, sql: str) -> bool:
    """Whether the question has the query in it, however it is spaced and quoted, or has some query in a code block."""
    if _FENCE.search(question):
        return True
    if len(question) < len(sql) // 2:  # blanks and quotes are less than half of a query
        return False
    answer = _BETWEEN.sub(" ", sql.lower()).strip()
    return answer.count(" ") >= 2 and answer in _BETWEEN.sub(" ", question.lower())


def tokens(system: str, question: str, sql: str) -> int:
    """About how many tokens a record has, rather too many than too few; counted as `sqlora cost` counts them."""
    return int((len(system) + len(question) + len(sql)) / CHARACTERS_A_TOKEN) + 1


def presentable(example: Example) -> Example:
    """The example as it may be shown in a report: without secrets and personal data, and not for pages."""
    question, sql = _presentable(example.question), _presentable(example.sql)
    if question == example.question and sql == example.sql:
        return example
    return replace(example, question=question, sql=sql)


def _presentable(text: str) -> str:
    text = _CONTROL.sub("�", text)
    if len(text) > SQL_LIMIT:  # a shorter one that is too long is cut where it is shown
        text = f"{text[:SHOWN]}…"
    return personal.masked(text)
