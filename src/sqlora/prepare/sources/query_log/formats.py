"""Which kind of log a file is, and the statements in it, one at a time, in bounded memory."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files import read_rows
from sqlora.prepare.sources.files.lines import BREAKS, broken_off, open_file
from sqlora.prepare.sources.query_log.postgres_log import LOG_TIME, MESSAGE, TIME, read_csvlog
from sqlora.prepare.sources.query_log.seen import Seen, Unusable
from sqlora.prepare.sources.query_log.tables import EXPECTED, is_table, read_table
from sqlora.sql.dialect import Dialect
from sqlora.sql.statements import split

BLOCK = 2**16
PATIENCE = 100  # rows at a file's beginning of which one has to be usable


@dataclass(frozen=True)
class Log:
    """A log's ``kind`` and the dialect that its statements are in where the kind says so ('' where it does not)."""

    kind: str
    written_in: str


def recognize(path: Path) -> Log:
    """The kind of a log by its name and its beginning. DatasetError where it is none that is known."""
    with open_file(path) as (_, head):
        suffix = next((part.lower() for part in reversed(path.suffixes) if part.lower() != ".gz"), "")
        if suffix == ".sql":
            return Log("sql", "")
        text = head.decode("utf-8", errors="replace")
        if head.startswith(b"PAR1"):
            return Log("table", "")
        if text.lstrip().startswith(("{", "[")):
            lower = text.lower()
            marks = {'"query_text"': "snowflake", '"error_severity"': "postgres", '"calls"': "postgres"}
            return Log("table", next((dialect for mark, dialect in marks.items() if mark in lower), ""))
        for separator in ",;\t":
            first = _first_row(text, separator)
            if separator == "," and len(first) > MESSAGE and TIME.match(first[LOG_TIME]):
                return Log("csvlog", "postgres")
            if is_table(first):
                names = {name.strip().lower() for name in first}
                return Log("table", "snowflake" if "query_text" in names else "postgres" if "calls" in names else "")
        raise DatasetError(f"{path}:1: is not a query log that is known", EXPECTED)


def _first_row(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(text.split("\n"), delimiter=separator), [])
    except csv.Error:
        return []


def read_log(path: Path, log: Log, dialect: Dialect) -> Iterator[Seen | Unusable]:
    """The statements of a log of ``log.kind``; ``dialect`` tells where a statement of a .sql file ends.

    DatasetError with file and line where the file breaks off, or where none of its first rows is a log's.
    """
    if log.kind == "table":
        yield from _patiently(read_table(read_rows(path)), path)
        return
    with open_file(path) as (stream, _):
        if log.kind == "csvlog":
            yield from _patiently(read_csvlog(stream, path), path)
        else:
            yield from _statements(stream, path, dialect)


def _patiently(found: Iterator[Seen | Unusable], path: Path) -> Iterator[Seen | Unusable]:
    """What is found, unless nothing of the first rows is usable: then it is another kind of file."""
    used = False
    for count, each in enumerate(found, start=1):
        used = used or isinstance(each, Seen) or each.reason != "malformed"
        if not used and isinstance(each, Unusable) and count >= PATIENCE:
            raise DatasetError(f"{path}, {each.place}: {each.detail}", EXPECTED)
        yield each


def _statements(stream: BinaryIO, path: Path, dialect: Dialect) -> Iterator[Seen | Unusable]:
    for statement in split(_text(stream, path), dialect):
        place = f"line {statement.line}"
        if statement.too_long:
            yield Unusable("sql too long", f"more than {len(statement.text):,} characters", place)
        else:
            yield Seen(statement.text, place)


def _text(stream: BinaryIO, path: Path) -> Iterator[str]:
    """The text in blocks. What is not UTF-8 is a � : its statement is refused, those around it are not."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    line = 1
    while True:
        try:
            block = stream.read(BLOCK)
        except BREAKS as error:
            raise broken_off(path, line, error) from error
        line += block.count(b"\n")
        yield decoder.decode(block, final=not block).replace("\r\n", "\n").replace("\0", "�")
        if not block:
            return
