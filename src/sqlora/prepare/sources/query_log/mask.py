"""Statements that differ only in their values, comments and spaces are one: as pg_stat_statements sees them.

It is done on text, because a log is too long to parse every line of it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property

import sqlglot

from sqlora.sql.dialect import Dialect
from sqlora.sql.dialect.words import house_tokenizer

KNOWN = 20_000  # texts whose mark is remembered, since most of a log is the same texts again

_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)")
_NUMBER = re.compile(r"'-?\d{1,18}(?:\.\d+)?'")
_ITEMS = re.compile(r"""'\{((?:[\w. -]+|"[^"'\\{},]*")(?:,(?:[\w. -]+|"[^"'\\{},]*"))*)\}'""")
_FIRST_WORD = re.compile(r"[\s(;]*(\w+)")


class Mask:
    """Masks statements in one dialect, whose quotes and escapes it knows."""

    def __init__(self, dialect: Dialect) -> None:
        base = sqlglot.Dialect.get_or_raise(dialect.base)
        tokenizer = base.tokenizer_class if dialect.spec is None else house_tokenizer(dialect.spec, base)
        # Longer ones first: BigQuery has ''' as well as '.
        quotes = sorted((_pair(quote) for quote in tokenizer.QUOTES), key=lambda pair: -len(pair[0]))
        names = [_pair(quote) for quote in tokenizer.IDENTIFIERS]
        backslash = "\\" in tokenizer.STRING_ESCAPES
        # What stands before is looked at after the first character has matched: it is tried at every place of the text.
        escaped = _quoted("'", "'", escapes=True)
        parts = [
            r"(?P<gap>--[^\n]*|/\*.*?(?:\*/|\Z))",
            r"(?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))",
            *(f"(?P<name{index}>{_quoted(*pair, escapes=False)})" for index, pair in enumerate(names)),
            rf"(?P<escaped>[eE](?<!\w[eE]){escaped})",
            *(
                f"(?P<text{index}>(?:\\b[nNbBxXrR])?{_quoted(*pair, escapes=backslash)})"
                for index, pair in enumerate(quotes)
            ),
            r"(?P<parameter>\$(?<![\w$]\$)\d+|\?\d*|:(?<![:\w]:)\w+|%\(\w+\)s|%s)",
            r"(?P<number>(?:\d(?<![\w$]\d)\d*(?:\.\d*)?|\.(?<![\w$]\.)\d+)(?:[eE][+-]?\d+)?)",
        ]
        self._pattern = re.compile("|".join(parts), re.DOTALL)
        self._marks: dict[str, bytes] = {}

    def mask(self, sql: str) -> str:
        """The statement in lower case with ``?`` for each value, one for a list of them."""
        masked = " ".join(self._pattern.sub(_replacement, sql).split())  # spaces one by one would be most matches
        return _LIST.sub("(?)", masked).strip(" ;").lower()

    def mark(self, sql: str) -> bytes:
        """16 bytes that are the same for statements that differ in no more than their values."""
        known = self._marks.get(sql)
        if known is None:
            known = hashlib.blake2b(self.mask(sql).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if len(sql) <= 2_000:
                if len(self._marks) >= KNOWN:
                    self._marks.clear()
                self._marks[sql] = known
        return known

    @cached_property
    def _gaps(self) -> re.Pattern[str]:
        return re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)

    def bind(self, sql: str, parameters: tuple[str, ...]) -> str:
        """The statement with the values of $1, $2 … in their places, as far as they are known.

        Those without a value come in a form that sqlglot reads: of ``$1,$2`` it takes ``$1,$`` for a quote that opens,
        and SQLite's ``?1`` it does not know.
        """
        if "$" not in sql and "?" not in sql:
            return sql

        def value(found: re.Match[str]) -> str:
            kind, digits = found[0][0], found[0][1:]
            if found.lastgroup != "parameter" or kind not in "$?" or not digits:
                return found[0]
            if kind == "?":
                return "? "
            number = int(digits[:9]) - 1
            text = parameters[number] if 0 <= number < len(parameters) else ""
            return _bound(text) or f" {found[0]} "

        return self._pattern.sub(value, sql)

    def verb(self, sql: str) -> str:
        """The first word of the statement in capitals, '' where it begins with none."""
        gap = self._gaps.match(sql)
        word = _FIRST_WORD.match(sql, gap.end() if gap else 0)
        return word[1][:20].upper() if word else ""


def _replacement(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    if kind == "gap":
        return " "
    return found[0] if kind.startswith("name") else "?"


def _bound(text: str) -> str:
    """A parameter's value as SQL: a log puts numbers in quotes, and writes lists as '{1,2}'."""
    if _NUMBER.fullmatch(text):
        return text[1:-1]
    if items := _ITEMS.fullmatch(text):
        values = ["'" + item.strip('"') + "'" for item in items[1].split(",")]
        return f"ARRAY[{', '.join(map(_bound, values))}]"
    return text


def _pair(quote: str | tuple[str, str]) -> tuple[str, str]:
    return (quote, quote) if isinstance(quote, str) else quote


def _quoted(opening: str, closing: str, escapes: bool) -> str:
    """A pattern for text in quotes; a quote that is never closed goes to the end."""
    first, last = re.escape(opening), re.escape(closing)
    if len(closing) > 1:
        return f"{first}.*?(?:{last}|\\Z)"
    inner = rf"(?:[^{last}\\]|\\.|{last}{last})*+" if escapes else f"(?:[^{last}]|{last}{last})*+"
    return rf"{first}{inner}(?:{last}|\\?\Z)"
