"""SQL files, statement by statement: read in pieces, so that a file of any size takes little memory.

Where a statement ends is for the dialect's own tokenizer to say, which knows its quotes and comments; a semicolon in
a string ends nothing. What only clients of a database understand is understood here too: ``GO`` (SQL Server), ``/``
alone on a line (Oracle), ``DELIMITER //`` (MySQL), and the semicolons between BEGIN and END of a procedure.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import sqlglot
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.errors import DatasetError
from sqlora.sql.dialect import Dialect
from sqlora.sql.dialect.words import house_tokenizer

PIECE = 65_536  # characters read at a time, at most to the end of a line
LONGEST = 250_000  # characters of one statement; parsing takes about a kilobyte of memory for each

_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",  # how SQL Server Management Studio saves
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Statement:
    """One statement of a file, without its semicolon.

    ``line`` and ``column`` (from 1) are where its first token stands, ``lead`` is what stands before it since the last
    statement (comments, empty lines), ``indent`` the part of its first line that is before it. ``too_long``: it has
    more than `LONGEST` characters, and ``text`` is only its beginning.
    """

    text: str
    line: int = 1
    column: int = 1
    lead: str = ""
    indent: str = ""
    too_long: bool = False

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Line and column in the file of a place in the statement (0, 0 for one that is not known)."""
        if not line:
            return self.line, self.column
        return self.line + line - 1, column + (self.column - 1 if line == 1 else 0)

    def source_line(self, line: int) -> str:
        """The file's line ``line`` as far as it belongs to the statement or stands before it."""
        lines = (self.indent + self.text).split("\n")
        index = line - self.line
        return lines[index] if 0 <= index < len(lines) else ""


def tokens_of(dialect: Dialect, sql: str) -> list[Token]:
    """The tokens of text in ``dialect`` as they stand. TokenError for a quote that is not closed."""
    base = sqlglot.Dialect.get_or_raise(dialect.base)
    if dialect.spec is None:
        return base.tokenize(sql)
    return house_tokenizer(dialect.spec, base)(dialect=base).tokenize(sql)


def read_statements(path: Path, dialect: Dialect, tail: bool = False) -> Iterator[Statement]:
    """The statements of a file, or of standard input for ``-``; ``tail`` as for `split`.

    DatasetError for a file that cannot be read or is not text, once what is before the fault has been given.
    """
    yield from split(_pieces(path), dialect, tail)


def _pieces(path: Path) -> Iterator[str]:
    """The text in pieces of some `PIECE` bytes, its line ends made \\n."""
    name = "standard input" if str(path) == "-" else str(path)
    line, half, decoder = 1, "", None
    with _opened(path, name) as file:
        while True:
            try:
                data = file.read(PIECE)
            except OSError as error:
                raise DatasetError(f"{name} cannot be read: {error.strerror or error}") from None
            if decoder is None:
                encoding = next((kind for bom, kind in _ENCODINGS.items() if data.startswith(bom)), "utf-8")
                decoder = codecs.getincrementaldecoder(encoding)()
            try:
                text = half + decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                number = line + error.object[: error.start].count(b"\n")
                raise DatasetError(
                    f"{name}, line {number}: the byte 0x{error.object[error.start]:02x} is not {encoding.upper()} text",
                    f"save it as UTF-8, such as: iconv -f WINDOWS-1252 -t UTF-8 {name}",
                ) from None
            if "\0" in text:
                number = line + text[: text.index("\0")].count("\n")
                raise DatasetError(f"{name}, line {number}: a zero byte, so this is no SQL text", "give a file of SQL")
            half = "\r" if data and text.endswith("\r") else ""  # perhaps half of a line's end
            text = text.removesuffix(half).replace("\r\n", "\n").replace("\r", "\n")
            yield text
            if not data:
                return
            line += text.count("\n")


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except IsADirectoryError:
        raise DatasetError(f"{name} is a folder", f"give its files: {name}/*.sql") from None
    except OSError as error:
        raise DatasetError(f"{name} cannot be read: {error.strerror}", "check the file's name") from None
    with file:
        yield file


