"""Valid things, made wrong: JSON in its structure, text and bytes in their letters."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

LONG = 3000
DEEP = 200
MANY = 500  # places
LARGEST = 8_000_000  # bytes; who sends much more than is read is hung up on in the midst of it

TEXTS = (
    "", " ", ".", "..", "../../etc/passwd", "%2e%2e%2f", "%00", "%FF", "\x00", "\r\nx: y", "a" * LONG, "-" * LONG, "\ud800",
    "café", "😀" * 50, "null", "true", "0", "-1", "1e999", "9" * 40, "NaN", "arn:aws:bedrock:::", "s3://", "s3://b/../k",
    "2026-13-45T99:99:99Z", "'; DROP TABLE jobs; --", "{{7*7}}", "${jndi:ldap://x}", "<x/>", "System:",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, 0.5)
text = st.text(max_size=20) | st.sampled_from(TEXTS)
numbers = st.integers() | st.floats() | st.sampled_from(NUMBERS)
scalars = st.none() | st.booleans() | numbers | text
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)


@st.composite
def mutated(draw: st.DrawFn, valid: Any, most: int = 3) -> Any:
    """``valid`` with up to ``most`` of its parts replaced, removed, repeated, renamed or wrapped."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(0, most))):
        holder: dict[str, Any] = {"": value}
        found = places(holder)
        parent, key = draw(st.sampled_from(found))
        more = ["repeat"] if len(found) < MANY else []  # or it would have millions of places
        match draw(st.sampled_from(["replace", "replace", "remove", *more, "rename", "wrap", "deepen", "add"])):
            case "replace":
                parent[key] = draw(junk)
            case "remove":
                del parent[key]
            case "repeat":
                parent[key] = [parent[key]] * draw(st.sampled_from([0, 2, 5, 300]))
            case "rename" if isinstance(parent, dict):
                parent[draw(text)] = parent.pop(key)
            case "wrap":
                parent[key] = {draw(text): parent[key]}
            case "deepen":
                for _ in range(DEEP):
                    parent[key] = [parent[key]]
            case _:
                if isinstance(parent[key], dict):
                    parent[key][draw(text)] = draw(junk)
        value = holder.get("", {})
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def as_json(value: Any) -> bytes:
    """What a client that does not care would send; lone surrogates as escapes, NaN as it is."""
    return json.dumps(value).encode()[:LARGEST]


@st.composite
def torn(draw: st.DrawFn, data: bytes, most: int = 4) -> bytes:
    """Bytes with pieces changed, cut out, repeated or put in."""
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(1, 40))
        piece = draw(st.binary(max_size=20) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"\x00", b": ", b" HTTP/1.1", b"A" * 70_000]))
        match draw(st.sampled_from(["change", "cut", "repeat", "insert", "end"])):
            case "change":
                data = data[:at] + piece + data[at + len(piece) :]
            case "cut":
                data = data[:at] + data[at + size :]
            case "repeat":
                data = data[: at + size] + data[at : at + size] * 3 + data[at + size :]
            case "insert":
                data = data[:at] + piece + data[at:]
            case _:
                data = data[:at]
    return data
