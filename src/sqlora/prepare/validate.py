"""Is a file of training records one that a backend takes? Every line at fault, before anything is uploaded or trained.

    bedrock, sagemaker   the rules of Nova's user guide and of AWS's own validator (`sqlora.platform.conversations`):
                         fields, turns, forbidden words, number of records, their length, the file's name
    local                what sqlora's own trainer reads: turns that end with the assistant's, and their length

The file is read line by line, so that its size does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlora.cost.training import count_tokens_estimate
from sqlora.errors import DatasetError
from sqlora.platform.conversations import FEWEST, MOST, read_conversation, read_object
from sqlora.prepare.limits import BEDROCK_TOKENS, LOCAL_TOKENS, NOVA_RECIPE_TOKENS
from sqlora.prepare.texts import unwritable_in
from sqlora.prompting import read_turns

Backend = Literal["local", "bedrock", "sagemaker"]
LONGEST = {"local": LOCAL_TOKENS, "bedrock": BEDROCK_TOKENS, "sagemaker": NOVA_RECIPE_TOKENS}  # tokens of a record
LINE = 8 * 2**20  # bytes; 32,000 tokens are some 150 kB
KEPT = 1_000  # problems that are listed; the others are counted

_NAME = re.compile(r"[A-Za-z0-9_./-]+\.jsonl")


@dataclass(frozen=True)
class Problem:
    """What is wrong on a ``line``; 0 is the whole file."""

    line: int
    message: str
    next_step: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True)
class Validation:
    """``problems`` are the first `KEPT` of ``count``."""

    file: Path
    backend: Backend
    records: int
    problems: tuple[Problem, ...]
    count: int

    @property
    def passed(self) -> bool:
        """Whether the backend takes the file."""
        return not self.count


def validate(file: Path, backend: Backend = "bedrock", longest: int | None = None) -> Validation:
    """Check a JSONL file against a backend's rules; ``longest``: tokens of a record, where it is not the backend's own.

    DatasetError when the file can't be opened; everything in it is a `Problem`.
    """
    problems: list[Problem] = []
    count = records = 0
    for found in _examine(file, backend, longest or LONGEST[backend]):
        if found is None:
            records += 1
            continue
        count += 1
        if len(problems) < KEPT:
            problems.append(found)
    for found in _of_file(file, backend, records):
        count += 1
        problems.append(found)
    return Validation(file, backend, records, tuple(sorted(problems, key=lambda problem: problem.line)), count)


def _examine(file: Path, backend: Backend, longest: int) -> Iterator[Problem | None]:
    """For each record None, and what is wrong with it."""
    for number, line in _lines(file):
        if line is not None and not line.strip():
            continue
        yield None
        if line is None:
            yield Problem(number, f"the line has more than {LINE:,} bytes", "leave that record out")
            continue
        try:
            record = _local(line) if backend == "local" else read_conversation(line, "")
        except DatasetError as error:
            yield Problem(number, error.message.removeprefix(": "), "correct that line")
            continue
        tokens = count_tokens_estimate([record])
        if tokens > longest:
            message = f"the record has about {tokens:,} tokens; {longest:,} are read while training"
            yield Problem(number, message, "name fewer tables in its schema, or leave that record out")


def _lines(file: Path) -> Iterator[tuple[int, bytes | None]]:
    """Number and bytes of each line; None for one that is longer than `LINE`, which is not held in memory."""
    try:
        with file.open("rb") as stream:
            number = 0
            while line := stream.readline(LINE + 1):
                number += 1
                if len(line) <= LINE:
                    yield number, line
                    continue
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LINE)
                yield number, None
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}", "sqlora prepare --check FILE.jsonl") from None


def _local(line: bytes) -> dict[str, Any]:
    """The record, if sqlora's own trainer can learn from it."""
    try:
        record = read_object(line)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    try:
        system, turns = read_turns(record)
    except DatasetError:
        raise DatasetError(_fault(record)) from None
    if turns[-1].role != "assistant":
        raise DatasetError("the last turn is not the assistant's")
    for text in (system, *(turn.text for turn in turns)):
        if character := unwritable_in(text):
            raise DatasetError(f"a text has the character {character}")
    return record


def _fault(record: dict[str, Any]) -> str:
    """Why `read_turns` can't read a record, by the names that the record has."""
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages is not a list of turns"
    if record.get("system") and (fault := _blocks_fault(record["system"], "system")):
        return fault
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict):
            return f"{where} is not an object"
        if (role := message.get("role")) not in ("user", "assistant"):
            return f"{where}.role is {str(role)[:40]!r}, not 'user' or 'assistant'"
        if fault := _blocks_fault(message.get("content"), f"{where}.content"):
            return fault
    if messages[0]["role"] != "user":
        return "the first turn is not the user's"
    return "is not a training record"


def _blocks_fault(blocks: Any, where: str) -> str:
    if not isinstance(blocks, list) or not blocks:
        return f'{where} is not a list of {{"text": "…"}}'
    faults = (place for place, block in enumerate(blocks) if not _is_text(block))
    return next((f'{where}[{place}] is not {{"text": "…"}}' for place in faults), "")


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("text"), str)


def _of_file(file: Path, backend: Backend, records: int) -> Iterable[Problem]:
    if backend == "local":
        if not records:
            yield Problem(0, "the file has no records", "sqlora prepare")
        return
    if not _NAME.fullmatch(file.name):
        rule = "letters, digits, '-', '_' and '.', and ends in .jsonl"
        yield Problem(0, f"the service takes a file whose name has {rule}; this is {file.name!r}", "rename the file")
    if records < FEWEST:
        yield Problem(0, f"{records} records; the service takes at least {FEWEST} to train on", "add examples")
    if records > MOST:
        message = f"{records:,} records; the service takes {MOST:,}, those to validate by included"
        yield Problem(0, message, "set count in [[sources]], or split the file")
