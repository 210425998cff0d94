"""Key/value caches of prefixes in memory, bounded in bytes; the least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from torch import Tensor

Pairs = list[tuple[Tensor, Tensor]]
PrefixKey = tuple[str | None, tuple[int, ...]]  # adapter (None: the base model), tokens

# 800 tokens of a 135M model in float32 are 37 MB, and one that is not here comes back from its deployment's file in
# a few milliseconds: fewer are worth keeping than there are adapters.
BUDGET_BYTES = 2**29


class PrefixCache:
    """Caches by adapter and tokens, together at most ``budget_bytes``. Safe to use from several threads.

    The one put last stays whatever its size: it is in memory anyway while it is answered with, and a model whose
    prefixes are larger than the budget would otherwise compute each of them for every question.
    """

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self.budget_bytes = budget_bytes
        self.bytes = 0
        self._pairs: OrderedDict[PrefixKey, Pairs] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: PrefixKey) -> Pairs | None:
        """The cache, from now on the most recently used one."""
        with self._lock:
            if (pairs := self._pairs.get(key)) is not None:
                self._pairs.move_to_end(key)
            return pairs

    def put(self, key: PrefixKey, pairs: Pairs) -> None:
        """Keep a cache, in place of one that is there."""
        with self._lock:
            self._drop(key)
            self._pairs[key] = pairs
            self.bytes += size_of(pairs)
            while self.bytes > self.budget_bytes and len(self._pairs) > 1:
                self._drop(next(iter(self._pairs)))

    def forget(self, adapter: str | None) -> None:
        """Drop all caches of one adapter."""
        with self._lock:
            for key in [key for key in self._pairs if key[0] == adapter]:
                self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._pairs.clear()
            self.bytes = 0

    def _drop(self, key: PrefixKey) -> None:
        if (pairs := self._pairs.pop(key, None)) is not None:
            self.bytes -= size_of(pairs)


def size_of(pairs: Pairs) -> int:
    """Bytes of keys and values."""
    return sum(tensor.nbytes for pair in pairs for tensor in pair)
