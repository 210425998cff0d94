"""The dialect specs that come with sqlora, by name: the files of sqlora/dialects."""

from __future__ import annotations

import importlib.resources
from functools import cache, lru_cache

from sqlora.sql.dialect.spec import DialectSpec

_FOLDER = importlib.resources.files("sqlora") / "dialects"


@lru_cache(maxsize=1)
def shipped_dialects() -> tuple[str, ...]:
    """The names of the specs, in alphabetical order."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """The TOML text of the spec ``name``, one of `shipped_dialects`."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


@cache
def shipped_spec(name: str) -> DialectSpec:
    """The spec ``name``, one of `shipped_dialects`."""
    return DialectSpec.from_text(shipped_text(name), f"{name}.toml")