def split(pieces: Iterable[str], dialect: Dialect, tail: bool = False) -> Iterator[Statement]:
    """The statements of text that comes in ``pieces``; with ``tail``, comments after the last are one without text."""
    splitter, client = _Splitter(dialect), _Client(dialect.base)
    for piece in _by_lines(pieces) if client.has_commands else pieces:
        yield from splitter.feed(client.read(piece, splitter.is_empty))
    yield from splitter.end(tail)


def _by_lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).splitlines(keepends=True) or [""]
        yield from lines
        if rest.endswith("\n") or len(rest) > PIECE:
            yield rest
            rest = ""
    yield rest


class _Splitter:
    """Collects text until a statement is complete."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.text = ""  # since the last statement
        self.line = 1  # of its first character
        self.indent = ""  # what stood before it on that line
        self.next_try = 0
        self.skipping = False  # over the rest of a statement that was too long

    @property
    def is_empty(self) -> bool:
        """Whether no statement has begun."""
        return not self.text.strip()

    def feed(self, piece: str) -> Iterator[Statement]:
        """Add a piece; the statements that are complete now."""
        self.text += piece
        if self.skipping:
            self._skip()
        full = len(self.text) > LONGEST
        if self.skipping or (not full and (";" not in piece or len(self.text) < self.next_try)):
            return
        yield from self._complete(force=full)
        if len(self.text) > LONGEST:
            start = len(self.text) - len(self.text.lstrip())
            yield self._statement(start, start + LONGEST, too_long=True)
            self.skipping = True
            self._skip()

    def end(self, tail: bool) -> Iterator[Statement]:
        """The statements that are left; with ``tail`` what follows the last one too, as the lead of an empty one."""
        if self.skipping:
            return
        yield from self._complete(force=True)
        tokens = self._tokens()[0]
        start = next((token.start for token in tokens if token.token_type is not TokenType.SEMICOLON), len(self.text))
        last = self._statement(start, len(self.text))
        if last.text or (tail and last.lead.strip(";\n ")):
            yield last

    def _complete(self, force: bool = False) -> Iterator[Statement]:
        """The complete statements at the beginning of the text. ``force``: a quote that is open stays so."""
        while True:
            tokens, broken = self._tokens()
            done = 0
            for first, end in _ends(tokens):
                yield self._statement(tokens[first].start, tokens[end].start, done)
                done = tokens[end].end + 1
            self._drop(done)
            if broken is None or not force:
                self.next_try = 2 * len(self.text) if broken is not None else 0
                return
            # What follows the statement with the open quote is looked at all the same.
            start = next((token.start - done for token in tokens if token.start >= done), broken - done)
            stop = self._resume(broken - done)
            yield self._statement(start, stop)
            self._drop(stop + 1)

    def _tokens(self) -> tuple[list[Token], int | None]:
        """The tokens, up to a quote that is not closed yet; the offset of that quote."""
        try:
            return tokens_of(self.dialect, self.text), None
        except TokenError as error:
            found = re.search(r"Missing .+ from \d+:(\d+)", str(error.__cause__ or error))
            broken = min(int(found[1]), len(self.text) - 1) if found else int(error.start or 0)
            if isinstance(error.__cause__, IndexError):  # a quote at the end, of one character or, as $$, of two
                broken = len(self.text.rstrip()) - (2 if self.text.rstrip().endswith("$$") else 1)
            # sqlglot's place may be that of the line's end before the quote.
            broken += len(self.text[broken:]) - len(self.text[broken:].lstrip())
        try:
            return tokens_of(self.dialect, self.text[:broken]), broken
        except TokenError:
            return [], broken

    def _resume(self, broken: int) -> int:
        """Where the statement with the open quote is taken to end: at a semicolon that ends a line."""
        found = re.compile(r";[ \t]*(?=\n|$)").search(self.text, broken)
        return found.start() if found else len(self.text)

    def _skip(self) -> None:
        """Throw away up to a semicolon that ends a line."""
        found = re.search(r";[ \t]*\n", self.text)
        self._drop(found.end() if found else max(0, len(self.text) - 100))
        self.skipping = found is None

    def _statement(self, start: int, end: int, done: int = 0, too_long: bool = False) -> Statement:
        lead = self.text[done:start]
        before = self.text[:start]
        lines = before.count("\n")
        last = before.rpartition("\n")[2]
        indent = last if lines else self.indent + last
        text = self.text[start:end].rstrip()
        return Statement(text, self.line + lines, len(indent) + 1, lead, indent, too_long)

    def _drop(self, count: int) -> None:
        gone, self.text = self.text[:count], self.text[count:]
        lines = gone.count("\n")
        self.line += lines
        last = gone.rpartition("\n")[2]
        self.indent = (last if lines else self.indent + last)[-1_000:]


# What a procedure's body begins and ends with, so that its own semicolons do not end it.
_ROUTINES = {"PROCEDURE", "PROC", "FUNCTION", "TRIGGER", "PACKAGE"}
_LOOPS = {"IF", "LOOP", "WHILE", "REPEAT", "FOR"}
_TRANSACTION = {"TRANSACTION", "TRAN", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", ";"}


def _ends(tokens: list[Token]) -> list[tuple[int, int]]:
    """(first token, semicolon) of each complete statement; empty ones are left out."""
    found: list[tuple[int, int]] = []
    first, depth, has_body = 0, 0, False
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.SEMICOLON:
            if depth:
                continue
            if index > first:
                found.append((first, index))
            first, has_body = index + 1, False
            continue
        word = token.text.upper()
        following = tokens[index + 1].text.upper() if index + 1 < len(tokens) else ";"
        is_block = index == first and following not in _TRANSACTION
        if word == "BEGIN" and (is_block or _is_routine(tokens, first, index)):
            depth, has_body = depth + 1, True
        elif has_body and word in ("BEGIN", "CASE") and not _follows_end(tokens, index):
            depth += 1
        elif has_body and word == "END" and following not in _LOOPS:
            depth = max(0, depth - 1)
    return found


def _is_routine(tokens: list[Token], first: int, index: int) -> bool:
    words = [token.text.upper() for token in tokens[first : min(first + 8, index)]]
    return words[:1] in (["CREATE"], ["ALTER"]) and not _ROUTINES.isdisjoint(words)


def _follows_end(tokens: list[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].text.upper() == "END"


class _Client:
    """Commands of a database's own command line, a line each, as semicolons."""

    def __init__(self, base: str) -> None:
        self.has_go = base in ("tsql", "fabric")
        self.has_slash = base == "oracle"
        self.has_delimiter = base in ("mysql", "doris", "starrocks", "singlestore")
        self.has_backslash = base in ("postgres", "redshift", "materialize", "risingwave")
        self.delimiter = ";"

    @property
    def has_commands(self) -> bool:
        """Whether there are any, so that text has to come by lines."""
        return self.has_go or self.has_slash or self.has_delimiter or self.has_backslash

    def read(self, line: str, is_first: bool) -> str:
        """The line as a tokenizer may read it, as long as it was; ``is_first``: no statement has begun."""
        word = line.strip()
        is_go = self.has_go and re.fullmatch(r"(?i)go(\s+\d+)?", word)
        if is_go or (self.has_slash and word == "/"):
            return _padded(";", line)
        if self.has_delimiter and (found := re.fullmatch(r"(?i)delimiter\s+(\S+)", word)):
            self.delimiter = found[1]
            return _padded("", line)
        if self.delimiter != ";" and word.endswith(self.delimiter):
            head, _, tail = line.rpartition(self.delimiter)
            return head + ";".ljust(len(self.delimiter)) + tail
        if self.has_backslash and is_first and word.startswith("\\"):
            return line.rstrip("\n") + ";\n"
        return line


def _padded(text: str, line: str) -> str:
    content = line.rstrip("\n")
    return text.ljust(len(content)) + line[len(content) :]
