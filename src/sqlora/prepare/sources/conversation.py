"""What a chat's record holds of use here: a question, its SQL and, where somebody wrote it down there, the schema.

Instructions are left behind: what is taught has sqlora's own (`sqlora.prompting`), so that every source teaches one
prompt. Tables in CREATE TABLE statements, in the instructions or around the question, become the example's schema.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.files import Row, RowError
from sqlora.prompting import clean_sql

# All patterns here are read against texts of megabytes that anybody may have written: none may go back over its tracks.
_NAME = r"""(?:[^\s("`\[]++|"[^"]{1,200}+"|`[^`]{1,200}+`|\[[^]]{1,200}+]|\s++)"""
_CREATE = re.compile(
    rf"\bCREATE\s++(?:(?:OR\s++REPLACE|TEMP(?:ORARY)?|EXTERNAL)\s++)*+TABLE\s++{_NAME}{{1,20}}+\(", re.IGNORECASE
)
_PARENTHESES = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|[()]")
_OPENING = re.compile(
    r"(?:(?:return|write|generate) (?:the|a|an) sql query that answers the following question|(?:#+ )?question):",
    re.IGNORECASE,
)
_ABOUT_TABLES = re.compile(r"schema|context|table|database", re.IGNORECASE)
LONGEST_LABEL = 100  # characters of "Here is the schema:"


def candidate_of(
    system: str, question: str, sql: str, row: Row, name: str, split: Split | None, written_in: str | None
) -> Candidate:
    """The candidate of one exchange; RowError where there is no question or no SQL in it."""
    tables, asked = _tables_apart(question.strip())
    asked = _question_in(asked)
    ddl = tables or _tables_apart(system)[0]
    answer = clean_sql(sql)
    if not asked:
        raise RowError("has no question in what the user says")
    if not answer:
        raise RowError("has no SQL in the answer")
    example = Example(asked, answer, name, split)
    return Candidate(example, f"{name} {row.place}", ddl=ddl or None, written_in=written_in, run=not ddl)


def text_of(content: Any, what: str) -> str:
    """A message's text: a text, or blocks of which each has one; RowError for images, tools and the like."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block in content if isinstance(content, list) else [None]:
        text = block.get("text") if isinstance(block, dict) else block
        if not isinstance(text, str):
            raise RowError(f"{what} is more than text, or none")
        texts.append(text)
    return "\n".join(texts)


@lru_cache(maxsize=8)
def _tables_apart(text: str) -> tuple[str, str]:
    """(its CREATE TABLE statements up to their closing parentheses, what is left); most records share their schema."""
    statements: list[str] = []
    rest: list[str] = []
    place = 0
    while found := _CREATE.search(text, place):
        end = _closing(text, found.end() - 1)
        if end is None:
            break
        statements.append(text[found.start() : end])
        rest.append(_without_label(text[place : found.start()]))
        place = end
    rest.append(text[place:])
    left = "\n".join(part.strip(" \t\r\n;`") for part in rest) if statements else text
    return ";\n".join(statements), left.strip()


def _closing(text: str, opening: int) -> int | None:
    """Where the parenthesis that opens at ``opening`` is closed, texts and comments aside; None where it isn't."""
    depth = 0
    for found in _PARENTHESES.finditer(text, opening):
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
            if not depth:
                return found.end()
    return None


def _without_label(text: str) -> str:
    """The text without a last line such as "Here is the schema:", and the fence of code that follows it."""
    before, _, last = text.rstrip().rpartition("\n")
    if last.startswith("```"):
        before, _, last = before.rstrip().rpartition("\n")
    is_label = len(last) <= LONGEST_LABEL and last.endswith(":") and _ABOUT_TABLES.search(last)
    return before if is_label else f"{before}\n{last}"


def _question_in(text: str) -> str:
    """The question without what widely used notebooks put around it, Amazon Nova's text-to-SQL samples among them."""
    if text.startswith("### Input:"):
        return text.removeprefix("### Input:").partition("### Context:")[0].partition("### Response:")[0].strip()
    opening = _OPENING.match(text)
    return text[opening.end() :].strip() if opening else text
