"""Train, validation and test without leakage: a query's template is in one of them.

A template is `sqlora.sql.structure`: the query without its literals. Whole templates are drawn for test and
validation, so that a test question always needs a query whose shape was never taught. A source that fixes its split
is respected, and fills that split alone: a share is drawn only for a split that no source fixes.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sqlora.prepare.dedupe import NearQuestions
from sqlora.prepare.examples import Example, Rejection, Split

# Questions that overlap this much ask the same thing, whatever their SQL: too near to a test question to be taught.
NEAR_TEST = 0.8


def split_examples(
    examples: Sequence[Example], validation_share: float, test_share: float, seed: int
) -> tuple[list[Example], list[Rejection]]:
    """Each example with its split set, in the given order, and those that would leak test queries into the rest.

    Shares are of the examples whose split is not fixed, met as nearly as whole templates allow. Deterministic.
    """
    fixed: defaultdict[Split, set[str]] = defaultdict(set)
    for example in examples:
        if example.split is not None:
            fixed[example.split].add(example.template)
    free = Counter(example.template for example in examples if example.split is None)
    for template in fixed["test"] | fixed["train"]:
        free.pop(template, None)
    drawn = _draw(
        free,
        {
            "test": 0.0 if fixed["test"] else test_share,
            "validation": 0.0 if fixed["validation"] else validation_share,
        },
        seed,
    )
    placed = [example if example.split else replace(example, split=drawn.get(example.template, "train"))
              for example in examples]  # fmt: skip
    return _without_leaks(placed)


def _draw(free: Counter[str], shares: dict[Split, float], seed: int) -> dict[str, Split]:
    """Templates for test and validation, each drawn until its share of all examples is filled."""
    templates = sorted(free)
    random.Random(f"split:{seed}").shuffle(templates)
    total, drawn = free.total(), dict[str, Split]()
    for split, share in shares.items():
        wanted = round(share * total)
        # A template larger than half of what is wanted would make the split one question in many wordings.
        largest = max(1, wanted // 2)
        for template in templates:
            if wanted > 0 and template not in drawn and free[template] <= min(largest, 2 * wanted):
                drawn[template] = split
                wanted -= free[template]
    return drawn


def _without_leaks(placed: Sequence[Example]) -> tuple[list[Example], list[Rejection]]:
    test = [example for example in placed if example.split == "test"]
    templates = {example.template for example in test}
    near = NearQuestions((example.question for example in test), NEAR_TEST)
    kept: list[Example] = []
    dropped: list[Rejection] = []
    for example in placed:
        if example.split == "test":
            kept.append(example)
        elif example.template in templates:
            dropped.append(Rejection("in test", example, "a test query has the same template"))
        elif example.question in near:
            dropped.append(Rejection("in test", example, "nearly a test question"))
        else:
            kept.append(example)
    return kept, dropped
