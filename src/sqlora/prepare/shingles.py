"""Questions as sets of character shingles: how near two of them are, exactly, and which of many is near to one."""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from zlib import crc32

SHINGLE = 4
SHARED = 3  # shingles that near questions have in common among their rarest, at least

_NOT_WORD = re.compile(r"[^\w%<>=.+-]+")


def normalize_question(question: str) -> str:
    """The question in lower case without punctuation and double spaces: equal for exact duplicates."""
    return _NOT_WORD.sub(" ", question.lower().replace("'", "")).strip(" .")


@lru_cache(maxsize=256)  # one question is compared with several, and the wordings of one query come together
def shingles(question: str) -> frozenset[int]:
    """All runs of `SHINGLE` characters of the normalized question, its ends marked, each as a number of 32 bits.

    Four ASCII characters are the number that their bytes are: no two runs share it, and whole texts are read at once.
    """
    text = f" {normalize_question(question)} "
    if text.isascii() and len(text) >= SHINGLE:
        data = text.encode()
        runs = (data[start : start + (len(data) - start) // SHINGLE * SHINGLE] for start in range(SHINGLE))
        return frozenset().union(*(memoryview(run).cast("I") for run in runs))
    return frozenset(map(_number, (text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1)))))


def _number(run: str) -> int:
    """As in `shingles`; of other characters a hash, which is no ASCII run's number."""
    if run.isascii():
        return int.from_bytes(run.encode(), sys.byteorder)
    return crc32(run.encode("utf-8", "surrogatepass")) | 1 << 31


def similarity(left: frozenset[int], right: frozenset[int]) -> float:
    """Jaccard: shared shingles by all shingles, 0 to 1."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


class NearQuestions:
    """Finds whether a question nearly equals one of a fixed set, without comparing it with each, and misses none.

    Prefix filtering (Chaudhuri, Ganti and Kaushik, ICDE 2006; Wang, Li and Feng, SIGMOD 2012): order all shingles, the
    rarest first. Two sets of which each shares the part ``near`` of itself with the other have their first `SHARED`
    common members among the first (1 - near)·n + `SHARED` of each. Only questions with so many in common are compared:
    at 0.8, five of 6,900 questions of WikiSQL and Spider. `sqlora.prepare.minhash` finds almost all for less, but a
    test is guarded without an almost.
    """

    def __init__(self, questions: Iterable[str], near: float) -> None:
        self._near = near
        sets = [array("I", shingles(question)) for question in questions]  # a fifteenth of what the sets take
        counts = Counter(shingle for members in sets for shingle in members)
        ordered = sorted(counts, key=lambda shingle: (counts[shingle], shingle))
        self._rank = {shingle: rank for rank, shingle in enumerate(ordered)}
        self._sets = [array("I", sorted(map(self._rank.__getitem__, members))) for members in sets]
        self._short = {index for index, ranks in enumerate(self._sets) if len(ranks) < SHARED}
        self._holders: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))
        for index, ranks in enumerate(self._sets):
            for rank in ranks[: self._prefix(len(ranks))]:
                self._holders[rank].append(index)

    def __contains__(self, question: str) -> bool:
        return any(True for _ in self.near_to(question))

    def near_to(self, question: str) -> Iterator[int]:
        """Places of the questions that are near to this one, in no order."""
        own = shingles(question)
        ranks = sorted(rank for shingle in own if (rank := self._rank.get(shingle)) is not None)
        # Shingles that no known question has are rarer than all others: they are in the prefix, and lead nowhere.
        left = self._prefix(len(own)) - (len(own) - len(ranks))
        common = Counter(chain.from_iterable(self._holders.get(rank, ()) for rank in ranks[: max(0, left)]))
        least, mine = min(SHARED, len(own)), set(ranks)
        for index in [index for index, count in common.items() if count >= least or index in self._short]:
            if self._is_near(len(own), mine, self._sets[index]):
                yield index

    def _prefix(self, size: int) -> int:
        return size - math.ceil(self._near * size - 1e-9) + SHARED

    def _is_near(self, size: int, ranks: set[int], other: array[int]) -> bool:
        if min(size, len(other)) < self._near * max(size, len(other)) - 1e-9:
            return False  # sets of such different sizes can't overlap so much
        shared = len(ranks.intersection(other))
        return shared / (size + len(other) - shared) >= self._near
