"""MinHash: which texts look alike, without comparing each with each.

A text is the set of its shingles, and two texts are as near as their sets overlap (Jaccard). The least hash of a set
is that of another with just this probability (Broder, 1997). One permutation hashing (Li, Owen and Zhang, NIPS 2012)
hashes every member once, into bins, and keeps the least of each; an empty bin takes the next one's (Shrivastava and
Li, ICML 2014). Bins in bands make buckets: near texts share one of them almost surely, others hardly ever.

Pure Python, since ``prepare`` needs no numpy: 50 µs for a question.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from zlib import crc32

BANDS, ROWS = 8, 4
BINS = BANDS * ROWS  # a power of two: the bin is in the upper bits of the hash

# Texts that overlap by s share a band with probability 1 - (1 - s**ROWS)**BANDS: 99.98 % at 0.9, 19 % at 0.4.
# A power of two: slots of each band's table. More texts than slots cost a little recall and no memory.
SLOTS = 1 << 18
DEEPEST = 8  # texts looked at in a bucket, newest first: a phrase that everybody uses stays cheap

_MIX, _LOW = 0x9E3779B97F4A7C15, (1 << 64) - 1
_SHIFT = 64 - (BINS.bit_length() - 1)

Bands = tuple[int, ...]


def bands(members: Iterable[int]) -> Bands:
    """`BANDS` numbers of 32 bits for a set of 32-bit hashes, which is not empty; equal sets have equal bands."""
    mixed = [(member + 1) * _MIX & _LOW for member in members]
    mixed.sort(reverse=True)
    least = {value >> _SHIFT: value for value in mixed}  # of each bin, as the last one written stays
    rows = [0] * BINS
    value = least[min(least)]
    for place in range(BINS - 1, -1, -1):  # an empty bin takes the next full one's, the last ones the first one's
        value = rows[place] = least.get(place, value)
    return tuple(crc32(repr(rows[start : start + ROWS]).encode()) for start in range(0, BINS, ROWS))


class Buckets:
    """Texts by number, 0, 1, 2, …, to be found by their bands. 32 bytes a text, and 8 MiB for the tables."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = slots
        # One plus the newest text of each slot; 0: none. And of each text, the one before it in its slot.
        self._newest = [array("I", bytes(4 * slots)) for _ in range(BANDS)]
        self._before = [array("I") for _ in range(BANDS)]

    def add(self, keys: Bands) -> None:
        """The next text."""
        for newest, before, key in zip(self._newest, self._before, keys, strict=True):
            slot = key % self._slots
            before.append(newest[slot])
            newest[slot] = len(before)

    def near(self, keys: Bands) -> Iterator[int]:
        """Texts in one bucket with ``keys``, each once; among them some that are not near, which is to be checked."""
        found: set[int] = set()
        for newest, before, key in zip(self._newest, self._before, keys, strict=True):
            text = newest[key % self._slots]
            for _ in range(DEEPEST):
                if not text:
                    break
                if text not in found:
                    found.add(text)
                    yield text - 1
                text = before[text - 1]
