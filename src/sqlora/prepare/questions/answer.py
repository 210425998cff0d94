"""Is what a model wrote a question for the query? Its text is as little trusted as the log's that it was shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

SHORTEST, LONGEST = 8, 300  # characters
READ = 20_000  # characters of an answer: what is longer is not what was asked for
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])?\s*(.*?)\s*$")
_FOREIGN = re.compile(r"https?://|www\.|[`<>{}|\\;]|\bselect\b.*\bfrom\b|\b(?:system|assistant|user) ?:", re.IGNORECASE)
_SUSPICIOUS = re.compile(
    r"\b(?:ignor|disregard|instruct|prompt|drop|delet|truncat|insert|updat|grant|password|secret)\w*", re.IGNORECASE
)
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])")
_DAY = re.compile(r"(\d{4})-\d{2}(?:-\d{2})?.*", re.DOTALL)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COMMON = frozenset(
    """
    what which whose where when that than this there their they them show list give find many much with from have does
    were been each only first last most least more less over into number total average count before after between
    """.split()  # noqa: SIM905
)


def questions_in(text: str) -> list[str]:
    """The questions of an answer: a JSON array of texts, or one on each line."""
    text = re.sub(r"^```\w*|```$", "", text.strip()[:READ])
    start, end = text.find("["), text.rfind("]")
    if 0 <= start < end:
        try:
            found = json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return [" ".join(item.split()) for item in found if isinstance(item, str)]
    items = (_ITEM.match(line) for line in text.splitlines())
    return [item[1].strip("\"'") for item in items if item and item[1]]


def problem(question: str, sql: str, meaning: str) -> str | None:
    """What keeps ``question`` from being one for ``sql``, whose meaning in words is ``meaning``; None if nothing does.

    It has every value of the query and no other, and speaks of what the query is about.
    """
    if not SHORTEST <= len(question) <= LONGEST:
        return f"has {len(question)} characters"
    if found := _FOREIGN.search(question):
        return f"has {found[0][:20]!r} in it"
    for word in _SUSPICIOUS.findall(question):
        if word.lower() not in f"{sql} {meaning}".lower():
            return f"has {word!r} in it"
    said = question.lower().replace(",", "")
    for value in _values(sql):
        if not _has(said, value):
            return f"does not say {value}"
    known = {number.lstrip("0") for text in (sql, meaning) for number in re.findall(r"\d+", text.replace(",", ""))}
    for number in re.findall(r"\d+", said):
        if number.lstrip("0") not in known:
            return f"says {number}, which the query does not"
    # Its values alone don't make a question one about the query: it needs a word of the tables and columns.
    about = _stems(f"{_TEXT.sub(' ', sql)} {meaning}") - _stems(" ".join(_TEXT.findall(sql))) - _COMMON
    if not about & _stems(said):
        return "has no word of what the query is about"
    return None


def _values(sql: str) -> Iterator[str]:
    """The values that a question for the query has to say: texts, years, numbers but 0 and 1."""
    for text in _TEXT.findall(sql):
        if day := _DAY.fullmatch(text):
            yield day[1]
        elif re.search(r"\w", text):
            yield text.replace("''", "'").strip("%_ ").lower()
    for number in _NUMBER.findall(_TEXT.sub("''", sql)):
        if number not in ("0", "1"):
            yield number


def _has(said: str, value: str) -> bool:
    if value.isdigit() and int(value) < len(_WORDS) and re.search(rf"\b{_WORDS[int(value)]}\b", said):
        return True
    return value.replace(",", "") in said


def _stems(text: str) -> set[str]:
    """The beginnings of the longer words: ``customers`` and ``customer`` are one."""
    return {word if word in _COMMON else word[:5] for word in re.findall(r"[^\W\d_]{4,}", text.lower())}
