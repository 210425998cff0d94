"""Examples on their way, on disk: memory holds no more of a million of them than of ten thousand.

The file has no name (it goes away with the process, however that ends) and lies in the project's state folder, since
a system's folder for temporary files is often memory.
"""

from __future__ import annotations

import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from sqlora.prepare.examples import SPLITS, Example, Rejection, Split

Item = TypeVar("Item", Example, Rejection)
BLOCK = 256  # items pickled together: what they have in common, such as a schema, is written once


class Spool(Generic[Item]):
    """A list that is written once from front to end and may be read as often as one likes. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._starts = array("Q")
        self._block: list[Item] = []
        self._count = 0

    def add(self, item: Item) -> None:
        """Append an item."""
        self._block.append(item)
        self._count += 1
        if len(self._block) == BLOCK:
            self._write()

    def extend(self, items: Iterable[Item]) -> None:
        """Append all of them."""
        for item in items:
            self.add(item)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for start in self._starts:
            self._file.seek(start)
            yield from pickle.load(self._file)
        yield from list(self._block)

    def _write(self) -> None:
        self._starts.append(self._file.seek(0, 2))
        pickle.dump(self._block, self._file, pickle.HIGHEST_PROTOCOL)
        self._block = []

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ExampleSpool(Spool[Example]):
    """Examples, and the split of each once `place` has told them."""

    _LEFT_OUT = len(SPLITS)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._splits = array("B")

    def place(self, splits: Iterable[Split | None]) -> None:
        """The split of each example, in order; None leaves it out. Raises ValueError when their number differs."""
        self._splits = array("B", (self._LEFT_OUT if split is None else SPLITS.index(split) for split in splits))
        if len(self._splits) != len(self):
            raise ValueError(f"{len(self._splits)} splits for {len(self)} examples")

    def placed(self) -> Iterator[Example]:
        """The examples that are in a split, in order."""
        for example, place in zip(self, self._splits, strict=True):
            if place != self._LEFT_OUT:
                yield _placed(example, SPLITS[place])

    def examples(self, split: Split) -> Iterator[Example]:
        """The examples of one split, in order."""
        return (example for example in self.placed() if example.split == split)

    def count(self, split: Split) -> int:
        """How many examples the split has."""
        return self._splits.count(SPLITS.index(split))


def _placed(example: Example, split: Split) -> Example:
    if example.asked is not None:
        system = example.asked if split == "test" else example.system
        return replace(example, split=split, system=system, asked=None)
    return example if example.split == split else replace(example, split=split)
