"""JSON lines, and a JSON array of any length, one value at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files.lines import BREAKS, LONGEST, Lines, broken_off
from sqlora.prepare.sources.files.row import Row, RowError, kind_of, printable

BLOCK = 2**18  # bytes read at a time

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def begins_array(head: bytes) -> bool:
    """Whether a file that begins so is one JSON array, rather than JSON lines."""
    return head.lstrip().startswith(b"[")


def read_json_lines(stream: BinaryIO, path: Path) -> Iterator[Row]:
    """A row for each line that is not empty."""
    lines = Lines(stream, path)
    while True:
        try:
            line = next(lines)
            if line.strip():
                yield _row(lines.number, json.loads(line))
        except StopIteration:
            return
        except RowError as error:
            yield Row(lines.number, problem=error.problem)
        except (ValueError, RecursionError) as error:
            yield Row(lines.number, problem=f"is not JSON: {_reason(error)}")


def _row(number: int, value: Any, item: int = 0) -> Row:
    if isinstance(value, dict):
        return Row(number, value, item=item)
    return Row(number, problem=f"is not a JSON object but {kind_of(value)}", item=item)


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else printable(str(error))


def read_json_array(stream: BinaryIO, path: Path) -> Iterator[Row]:
    """A row for each value. Where the array itself is broken, what follows can't be told apart: DatasetError."""
    text = _Text(stream, path)
    text.take("[")
    if text.next() == "]":
        text.take("]")
    else:
        separator, item = ",", 0
        while separator == ",":
            number, item = text.line, item + 1
            yield _row(number, text.value(), item)
            separator = text.next()
            text.take("," if separator == "," else "]")
            text.next()
    if text.next():
        text.fail("has more text behind the array")


class _Text:
    """Text that is read as it is needed; never more than one value and a block of it are held."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.line = 1
        self._stream, self._path = stream, path
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._whole = "", 0, False

    def next(self) -> str:
        """The next character that is not a space, '' at the end; ``line`` is its line."""
        while True:
            found = _SPACE.match(self._text, self._at)
            assert found is not None  # it matches nothing as well
            self._go_to(found.end())
            if self._at < len(self._text) or self._whole:
                return self._text[self._at : self._at + 1]
            self._read(BLOCK)

    def take(self, character: str) -> None:
        """Step over ``character``."""
        if (found := self.next()) != character:
            said = f"{printable(found)!r} where {character!r} was expected" if found else "it ends within the array"
            self.fail(f"is not JSON: {said}")
        self._go_to(self._at + 1)

    def value(self) -> Any:
        """The value that begins here."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                self.fail(f"is not JSON: {_reason(error)}")
            except ValueError as error:
                held = len(self._text) - self._at
                if self._whole or held > LONGEST:
                    if held > LONGEST:
                        self.fail(f"has a value of more than {LONGEST:,} characters")
                    # The decoder counts lines and columns from where our buffer begins, so they would mislead.
                    self.fail(f"is not JSON: {getattr(error, 'msg', '') or printable(str(error))}")
                self._read(max(BLOCK, held))
                continue
            if end < len(self._text) or self._whole:  # else a number may go on
                self._go_to(end)
                return value
            self._read(BLOCK)

    def fail(self, problem: str) -> NoReturn:
        """DatasetError with the line reached."""
        raise DatasetError(f"{self._path}:{self.line}: {problem}", "correct the file from that line on")

    def _go_to(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _read(self, size: int) -> None:
        try:
            block = self._stream.read(size)
        except BREAKS as error:
            raise broken_off(self._path, self.line, error) from error
        self._whole = not block
        try:
            self._text = self._text[self._at :] + self._decoder.decode(block, self._whole)
        except UnicodeDecodeError:
            self.fail("is not UTF-8 text in what follows")
        self._at = 0
