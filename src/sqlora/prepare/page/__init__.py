"""card.html: a dataset's card as one page that opens offline, in light or dark, with nothing loaded from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlora.pages.document import document, read_asset
from sqlora.pages.element import element
from sqlora.prepare.dataset import SIDECAR
from sqlora.prepare.examples import SPLITS
from sqlora.prepare.page import contents, taught

SHOWN = 4  # examples of each split


def render(card: Mapping[str, Any], examples: Mapping[str, list[dict[str, Any]]]) -> str:
    """The page of a card, whose keys may be missing, with some ``examples`` by split."""
    main = element(
        "main", contents.header(card), contents.headline(card), contents.examples(examples),
        taught.constructs(card), taught.dialect(card), taught.schema(card), contents.lengths(card),
        contents.rejected(card), contents.look_alikes(card), contents.sources(card), contents.cost(card),
        contents.files(card),
    )  # fmt: skip
    title = f"{card.get('project') or 'dataset'}: card of dataset {card.get('id', '')}"
    return document(title, main, read_asset("sqlora.prepare.page", "page.css"))


def samples(folder: Path, card: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """A few examples of each split of the dataset in ``folder``, from the split's front to its end."""
    wanted: set[int] = set()
    start = 0
    for split in SPLITS:  # the order of the file
        count = card.get("splits", {}).get(split, 0)
        wanted |= {start + (2 * number + 1) * count // (2 * SHOWN) for number in range(SHOWN)} if count else set()
        start += count
    found: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    with (folder / SIDECAR).open(encoding="utf-8") as lines:
        for place, line in enumerate(lines):
            if place in wanted:
                example = json.loads(line)
                found[example["split"]].append(example)
    return found
