"""A job's data: fetched from the bucket and checked line by line, then a dataset like those that ``prepare`` writes.

Only one record is in memory at a time, so 20,000 long ones cost disk and no memory. A restart begins again: the
bucket may have changed, and half a file is not a dataset.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlora.errors import ConfigError, DatasetError, NotFoundError
from sqlora.platform.conversations import FEWEST, MOST, read_conversation, system_of, texts
from sqlora.platform.names import now
from sqlora.platform.objects import Objects
from sqlora.prepare.dataset import CARD, SIDECAR

LARGEST = 2 * 2**30  # bytes of records; 20,000 of 32k tokens each would be about this
EXTENSION = ".jsonl"
FOLDER = "input"
SPLITS = ("train", "validation")

CheckStop = Callable[[], None]


@dataclass(frozen=True)
class Fetched:
    """What lies in a job's ``input`` folder. ``system`` is the text that all training records share, else None."""

    counts: dict[str, int]
    system: str | None


def fetch(
    objects: Objects,
    training: Sequence[str],
    validation: Sequence[str],
    folder: Path,
    check_stop: CheckStop = lambda: None,
) -> Fetched:
    """Copy the records of all files into ``folder``'s train.jsonl and validation.jsonl, checking each.

    ``check_stop`` is called at every record and may raise. DatasetError names file and line; ConfigError and
    NotFoundError name the URI.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reading = _Reading(objects, check_stop)
    counts = {
        split: reading.copy(split, _files(objects, uris), folder / f"{split}{EXTENSION}")
        for split, uris in (("train", training), ("validation", validation))
    }
    if counts["train"] < FEWEST:
        raise DatasetError(f"{', '.join(training)}: {counts['train']} training records; at least {FEWEST} are required")
    shared = reading.systems.pop() if len(reading.systems) == 1 else None
    return Fetched(counts, shared or None)


class _Reading:
    """One pass over a job's files, counting records and bytes over all of them."""

    def __init__(self, objects: Objects, check_stop: CheckStop) -> None:
        self._objects, self._check_stop = objects, check_stop
        self._records = self._bytes = 0
        self.systems: set[str] = set()  # of the training records; two of them are as good as many

    def copy(self, split: str, uris: Iterable[str], file: Path) -> int:
        """Write the records of ``uris`` to ``file``; how many there are."""
        before = self._records
        with file.open("w", encoding="utf-8") as stream:
            for uri in uris:
                for number, line in enumerate(self._objects.open(uri), 1):
                    self._check_stop()
                    if line.strip():
                        record = self._record(line, f"{uri} line {number}")
                        stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                        if split == "train" and len(self.systems) < 2:
                            self.systems.add(system_of(record))
        return self._records - before

    def _record(self, line: bytes, where: str) -> dict[str, Any]:
        self._records += 1
        self._bytes += len(line)
        if self._records > MOST:
            raise DatasetError(f"{where}: more than {MOST:,} training and validation records together")
        if self._bytes > LARGEST:
            raise DatasetError(f"{where}: more than {LARGEST:,} bytes of records")
        return read_conversation(line, where)


def _files(objects: Objects, uris: Sequence[str]) -> list[str]:
    """The URIs themselves; of a folder, its JSON-lines files."""
    found: list[str] = []
    for uri in uris:
        if uri.endswith("/"):
            inside = [each for each in objects.list(uri) if each.endswith(EXTENSION)]
            if not inside:
                raise NotFoundError(f"{uri} holds no {EXTENSION} file")
            found += inside
        elif not uri.endswith(EXTENSION):
            raise ConfigError(f"{uri}: the extension of a dataset's file is {EXTENSION}")
        else:
            found.append(uri)
    return found


def write(folder: Path, dataset: Callable[[str], Path], fetched: Fetched, source: str) -> str:
    """Turn the ``folder`` that `fetch` filled into the dataset that lies at ``dataset(id)``; its id.

    The id is a hash of the content, so the same records from the same ``source`` (a URI) make the same dataset. The
    card has no ``created``: the newest dataset is what ``sqlora train`` takes by itself, and that stays the project's.
    """
    (folder / "test.jsonl").touch()
    with (folder / SIDECAR).open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _examples(folder, source))
    card = _card(fetched, source)
    id = _digest(folder, card)
    (folder / CARD).write_text(json.dumps({"id": id, "received": now(), **card}, indent=2) + "\n", encoding="utf-8")
    target = dataset(id)
    if not (target / CARD).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(folder, target)
    shutil.rmtree(folder, ignore_errors=True)
    return id


def _card(fetched: Fetched, source: str) -> dict[str, Any]:
    total = sum(fetched.counts.values())
    return {
        "dialect": None,
        "splits": {**fetched.counts, "test": 0},
        "sources": {source: {"seen": total, "kept": total, **fetched.counts, "test": 0}},
        "bedrock": {"records": total, "fewest": FEWEST, "most": MOST, "fits": True},
    }


def _examples(folder: Path, source: str) -> Iterator[dict[str, str]]:
    """The last question and answer of each record, as `sqlora.prepare.examples.Example` has them."""
    for split in SPLITS:
        with (folder / f"{split}{EXTENSION}").open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                question, answer = record["messages"][-2:]
                row = {
                    "question": "\n".join(texts(question["content"])),
                    "sql": "\n".join(texts(answer["content"])),
                    "source": source,
                    "split": split,
                }
                yield {**row, "system": system_of(record)} if "system" in record else row


def _digest(folder: Path, card: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in (*(f"{split}{EXTENSION}" for split in SPLITS), SIDECAR):
        file = folder / name
        digest.update(f"{name} {file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()[:12]
