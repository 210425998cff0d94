"""One row of a file, whatever the file's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN = 8  # names of fields that a message lists
_KINDS: dict[type, str] = {
    dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null",
}  # fmt: skip


class RowError(ValueError):
    """A row that can't be used; the rows after it can. ``suggestion`` is what to do, '' for the source's own words."""

    def __init__(self, problem: str, suggestion: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` counts lines of a text file (where the row begins) or rows of a table, from 1; ``item`` those of a
    JSON array, which may all stand on one line.

    ``problem`` says why the row can't be read; it has no ``values`` then. ``names`` has the file's own names of fields
    that are called otherwise here.
    """

    number: int
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    unit: str = "line"
    item: int = 0
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """``line 3``; ``line 1, item 7`` of an array."""
        return f"{self.unit} {self.number}{f', item {self.item}' if self.item else ''}"

    def at(self, path: Path) -> str:
        """File and place as an error names them: ``questions.jsonl:3``."""
        return f"{path}:{self.number}" if self.unit == "line" else f"{path} {self.place}"

    def text(self, name: str) -> str:
        """The field's text without the spaces around it; RowError when it has none."""
        called = self.names.get(name, name)
        if name not in self.values:
            raise RowError(f"needs a text named {called!r}; it has {_listed(self.values)}")
        value = self.values[name]
        if not isinstance(value, str):
            raise RowError(f"{called!r} is {kind_of(value)}, not a text")
        if not (text := value.strip()):
            raise RowError(f"{called!r} is empty")
        return text

    def optional(self, name: str) -> str:
        """The field as text, '' where there is none; RowError where it is a list or an object."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, (dict, list)):
            raise RowError(f"{self.names.get(name, name)!r} is {kind_of(value)}, not a text")
        return str(value).strip()


def kind_of(value: object) -> str:
    """What kind of JSON value it is, with its article."""
    return _KINDS.get(type(value), "a number")


def _listed(names: Iterable[object]) -> str:
    shown = [printable(str(name)) for name in names]
    more = f", … {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more or "nothing"


def printable(text: str, length: int = 60) -> str:
    """The text on one line, cut, with what no terminal or file takes written as escapes."""
    short = text if len(text) <= length else f"{text[: length - 1]}…"
    return short if short.isprintable() else repr(short)[1:-1]
