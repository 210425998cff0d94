"""docs/reference/dialect.md: every key of a spec is there, with an example that does what it says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.forbidden import CONSTRUCTS
from sqlora.sql.dialect.shipped import shipped_dialects
from sqlora.sql.dialect.spec import QUOTING, DialectSpec, Section

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "dialect.md").read_text(encoding="utf-8")
DUCKDB = load_dialect("duckdb")


class Example(NamedTuple):
    toml: str
    house: str
    base: str
    written: str
    refused: str


def examples() -> Iterator[Example]:
    """The queries of the page, each with the spec above it."""
    toml = ""
    for kind, text in re.findall(r"```(toml|sql)\n(.*?)```", PAGE, flags=re.DOTALL):
        if kind == "toml":
            toml = text if text.startswith("name") else f'name = "example"\n{text}'
            continue
        for query, comments in re.findall(r"^(?!--)(.+)\n((?:--.*\n)+)", text, flags=re.MULTILINE):
            lines = [line.removeprefix("-- ") for line in comments.splitlines()]
            refused = next((line.removeprefix("refused: ") for line in lines if line.startswith("refused: ")), "")
            written = next((line.removeprefix("written: ") for line in lines if line.startswith("written: ")), query)
            yield Example(toml, query, "" if refused else lines[0], written, refused)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.house[:60])
def test_example(example: Example) -> None:
    dialect = Dialect("example", DialectSpec.from_text(example.toml))
    if example.refused:
        with pytest.raises(DialectError, match=re.escape(example.refused)):
            dialect.parse(example.house)
        return
    assert dialect.to_base(example.house) == example.base
    assert dialect.normalize(example.house) == example.written
    assert dialect.normalize(example.written) == example.written
    assert dialect.generate(DUCKDB.parse(example.base)) == example.written


def keys() -> list[str]:
    """All keys of the file, as ``section.key``; a section of house = base lines is one."""
    names = {field: f"quoting.{key}" for key, field in QUOTING.items()}
    found = []
    for field, info in DialectSpec.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            found += [f"{field}.{sub.alias or key}" for key, sub in info.annotation.model_fields.items()]
        else:
            found.append(names.get(field, field))
    return found


@pytest.mark.parametrize("key", keys())
def test_every_key_is_in_an_example(key: str) -> None:
    first, _, second = key.partition(".")
    name = second or first
    assert any(text in PAGE for text in (f"`{name}`", f"`{name} =", f"[{name}]"))
    specs = [tomllib.loads(toml) for toml in re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)]
    assert any(first in spec and (not second or second in spec[first]) for spec in specs)


def test_every_construct_and_every_spec_that_comes_along_is_named() -> None:
    assert all(f"`{name}`" in PAGE for name in (*CONSTRUCTS, *shipped_dialects()))
