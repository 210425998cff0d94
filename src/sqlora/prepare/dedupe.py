"""One question once: exact and near duplicates, contradictions, and too many wordings of one query.

Two questions are near duplicates when their sets of character shingles overlap by `NEAR` (Jaccard) **and** their SQL
is the same: "sales in 2024" and "sales in 2025" look alike but ask different things. Time is linear in the number
of examples, since the questions of one query are capped.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from sqlora.prepare.examples import Example, Rejection

NEAR = 0.9
SHINGLE = 4
WORDINGS = 40  # of one SQL text; more teach the wording, not the query

_NOT_WORD = re.compile(r"[^\w%<>=.+-]+")


def normalize_question(question: str) -> str:
    """The question in lower case without punctuation and double spaces: equal for exact duplicates."""
    return _NOT_WORD.sub(" ", question.lower().replace("'", "")).strip(" .")


def shingles(question: str) -> frozenset[str]:
    """All runs of `SHINGLE` characters of the normalized question, its ends marked."""
    text = f" {normalize_question(question)} "
    return frozenset(text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1)))


def similarity(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard: shared shingles by all shingles, 0 to 1."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


class Deduplicator:
    """Says of each example, in order, whether it adds something to those before it."""

    def __init__(self, near: float = NEAR, wordings: int = WORDINGS) -> None:
        self.near = near
        self.wordings = wordings
        self._sql_of: dict[tuple[str | None, str], str] = {}
        self._shingles_of: defaultdict[tuple[str | None, str], list[frozenset[str]]] = defaultdict(list)

    def add(self, example: Example, origin: str = "") -> Rejection | None:
        """None when ``example`` is new; the examples before it stay whatever comes."""
        question = (example.system, normalize_question(example.question))
        known = self._sql_of.get(question)
        if known == example.sql:
            return Rejection("duplicate", example, "", origin)
        if known is not None:
            return Rejection("contradiction", example, f"an earlier example answers it with {known}", origin)
        wordings = self._shingles_of[example.system, example.sql]
        own = shingles(example.question)
        if any(similarity(own, other) >= self.near for other in wordings):
            return Rejection("duplicate", example, "nearly", origin)
        if len(wordings) >= self.wordings:
            return Rejection("many wordings", example, f"{self.wordings} questions have this SQL already", origin)
        wordings.append(own)
        self._sql_of[question] = example.sql
        return None


class NearQuestions:
    """Finds whether a question nearly equals one of a fixed set, without comparing it with each.

    If the overlap of two sets is at least t, then they share one of the (1 - t)·n + 1 rarest members of each
    (prefix filtering: Chaudhuri, Ganti and Kaushik, ICDE 2006), so only questions with such a one in common are
    compared.
    """

    def __init__(self, questions: Iterable[str], near: float) -> None:
        self.near = near
        self._sets = [shingles(question) for question in questions]
        self._counts = Counter(shingle for members in self._sets for shingle in members)
        self._holders: defaultdict[str, list[int]] = defaultdict(list)
        for index, members in enumerate(self._sets):
            for shingle in self._rarest(members):
                self._holders[shingle].append(index)

    def __contains__(self, question: str) -> bool:
        own = shingles(question)
        candidates = {index for shingle in self._rarest(own) for index in self._holders.get(shingle, ())}
        return any(similarity(own, self._sets[index]) >= self.near for index in candidates)

    def _rarest(self, members: frozenset[str]) -> list[str]:
        ordered = sorted(members, key=lambda shingle: (self._counts[shingle], shingle))
        return ordered[: int((1 - self.near) * len(ordered) + 1e-9) + 1]
