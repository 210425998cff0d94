"""A request made wrong in one or two more places by dice: many inputs for the price of drawing one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import quote

from tests.fuzz import mutate
from tests.fuzz.wire import Asked

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW")
LARGE = 20_000  # bytes
SEGMENTS = ("", "..", "%", "%zz", "a%2Fb", "x" * 5000)


def bent(asked: Asked, dice: Random) -> Asked:
    """``asked``, its body, path, query, a header or its method changed; nothing else that a socket carries."""
    for _ in range(dice.randint(1, 2)):
        asked = dice.choice(WAYS)(asked, dice)
    return asked


def _json(asked: Asked, dice: Random) -> Asked:
    if len(asked.body) > LARGE:  # repeated and repeated again, it would have millions of places
        return _bytes(asked, dice)
    try:
        holder: dict[str, Any] = {"": json.loads(asked.body)}
    except (ValueError, RecursionError):
        return _bytes(asked, dice)
    parent, key = dice.choice(mutate.places(holder))
    match dice.choice(["replace", "replace", "remove", "repeat", "wrap", "deepen"]):
        case "replace":
            parent[key] = dice.choice([*mutate.TEXTS, *mutate.NUMBERS, None, True, [], {}])
        case "remove":
            del parent[key]
        case "repeat":
            parent[key] = [parent[key]] * dice.choice([0, 2, 300])
        case "wrap":
            parent[key] = {dice.choice(mutate.TEXTS): parent[key]}
        case _:
            for _ in range(mutate.DEEP):
                parent[key] = [parent[key]]
    return replace(asked, body=mutate.as_json(holder.get("", {})))


def _bytes(asked: Asked, dice: Random) -> Asked:
    body, at = asked.body, dice.randint(0, len(asked.body))
    piece = dice.choice([dice.randbytes(8), b"", b"\x00", b"{", b"[" * 3000, b'"', b"\xff\xfe", b"1e999"])
    return replace(asked, body=body[:at] + piece + body[at + dice.choice([0, 1, len(piece), 40]) :])


def _path(asked: Asked, dice: Random) -> Asked:
    path, mark, query = asked.target.partition(b"?")
    parts = path.split(b"/")
    parts[dice.randrange(len(parts))] = dice.choice([*SEGMENTS, *map(_quoted, mutate.TEXTS)]).encode()
    path = b"/".join(parts)
    return replace(asked, target=(path if path.startswith(b"/") else b"/" + path) + mark + query)


def _query(asked: Asked, dice: Random) -> Asked:
    path, _, query = asked.target.partition(b"?")
    fields = [field for field in query.split(b"&") if field] or [b"maxResults=1"]
    name = dice.choice(fields).partition(b"=")[0]
    changed = name + b"=" + _quoted(dice.choice([*mutate.TEXTS, "5", "2026-01-01"])).encode()
    kept = fields if dice.random() < 0.5 else [field for field in fields if not field.startswith(name)]
    return replace(asked, target=path + b"?" + b"&".join([*kept, changed]))


def _header(asked: Asked, dice: Random) -> Asked:
    value = dice.choice([text for text in mutate.TEXTS if text.isprintable() and text.isascii()]).strip().encode()
    at = dice.randrange(len(asked.headers) + 1)
    name = asked.headers[at][0] if at < len(asked.headers) else b"x-amz-target"
    return replace(asked, headers=(*asked.headers[:at], (name, value), *asked.headers[at + 1 :]))


def _method(asked: Asked, dice: Random) -> Asked:
    return replace(asked, method=dice.choice(METHODS))


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


WAYS: tuple[Callable[[Asked, Random], Asked], ...] = (_json, _json, _json, _bytes, _path, _query, _header, _method)
