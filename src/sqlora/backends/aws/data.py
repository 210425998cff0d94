"""A dataset on its way to AWS: checked line by line as the service will, then uploaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sqlora.backends.aws.storage import Storage
from sqlora.errors import DatasetError
from sqlora.platform.conversations import FEWEST, MOST, read_conversation
from sqlora.platform.ledger import Resource
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.examples import Split

__all__ = ["FEWEST", "MOST", "SPLITS", "check_dataset", "explain_failure", "upload_dataset"]

SPLITS: tuple[Split, ...] = ("train", "validation")
SHOWN = 20  # lines at fault that a message lists
_LINE = re.compile(r"\blines?\b\s*(?:number|no\.?)?\s*[:#=]?\s*([0-9]{1,9})", re.IGNORECASE)


def check_dataset(dataset: Dataset) -> dict[Split, int]:
    """How many records each split has; DatasetError lists the lines that the service would refuse, or their number.

    Rules: Nova's user guide, "Preparing data for fine-tuning understanding models", and AWS's own validator.
    """
    problems: list[str] = []
    counts = {split: _check_file(dataset.path(split), problems) for split in SPLITS}
    if counts["train"] < FEWEST:
        problems.append(f"dataset {dataset.id} has {counts['train']} training records; it takes at least {FEWEST}")
    if sum(counts.values()) > MOST:
        problems.append(
            f"dataset {dataset.id} has {sum(counts.values()):,} training and validation records; "
            f"the service takes {MOST:,} together"
        )
    if problems:
        more = f"\n… and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DatasetError(
            "\n".join(problems[:SHOWN]) + more, "correct the source of these records, then sqlora prepare"
        )
    return counts


def _check_file(file: Path, problems: list[str]) -> int:
    count = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                count += 1
                try:
                    read_conversation(line, f"{file} line {number}")
                except DatasetError as error:
                    problems.append(error.message)
    return count


def upload_dataset(storage: Storage, dataset: Dataset) -> dict[Split, Resource]:
    """The objects of the splits that have records."""
    return {
        split: storage.upload(dataset.path(split), f"datasets/{dataset.id}/{split}.jsonl")
        for split in SPLITS
        if dataset.path(split).stat().st_size
    }


def explain_failure(message: str, files: Mapping[str, Path]) -> str:
    """A job's failure message and, where it names a line of the data, that line in our own file.

    ``files``: s3:// address → the file that was uploaded there. The wording of AWS's messages is not documented: any
    "line 12" counts, of the file whose address or name is in the message, else of the first.
    """
    found = _LINE.search(message)
    if found is None or not files:
        return message
    named = [file for uri, file in files.items() if uri in message or file.name in message]
    if not named and "validation" in message.lower():
        named = [file for file in files.values() if file.stem == "validation"]
    file = (named or list(files.values()))[0]
    text = _read_line(file, int(found[1]))
    return message if text is None else f"{message}\n{file} line {found[1]}: {text}"


def _read_line(file: Path, number: int) -> str | None:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for place, line in enumerate(lines, 1):
                if place == number:
                    text = line.strip()
                    return text if len(text) <= 300 else f"{text[:299]}…"
    except OSError:
        pass
    return None
