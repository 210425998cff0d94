"""What is learnt from: the records of a file, and which of them a step sees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sqlora.errors import DatasetError
from sqlora.prompting import Encoded, encode


def read_examples(path: Path, tokenizer: Any) -> list[Encoded]:
    """The encoded records of a JSONL file; `DatasetError` names file and line."""
    examples = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                examples.append(encode(tokenizer, json.loads(line)))
            except (ValueError, DatasetError) as error:
                raise DatasetError(f"{path}:{number}: {error}", "sqlora prepare") from None
            if not examples[-1].completion:
                raise DatasetError(f"{path}:{number}: the record has no assistant turn", "sqlora prepare")
    return examples


class Batches:
    """``size`` examples a step: epoch after epoch, each in its own shuffled order, so that a step number is all there
    is to remember."""

    def __init__(self, examples: Sequence[Encoded], size: int, seed: int) -> None:
        self._examples, self._size, self._seed = examples, size, seed
        self._epoch: int | None = None
        self._order: list[int] = []

    def of(self, step: int) -> list[Encoded]:
        """The examples of a step, counted from 0."""
        chosen = []
        for index in range(step * self._size, (step + 1) * self._size):
            epoch, place = divmod(index, len(self._examples))
            self._shuffle(epoch)
            chosen.append(self._examples[self._order[place]])
        return chosen

    def _shuffle(self, epoch: int) -> None:
        if self._epoch == epoch:
            return
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        self._order = torch.randperm(len(self._examples), generator=generator).tolist()
        self._epoch = epoch
