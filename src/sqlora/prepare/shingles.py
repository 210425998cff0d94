"""Questions as sets of character shingles: how near two of them are, exactly, and which of many is near to one."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

SHINGLE = 4

_NOT_WORD = re.compile(r"[^\w%<>=.+-]+")


def normalize_question(question: str) -> str:
    """The question in lower case without punctuation and double spaces: equal for exact duplicates."""
    return _NOT_WORD.sub(" ", question.lower().replace("'", "")).strip(" .")


@lru_cache(maxsize=256)  # one question is compared with several, and the wordings of one query come together
def shingles(question: str) -> frozenset[int]:
    """All runs of `SHINGLE` characters of the normalized question, its ends marked, each as a number of 32 bits.

    CRC-32 is one to one on four bytes, so two runs of ASCII characters never share a number.
    """
    text = f" {normalize_question(question)} "
    return frozenset(
        crc32(text[start : start + SHINGLE].encode("utf-8", "surrogatepass"))
        for start in range(max(1, len(text) - SHINGLE + 1))
    )


def similarity(left: frozenset[int], right: frozenset[int]) -> float:
    """Jaccard: shared shingles by all shingles, 0 to 1."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


class NearQuestions:
    """Finds whether a question nearly equals one of a fixed set, without comparing it with each, and misses none.

    If the overlap of two sets is at least t, then they share one of the (1 - t)·n + 1 rarest members of each
    (prefix filtering: Chaudhuri, Ganti and Kaushik, ICDE 2006), so only questions with such a one in common are
    compared. `sqlora.prepare.minhash` finds almost all for less memory; a test set is guarded without an almost.
    """

    def __init__(self, questions: Iterable[str], near: float) -> None:
        self.near = near
        self._sets = [array("I", sorted(shingles(question))) for question in questions]
        self._counts = Counter(shingle for members in self._sets for shingle in members)
        self._holders: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))
        for index, members in enumerate(self._sets):
            for shingle in self._rarest(members):
                self._holders[shingle].append(index)

    def __contains__(self, question: str) -> bool:
        own = shingles(question)
        candidates = {index for shingle in self._rarest(own) for index in self._holders.get(shingle, ())}
        return any(self._is_near(own, self._sets[index]) for index in candidates)

    def _is_near(self, own: frozenset[int], other: array[int]) -> bool:
        if min(len(own), len(other)) < self.near * max(len(own), len(other)) - 1e-9:
            return False  # sets of such different sizes can't overlap so much
        shared = len(own.intersection(other))
        return shared / (len(own) + len(other) - shared) >= self.near

    def _rarest(self, members: Iterable[int]) -> list[int]:
        ordered = sorted(members, key=lambda shingle: (self._counts[shingle], shingle))
        return ordered[: int((1 - self.near) * len(ordered) + 1e-9) + 1]
