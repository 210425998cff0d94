"""A written dataset: a folder named by the hash of what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlora.errors import NotFoundError
from sqlora.prepare.examples import SPLITS, Example, Split

CARD = "card.json"
PAGE = "card.html"
SIDECAR = "examples.jsonl"
REJECTS = "rejects.jsonl"
FOLDER = "datasets"


@dataclass(frozen=True)
class Dataset:
    """``{train,validation,test}.jsonl`` in Bedrock's format, and ``examples.jsonl`` with what that format has no place
    for: source, split, tags and template of each example, in the order of the three files.

    ``card.json`` says what is in it, ``card.html`` shows it, and ``rejects.jsonl`` has what was left out, and why.
    """

    id: str
    folder: Path

    @cached_property
    def card(self) -> dict[str, Any]:
        """What is in it, where it comes from, and what was rejected."""
        card: dict[str, Any] = json.loads((self.folder / CARD).read_text(encoding="utf-8"))
        return card

    @property
    def page(self) -> Path | None:
        """The card as a page for people; None in a dataset that ``prepare`` didn't write."""
        path = self.folder / PAGE
        return path if path.is_file() else None

    def rejects(self) -> Iterator[dict[str, str]]:
        """What was left out: reason, detail, suggestion, origin, source, question and sql of each."""
        path = self.folder / REJECTS
        if path.is_file():
            with path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)

    def path(self, split: Split) -> Path:
        """The split's JSON lines; the file of an empty split is empty."""
        return self.folder / f"{split}.jsonl"

    def examples(self, split: Split | None = None) -> list[Example]:
        """The examples of one split or of all, in the order of the files."""
        return [example for example in self._sidecar() if split is None or example.split == split]

    def records(self, split: Split) -> Iterator[dict[str, Any]]:
        """The split's conversations, as `sqlora.prompting.record` made them."""
        with self.path(split).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def _sidecar(self) -> Iterator[Example]:
        with (self.folder / SIDECAR).open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                row["tags"] = tuple(row.get("tags", ()))
                yield Example(**row)


def load_dataset(folder: Path | str) -> Dataset:
    """The dataset in ``folder``; NotFoundError when there is none, or not a whole one."""
    path = Path(folder)
    missing = [name for name in (CARD, SIDECAR, *(f"{split}.jsonl" for split in SPLITS)) if not (path / name).is_file()]
    if missing:
        raise NotFoundError(f"no dataset in {path}: {', '.join(missing)} missing", "sqlora prepare")
    return Dataset(path.name, path)


def list_datasets(state: Path | str) -> list[Dataset]:
    """The datasets of a project's state folder, newest first."""
    folder = Path(state) / FOLDER
    found = [Dataset(card.parent.name, card.parent) for card in folder.glob(f"*/{CARD}") if card.parent.name[0] != "."]
    return sorted(found, key=lambda dataset: (str(dataset.card.get("created", "")), dataset.id), reverse=True)
