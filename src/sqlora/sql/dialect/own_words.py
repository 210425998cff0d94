"""A query as it was written, where the dialect's normal form says it in other words.

sqlglot writes Snowflake's ``NVL(a, 0)`` as ``COALESCE(a, 0)`` and its ``MINUS`` as ``EXCEPT``. That means the same,
but it is not what somebody wrote who wants to be answered so.
"""

from __future__ import annotations

import re
from collections import Counter

import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

NOISE = frozenset({"AS", "ASC", "INNER", "OUTER"})  # words that may be left out
_LITERALS = frozenset(
    kind for kind in TokenType if kind in (TokenType.STRING, TokenType.NUMBER) or kind.name.endswith("_STRING")
)


def spelt(written: str, normal: str, base: str) -> str:
    """``normal`` if it is ``written`` but for spelling, else ``written`` on one line, without comments.

    Both are texts of the sqlglot dialect ``base`` that mean the same. Spelling is case, quotes, spaces, operators and
    words that may be left out: outside of literals there are the same words, as often.
    """
    if written == normal:
        return normal
    dialect = sqlglot.Dialect.get_or_raise(base)
    tokens = dialect.tokenize(written)
    if _words(tokens) == _words(dialect.tokenize(normal)):
        return normal
    text = _on_one_line(tokens, written)
    same = [(token.token_type, token.text) for token in dialect.tokenize(text)]
    return text if same == [(token.token_type, token.text) for token in _statement(tokens)] else normal


def _words(tokens: list[Token]) -> Counter[str]:
    texts = (token.text.upper() for token in tokens if token.token_type not in _LITERALS)
    return Counter(word for text in texts for word in re.findall(r"\w+", text) if word not in NOISE)


def _statement(tokens: list[Token]) -> list[Token]:
    return [token for token in tokens if token.token_type is not TokenType.SEMICOLON]


def _on_one_line(tokens: list[Token], sql: str) -> str:
    """The tokens as they stand, with one space where there were spaces or a comment."""
    parts: list[str] = []
    end = 0
    for token in _statement(tokens):
        text = sql[token.start : token.end + 1]
        if token.token_type not in _LITERALS and token.token_type is not TokenType.IDENTIFIER:
            text = " ".join(text.split())  # GROUP   BY
        parts += [" " if parts and token.start > end else "", text]
        end = token.end + 1
    return "".join(parts)
