"""Prefix caches in memory: bounded in bytes, the least recently used go first."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.engines.prefixes import Pairs, PrefixCache, PrefixKey, size_of


def pairs(tokens: int, layers: int = 2) -> Pairs:
    return [(torch.zeros(1, tokens, 2), torch.zeros(1, tokens, 2)) for _ in range(layers)]


BYTES = size_of(pairs(1))  # a token's


def key(number: int, adapter: str | None = "one") -> PrefixKey:
    return adapter, (number,)


def test_bytes_are_those_of_keys_and_values() -> None:
    assert size_of(pairs(10)) == 10 * 2 * 2 * 2 * 4


def test_the_least_recently_used_goes_first() -> None:
    cache = PrefixCache(3 * BYTES)
    for number in range(3):
        cache.put(key(number), pairs(1))
    assert cache.get(key(0)) is not None
    cache.put(key(3), pairs(1))
    assert [number for number in range(4) if cache.get(key(number)) is not None] == [0, 2, 3]
    assert cache.bytes == 3 * BYTES


def test_one_over_the_budget_stays_alone() -> None:
    cache = PrefixCache(3 * BYTES)
    cache.put(key(0), pairs(1))
    cache.put(key(1), pairs(9))
    assert cache.get(key(0)) is None
    assert cache.get(key(1)) is not None
    cache.put(key(2), pairs(1))
    assert cache.get(key(1)) is None
    assert cache.bytes == BYTES


def test_an_adapters_caches_go_with_it() -> None:
    cache = PrefixCache()
    for adapter in ("one", None):
        for number in range(2):
            cache.put(key(number, adapter), pairs(1))
    cache.forget("one")
    assert [cache.get(key(0, adapter)) is None for adapter in ("one", None)] == [True, False]
    assert cache.bytes == 2 * BYTES
    cache.clear()
    assert (cache.get(key(0, None)), cache.bytes) == (None, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9))))
def test_the_bound_holds_whatever_comes(puts: list[tuple[int, int]]) -> None:
    cache, last = PrefixCache(12 * BYTES), dict[int, int]()
    for number, tokens in puts:
        cache.put(key(number), pairs(tokens))
        last[number] = tokens
        kept = [there for there in last if cache.get(key(there)) is not None]
        assert number in kept
        assert cache.bytes == sum(last[there] for there in kept) * BYTES <= 12 * BYTES
