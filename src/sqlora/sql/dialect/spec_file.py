"""Dialect specs as TOML: read with every problem at once, each with its key and line, and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sqlora.errors import DialectError
from sqlora.sql.dialect.spec import QUOTING, DialectSpec, Key, Section


def read_spec(path: Path) -> DialectSpec:
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
    return parse_spec(text, str(path))


def parse_spec(text: str, origin: str) -> DialectSpec:
    """Read a spec from TOML text; ``origin`` is what error messages call it."""
    from sqlora.sql.dialect.contradictions import contradictions

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
        spec = DialectSpec.model_validate(data)
    except ValidationError as error:
        raise _refusal(origin, text, [(_key(e["loc"]), _reason(e)) for e in error.errors()]) from error
    if problems := contradictions(spec):
        raise _refusal(origin, text, problems)
    return spec


def spec_text(spec: DialectSpec) -> str:
    """The spec as TOML text: what is as in the base is left out."""
    lines = [f"{key} = {_string(getattr(spec, key))}" for key in ("name", "base", "description")]
    if spec.syntax != "select":
        lines.append(f"syntax = {_string(spec.syntax)}")
    opening, closing = map(_string, spec.identifier_quotes)
    lines += ["", "[quoting]", f"identifiers = [{opening}, {closing}]", f"strings = {_string(spec.string_quote)}"]
    if spec.name_case:
        lines.append(f"case = {_string(spec.name_case)}")
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, Section):
            lines += _section(
                name, value.model_dump(exclude_none=True, by_alias=True), default=type(value)().model_dump()
            )
        elif isinstance(value, dict):
            lines += _section(name, value, default={})
    return "\n".join(lines) + "\n"


def _section(name: str, values: Mapping[str, Any], default: Mapping[str, Any]) -> list[str]:
    entries = [(key, value) for key, value in values.items() if key not in default or value != default[key]]
    return ["", f"[{name}]", *(f"{_bare(key)} = {_value(value)}" for key, value in entries)] if entries else []


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


_QUOTING_KEYS: dict[str, Key] = {field: ("quoting", key) for key, field in QUOTING.items()}


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


def _value(value: bool | str) -> str:
    return json.dumps(value) if isinstance(value, bool) else _string(value)


def _string(text: str) -> str:
    """A TOML basic string; its escapes are JSON's, plus DEL, which JSON lets through."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
