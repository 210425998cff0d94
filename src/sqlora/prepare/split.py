"""Train, validation and test without leakage: what is asked of the model in the test was never taught.

Four ways to split, by what stays together (``[prepare] split``):

- ``structure``  the query without its values (`sqlora.sql.structure`): a test question always needs a query whose
                 shape was never taught.
- ``database``   the database: a test question is always about a schema that was never seen.
- ``time``       the newest examples are the test, those before them validation: what was taught is older than what is
                 asked.
- ``given``      as the sources say; what none of them places is taught.

Whole groups are drawn until the shares are met. A source that fixes its split is respected, and fills that split
alone: a share is drawn only for a split that no source fixes. Whatever the way, a group, a query and nearly a question
are in one split only: the test keeps them before validation does, and validation before train. (By
structure, a validation that a source fixes may ask for taught queries in other words.)
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal

from sqlora.errors import ConfigError
from sqlora.prepare.dedupe import about
from sqlora.prepare.examples import Example, Rejection, Split
from sqlora.prepare.shingles import NearQuestions
from sqlora.settings import PrepareSection

# Questions that overlap this much ask the same thing, whatever their SQL: too near to a test question to be taught.
NEAR_TEST = 0.8

GUARDED: tuple[Split, ...] = ("test", "validation")  # what the first has, none after it may have

GroupOf = Callable[[Example], str]
Shares = dict[Split, float]
Way = Literal["structure", "database", "time", "given"]


@dataclass(frozen=True)
class Placement:
    """Where each example goes, in their order: its split, or None where it would leak (``why`` says of which)."""

    splits: list[Split | None]
    why: dict[int, tuple[str, str]]

    def leaks(self, examples: Iterable[Example]) -> Iterator[Rejection]:
        """The examples that were left out, given all of them once more."""
        for place, example in enumerate(examples):
            if place in self.why:
                reason, detail = self.why[place]
                yield Rejection(reason, example, detail, example.origin or example.source)


def place(examples: Iterable[Example], section: PrepareSection) -> Placement:
    """Place examples by the settings. ``examples`` is gone through three times; only short keys stay in memory.

    Shares are of the examples whose split is not fixed, met as nearly as whole groups allow. Deterministic.
    ConfigError when what the split goes by is not there: no second database, or no time.
    """
    splits = _drawn(examples, section)
    test = _LEAKS[section.split]
    # A validation that is drawn shares no structure with train anyhow. One that somebody chose may well ask for taught
    # queries in other words: it watches, it does not judge.
    validation = () if section.split == "structure" else test
    return _without_leaks(examples, splits, {"test": test, "validation": validation})


def split_examples(
    examples: Sequence[Example], validation_share: float, test_share: float, seed: int, split: Way = "structure"
) -> tuple[list[Example], list[Rejection]]:
    """Each example with its split set, in the given order, and those that would leak into the rest."""
    section = PrepareSection(split=split, validation_share=validation_share, test_share=test_share, seed=seed)
    placement = place(examples, section)
    kept = [
        replace(example, split=split)
        for example, split in zip(examples, placement.splits, strict=True)
        if split is not None
    ]
    return kept, list(placement.leaks(examples))


def _query(example: Example) -> str:
    return example.sql


def _structure(example: Example) -> str:
    return example.template


# Way → what must not be on both sides, and how it is said of what is left out.
_LEAKS: dict[str, tuple[tuple[GroupOf, str], ...]] = {
    "structure": ((_structure, "has the same template"),),
    "database": ((about, "is about the same database"), (_query, "has the same query")),
    "time": ((_query, "has the same query"),),
    "given": ((_query, "has the same query"),),
}


def _drawn(examples: Iterable[Example], section: PrepareSection) -> list[Split]:
    """The split of each example, before leaks are looked for."""
    if section.split == "time":
        return _by_time(examples, section)
    if section.split == "given":
        return [example.split or "train" for example in examples]
    by_database = section.split == "database"
    group_of = about if by_database else _structure
    fixed: defaultdict[Split, set[str]] = defaultdict(set)
    free: Counter[str] = Counter()
    for example in examples:
        if example.split is None:
            free[group_of(example)] += 1
        else:
            fixed[example.split].add(group_of(example))
    shares = _shares(section, set(fixed))
    if by_database and (any(shares.values()) or set(fixed) - {"train"}):
        _require_databases(set(free).union(*fixed.values()))
    for group in fixed["test"] | fixed["train"]:
        free.pop(group, None)
    if by_database and free and any(shares.values()) and len(free) <= sum(map(bool, shares.values())):
        raise ConfigError(
            f'split = "database" in [prepare], but only {len(free)} database(s) are free to be drawn from',
            'split = "structure", or set split in [[sources]]',
        )
    drawn = _draw(free, shares, section.seed, half=not by_database)
    return [example.split or drawn.get(group_of(example), "train") for example in examples]


def _require_databases(found: set[str]) -> None:
    """ConfigError where all examples are about one database: whatever is tested, its database is taught."""
    if len(found) != 1:
        return
    what = "all examples are about 1 database" if any(found) else "no example says which database it is about"
    raise ConfigError(
        f'split = "database" in [prepare], but {what}',
        'give each pair a database (a field of that name), or split = "structure"',
    )


def _shares(section: PrepareSection, fixed: set[Split]) -> Shares:
    """What is still to be drawn: nothing for a split that a source fills."""
    return {
        "test": 0.0 if "test" in fixed else section.test_share,
        "validation": 0.0 if "validation" in fixed else section.validation_share,
    }


def _draw(free: Counter[str], shares: Shares, seed: int, *, half: bool) -> dict[str, Split]:
    """Groups for test and validation, each drawn until its share of all examples is filled.

    With ``half``, a group larger than half of what is wanted is not drawn: a split would be one question in many
    wordings. Databases are few and large, so one of them may be more than the whole share.
    """
    groups = sorted(free)
    random.Random(f"split:{seed}").shuffle(groups)
    total, drawn = free.total(), dict[str, Split]()
    for split, share in shares.items():
        wanted = round(share * total)
        largest = max(1, wanted // 2) if half else max(1, wanted)
        before = len(drawn)
        for group in groups:
            if wanted > 0 and group not in drawn and free[group] <= min(largest, 2 * wanted):
                drawn[group] = split
                wanted -= free[group]
        if not half and wanted > 0 and len(drawn) == before:  # each is larger than the share: the smallest, then
            drawn[min((group for group in groups if group not in drawn), key=free.__getitem__)] = split
    return drawn


def _by_time(examples: Iterable[Example], section: PrepareSection) -> list[Split]:
    """The newest are the test, those before them validation. Equal times stay together, on the newer side.

    What has no time is taught.
    """
    times, fixed, free = array("d"), [], set[Split]()
    for example in examples:
        times.append(_seconds(example) if example.split is None else math.nan)
        fixed.append(example.split)
        if example.split:
            free.add(example.split)
    known = sorted(time for time in times if not math.isnan(time))
    shares = _shares(section, free)
    if not known and any(shares.values()):
        raise ConfigError(
            'split = "time" in [prepare], but no example says when it was asked',
            'split = "structure", or a source with times, such as a query log',
        )
    tested = round(shares["test"] * len(known))
    held = round(shares["validation"] * len(known))
    test_from = known[-tested] if tested else math.inf
    held_from = known[-tested - held] if held else test_from

    def split_of(time: float) -> Split:
        return "test" if time >= test_from else "validation" if time >= held_from else "train"

    return [given or split_of(time) for given, time in zip(fixed, times, strict=True)]


def _seconds(example: Example) -> float:
    """Since 1970; a time without a zone is in UTC. NaN for none, and for what is no time."""
    try:
        time = datetime.fromisoformat(example.time)
    except ValueError:
        return math.nan
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _without_leaks(
    examples: Iterable[Example], splits: list[Split], keys: dict[Split, tuple[tuple[GroupOf, str], ...]]
) -> Placement:
    """Take out of train and validation what the test has, and out of train what validation has."""
    guards = {split: _Guard(keys[split]) for split in GUARDED}
    for example, split in zip(examples, splits, strict=True):
        if split in guards:
            guards[split].add(example)
    tests = len(guards["test"].questions)
    near = NearQuestions([question for split in GUARDED for question in guards[split].questions], NEAR_TEST)
    placed: list[Split | None] = list(splits)
    why: dict[int, tuple[str, str]] = {}
    for number, example in enumerate(examples):
        above = GUARDED[: GUARDED.index(splits[number])] if splits[number] in GUARDED else GUARDED
        known = [(split, detail) for split in above if (detail := guards[split].knows(example))]
        # The test's questions come first in the index, those of validation after them.
        alike = {"test" if place < tests else "validation" for place in near.near_to(example.question)} if above else ()
        known += [(split, "is nearly the same") for split in above if split in alike]
        if known:
            split, detail = min(known, key=lambda found: GUARDED.index(found[0]))
            placed[number] = None
            why[number] = (f"in {split}", f"a {split} question {detail}")
    return Placement(placed, why)


class _Guard:
    """What one split has, and so no lower one may have."""

    def __init__(self, keys: tuple[tuple[GroupOf, str], ...]) -> None:
        self.questions: list[str] = []
        self._keys = keys
        self._known: list[set[bytes]] = [set() for _ in keys]

    def add(self, example: Example) -> None:
        self.questions.append(example.question)
        for known, (group_of, _) in zip(self._known, self._keys, strict=True):
            known.add(_digest(group_of(example)))

    def knows(self, example: Example) -> str:
        """What of the example is known already; empty if nothing is."""
        for known, (group_of, said) in zip(self._known, self._keys, strict=True):
            if _digest(group_of(example)) in known:
                return said
        return ""


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
