"""DialectSpec: a house dialect as data, declared in one TOML file over a sqlglot dialect.

    name = "larkql"
    base = "duckdb"                      # what executes: any sqlglot dialect
    description = "…"

    [quoting]
    identifiers = ["[", "]"]
    strings = "\\""

    [pagination]
    limit = "TAKE"                       # style = "limit" (default): … ORDER BY x SKIP 10 TAKE 5
    offset = "SKIP"                      # style = "top":             SELECT FIRST 5 …
    offset_first = true                  # which of the two is written first (both orders are read)

    [keywords]                           # house word or phrase = base word or phrase
    VIA = "USING"

    [operators]
    "~=" = "<>"

    [functions]                          # house call = base expression; works both ways
    "TOTAL(x)" = "SUM(x)"
    "RATIO(a, b)" = "a / NULLIF(b, 0)"
    "IFMISSING(a, b...)" = "COALESCE(a, b...)"      # `...`: one or more, last parameter only

    [types]
    NUMBER = "DECIMAL"

What the house renames, the house no longer spells the base's way: a house dialect is not a superset.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sqlora.errors import DialectError

Key = tuple[str, ...]


class Pagination(BaseModel):
    """The words for the first n rows and the rows to skip; ``None`` = as in the base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: Literal["limit", "top"] = "limit"
    limit: str | None = None
    offset: str | None = None
    offset_first: bool = True


class DialectSpec(BaseModel):
    """A house dialect over the sqlglot dialect ``base``; every mapping reads house → base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: str = "duckdb"
    description: str = ""
    identifier_quotes: tuple[str, str] = ('"', '"')
    string_quote: str = "'"
    pagination: Pagination = Pagination()
    keywords: dict[str, str] = Field(default_factory=dict)
    operators: dict[str, str] = Field(default_factory=dict)
    functions: dict[str, str] = Field(default_factory=dict)
    types: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _unfold_quoting(cls, data: Any) -> Any:
        """``[quoting]`` of the file is two fields of the object."""
        if not isinstance(data, dict) or not isinstance(data.get("quoting"), dict):
            return data
        rest = {key: value for key, value in data.items() if key != "quoting"}
        for key, value in data["quoting"].items():
            rest[_QUOTING.get(key, f"quoting.{key}")] = value
        return rest

    @classmethod
    def from_toml(cls, path: Path) -> DialectSpec:
        """Read a spec from a file; `DialectError` lists every problem with its key and line."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise DialectError(
                f"The dialect file {path} cannot be read: {reason}.",
                "Set [project] dialect in sqlora.toml to a .toml file, or to a dialect such as duckdb.",
            ) from error
        except UnicodeDecodeError as error:
            raise DialectError(f"The dialect file {path} is not UTF-8 text.", "Save it as UTF-8.") from error
        return cls.from_text(text, str(path))

    @classmethod
    def from_text(cls, text: str, origin: str = "dialect.toml") -> DialectSpec:
        """Read a spec from TOML text; ``origin`` is what error messages call it."""
        from sqlora.sql.contradictions import contradictions

        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+), column (\d+)", str(error))
            line, column = (int(found[1]), int(found[2])) if found else (0, 0)
            raise DialectError(
                f"{origin} is not TOML: {error}.",
                f"Correct line {line} of {origin}." if line else f"Correct {origin}.",
                line=line,
                column=column,
            ) from error
        try:
            spec = cls.model_validate(data)
        except ValidationError as error:
            raise _refusal(origin, text, [(_key(e["loc"]), _reason(e)) for e in error.errors()]) from error
        if problems := contradictions(spec):
            raise _refusal(origin, text, problems)
        return spec

    def to_toml(self) -> str:
        """The spec as TOML text that `from_text` reads back to an equal spec."""
        lines = [f"{key} = {_string(getattr(self, key))}" for key in ("name", "base", "description")]
        opening, closing = map(_string, self.identifier_quotes)
        lines += ["", "[quoting]", f"identifiers = [{opening}, {closing}]"]
        lines += [f"strings = {_string(self.string_quote)}", "", "[pagination]"]
        for key, value in self.pagination.model_dump(exclude_none=True).items():
            lines.append(f"{key} = {json.dumps(value) if isinstance(value, bool) else _string(value)}")
        for section in ("keywords", "operators", "functions", "types"):
            lines += ["", f"[{section}]"]
            lines += [f"{_bare(key)} = {_string(value)}" for key, value in getattr(self, section).items()]
        return "\n".join(lines) + "\n"


_QUOTING = {"identifiers": "identifier_quotes", "strings": "string_quote"}
_QUOTING_KEYS: dict[str, Key] = {field: ("quoting", key) for key, field in _QUOTING.items()}


def refuse(spec: DialectSpec, problems: list[tuple[Key, str]]) -> DialectError:
    """The error for a spec made in code, where there are keys but no lines."""
    return _refusal(f"the dialect {spec.name!r}", "", problems)


def _refusal(origin: str, text: str, problems: list[tuple[Key, str]]) -> DialectError:
    """One error that lists every problem, in the order of the file's lines."""
    placed = sorted(((_line(text, key), key, reason) for key, reason in problems), key=lambda p: p[0])
    listed = "\n".join(
        f"  {f'line {line}, ' if line else ''}{'.'.join(map(_bare, key)) or 'the file'}: {reason}"
        for line, key, reason in placed
    )
    count = f"{len(placed)} problems" if len(placed) > 1 else "a problem"
    line, key, _ = placed[0]
    return DialectError(
        f"{origin} has {count}:\n{listed}",
        "Correct the keys above, then run the command again.",
        line=line,
        column=1 if line else 0,
        token=".".join(key),
    )


def _key(location: tuple[int | str, ...]) -> Key:
    """Where in the file a field of the object is written."""
    parts = [str(part) for part in location if not isinstance(part, int)]
    if parts and parts[0] in _QUOTING_KEYS:
        return _QUOTING_KEYS[parts[0]]
    return tuple(parts[0].split(".", 1) + parts[1:]) if parts else ()


def _reason(error: Any) -> str:
    value = f" (got {error['input']!r})" if error["type"] != "missing" else ""
    message = {"missing": "is required", "extra_forbidden": "no such key"}.get(error["type"], error["msg"])
    return f"{message}{value}"


def _line(text: str, key: Key) -> int:
    """The 1-based line on which ``key`` is written, its section's if the key is absent, 0 if neither is."""
    section: Key = ()
    best = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if section == key[:-1] or section == key:
                best = number
        elif (entry := _entry(line)) is not None and (*section, entry) == key:
            return number
    return best


def _entry(line: str) -> str | None:
    """The key of a TOML line ``key = …``, unquoted."""
    found = re.match(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""", line)
    if not found:
        return None
    quoted, literal, bare = found.groups()
    return json.loads(f'"{quoted}"') if quoted is not None else (literal if literal is not None else bare)


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _string(key)


def _string(text: str) -> str:
    """A TOML basic string; its escapes are JSON's, plus DEL, which JSON lets through."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
