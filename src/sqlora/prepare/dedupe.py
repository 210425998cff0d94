"""One question once: exact and near duplicates, contradictions, and too many wordings of one query.

Two examples are near duplicates when their questions' sets of character shingles overlap by `NEAR` (Jaccard) **and**
their queries are the same but for spelling: of one structure, with the same values. "sales in 2024" and "sales in
2025" look alike but ask different things. Questions that look alike, with the same values, over the same schema, but
with queries of two structures are kept and told: one of the two may be wrong.

Time is linear in the number of examples: the questions of one query are capped, and look-alikes come out of MinHash
buckets. Memory is about 500 bytes an example; what is costly to compute (`keys_of`) can be had from another process.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from sqlora.prepare.examples import Example, Rejection
from sqlora.prepare.minhash import Bands, Buckets, bands
from sqlora.prepare.shingles import normalize_question, shingles, similarity

__all__ = ["Deduplicator", "Keys", "LookAlike", "about", "keys_of"]

NEAR = 0.9
WORDINGS = 40  # of one query; more teach the wording, not the query
SHOWN = 20  # look-alikes kept to be shown; the others are counted

_VALUE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b\d+(?:\.\d+)?\b""")


class Keys(NamedTuple):
    """What `Deduplicator` looks at in an example. ``structure``, ``values`` and ``database`` are hashes of 64 bits."""

    question: str
    structure: int
    values: int
    database: int
    bands: Bands


def about(example: Example) -> str:
    """The database that an example is about: its name, or the schema that the example brings; empty for the project's.

    Where the project's schema is cut to what a question needs, its text is another one for each question.
    """
    return example.database or ("" if example.uses else example.system) or ""


def keys_of(example: Example) -> Keys:
    """The keys of a checked example: its template is set, else its query's text stands for it."""
    values = _VALUE.findall(example.normal or example.sql) if example.template else ()
    return Keys(
        normalize_question(example.question),
        _hash(example.template or example.sql),
        _hash("\0".join(values)),
        _hash(about(example)),
        bands(shingles(example.question)),
    )


@dataclass(frozen=True)
class LookAlike:
    """Two questions that are nearly the same, and their queries, which are not."""

    question: str
    sql: str
    earlier_question: str
    earlier_sql: str


class Deduplicator:
    """Says of each example, in order, whether it adds something to those before it."""

    def __init__(self, near: float = NEAR, wordings: int = WORDINGS) -> None:
        self.near = near
        self.wordings = wordings
        self.look_alikes: list[LookAlike] = []
        self.look_alike_count = 0
        self._pairs: set[int] = set()  # question and query
        self._asked: dict[int, int] = {}  # question over a schema → example
        self._newest: dict[int, int] = {}  # query → its newest example, and from there to those before it
        self._before: array[int] = array("q")
        self._structure, self._values, self._database = array("Q"), array("Q"), array("Q")
        self._questions, self._sql = _Texts(), _Texts()
        self._buckets = Buckets()

    def add(self, example: Example, origin: str = "", keys: Keys | None = None) -> Rejection | None:
        """None when ``example`` is new; the examples before it stay whatever comes.

        ``keys`` are its `keys_of`, where they were computed elsewhere.
        """
        keys = keys or keys_of(example)
        query = hash((keys.structure, keys.values))
        pair, asked = hash((keys.question, query)), hash((keys.question, keys.database))
        if pair in self._pairs:
            return Rejection("duplicate", example, "", origin)
        if (known := self._asked.get(asked)) is not None:
            return Rejection("contradiction", example, f"an earlier example answers it with {self._sql[known]}", origin)
        wordings = self._wordings(query)
        if any(self._is_near(keys, other) for other in wordings):
            return Rejection("duplicate", example, "nearly an earlier question, with its query", origin)
        if len(wordings) >= self.wordings:
            return Rejection("many wordings", example, f"{self.wordings} questions have this query already", origin)
        self._compare(example, keys)
        self._remember(example.sql, keys, query, pair, asked)
        return None

    def _wordings(self, query: int) -> list[int]:
        """The examples that have this query."""
        found: list[int] = []
        place = self._newest.get(query, -1)
        while place >= 0:
            found.append(place)
            place = self._before[place]
        return found

    def _is_near(self, keys: Keys, other: int) -> bool:
        return similarity(shingles(keys.question), shingles(self._questions[other])) >= self.near

    def _compare(self, example: Example, keys: Keys) -> None:
        """Note the first earlier example that asks nearly the same and is answered otherwise."""
        for other in self._buckets.near(keys.bands):
            same = self._values[other] == keys.values and self._database[other] == keys.database
            if not same or self._structure[other] == keys.structure:
                continue
            if self._is_near(keys, other):
                self.look_alike_count += 1
                if len(self.look_alikes) < SHOWN:
                    earlier = self._questions[other], self._sql[other]
                    self.look_alikes.append(LookAlike(example.question, example.sql, *earlier))
                return

    def _remember(self, sql: str, keys: Keys, query: int, pair: int, asked: int) -> None:
        place = len(self._before)
        self._pairs.add(pair)
        self._asked[asked] = place
        self._before.append(self._newest.get(query, -1))
        self._newest[query] = place
        self._structure.append(keys.structure)
        self._values.append(keys.values)
        self._database.append(keys.database)
        self._questions.append(keys.question)
        self._sql.append(sql)
        self._buckets.add(keys.bands)


class _Texts:
    """Many short texts in one block of memory: a third of what as many ``str`` take."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> None:
        self._block += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._block))

    def __getitem__(self, place: int) -> str:
        return self._block[self._ends[place] : self._ends[place + 1]].decode("utf-8", "surrogatepass")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
