"""What whoever made a dataset should know of it before training, though nothing in it is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlora.prepare.examples import Split
from sqlora.settings import PrepareSection

_MISSED: dict[Split, str] = {"validation": "training is not watched", "test": "there is nothing to evaluate with"}


def empty_splits(
    splits: Mapping[Split, int], structures: int, section: PrepareSection, fixed: Collection[str | None] = ()
) -> list[str]:
    """A note for each split that should have examples and has none.

    ``structures`` are the queries' of all splits, ``fixed`` are splits that a source of its own is to fill.
    """
    shares: dict[Split, float] = {"validation": section.validation_share, "test": section.test_share}
    return [
        f"the {split} split is empty, so {_MISSED[split]}: {_why(split in fixed, structures, section.split)}"
        for split, share in shares.items()
        if not splits[split] and (share or split in fixed)
    ]


def _why(fixed: bool, structures: int, way: str) -> str:
    if fixed:
        return "nothing is left of what its source has; look at the rejected examples"
    if way == "given":
        return "no source and no pair is in it; set split in [[sources]] or in the pairs"
    if way == "structure":
        number = "1 query structure is" if structures == 1 else f"{structures:,} query structures are"
        return f"{number} too few to draw it from; add examples that need other queries, or set split in [[sources]]"
    return "there are too few examples to draw it from; add examples, or set split in [[sources]]"
