"""JSON from strangers: bounded in depth, and nothing in it that cannot be written again."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 32  # objects and lists within each other; a request is at most six deep
LARGE = 1_000_000  # bytes, from which on values are counted before they are made
MOST_VALUES = 200_000  # 25 MB of "[[],[],…" are 600 MB of empty lists


def read_json(text: bytes, deepest: int = DEEPEST) -> Any:
    """The value; ValueError says why it is none, or one that nobody sends in earnest."""
    if len(text) > LARGE and sum(map(text.count, (b"[", b"{", b","))) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} values")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if b"\\u" in text:  # half a surrogate pair is no text, and would fail wherever it is written later
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError(f"it is nested more than {deepest} deep") from None
    if depth(value) > deepest:
        raise ValueError(f"it is nested more than {deepest} deep")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def depth(value: Any) -> int:
    """How deep objects and lists are nested; 0 for a number or a text."""
    level, deep = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        deep += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return deep
