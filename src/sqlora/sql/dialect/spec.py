"""DialectSpec: a house dialect as data, declared in one TOML file over a sqlglot dialect.

    name = "larkql"
    base = "duckdb"                      # what executes: any sqlglot dialect

    [quoting]
    identifiers = ["[", "]"]
    strings = "\\""

    [keywords]                           # house word or phrase = base word or phrase
    VIA = "USING"

    [functions]                          # house call = base expression; works both ways
    "TOTAL(x)" = "SUM(x)"
    "RATIO(a, b)" = "a / NULLIF(b, 0)"

Every key, with an example that the tests run, is in docs/reference/dialect.md. What the house renames, the house
no longer spells the base's way: a house dialect is not a superset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = tuple[str, ...]


class Section(BaseModel):
    """A table of the file; its keys are all optional, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Pagination(Section):
    """How the first n rows are asked for, and the rows to skip; ``None`` = the words of the base.

    style: ``limit`` … LIMIT 5 OFFSET 10 · ``top`` SELECT TOP 5 … · ``fetch`` OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY ·
    ``top-fetch`` TOP without an offset, FETCH with one · ``rownum`` WHERE ROWNUM <= 5 without, FETCH with one.
    ``limit`` and ``offset`` are other words for LIMIT or TOP, and for OFFSET; ``offset_first`` which is written first.
    """

    style: Literal["limit", "top", "fetch", "top-fetch", "rownum"] = "limit"
    limit: str | None = None
    offset: str | None = None
    offset_first: bool = True


class Literals(Section):
    """How dates, times and intervals are written.

    ``date``, ``timestamp``, ``time``: the house's text with strftime's codes in its string, such as
    ``TO_DATE('%d.%m.%Y', 'DD.MM.YYYY')`` or ``#%Y-%m-%d#``. ``interval``: ``quoted`` INTERVAL '5' DAY · ``string``
    INTERVAL '5 DAYS' · ``number`` INTERVAL 5 DAY · ``labelled`` 5 DAYS.
    """

    date: str | None = None
    timestamp: str | None = None
    time: str | None = None
    interval: Literal["quoted", "string", "number", "labelled"] | None = None


class Ordering(Section):
    """Where NULLs are sorted when nothing is said, whether NULLS FIRST and NULLS LAST may be said at all, and where an
    aggregate's own ORDER BY stands.

    nulls: ``low`` first when ascending · ``high`` first when descending · ``last`` always · ``None`` as in the base.
    aggregates: ``within_group`` LISTAGG(x, ', ') WITHIN GROUP (ORDER BY y) · ``None`` as in the base.
    """

    nulls: Literal["low", "high", "last"] | None = None
    explicit: bool = True
    aggregates: Literal["within_group"] | None = None


class Casts(Section):
    """``call`` CAST(x AS DATE) · ``colons`` x::DATE · ``convert`` CONVERT(DATE, x); only the one chosen is read."""

    style: Literal["call", "colons", "convert"] | None = None


class SetOperators(Section):
    """The house's words for the set operators; ``None`` = as in the base."""

    union: str | None = None
    union_all: str | None = None
    intersect: str | None = None
    intersect_all: str | None = None
    except_: str | None = Field(None, alias="except")
    except_all: str | None = None


class Booleans(Section):
    """What TRUE and FALSE are written as where they are values, in a dialect that has no such words.

    A condition is then no value and a value no condition: ``WHERE active`` is ``WHERE active = 1``, ``SELECT a > b`` a
    CASE, and TRUE where a condition stands ``1 = 1``. Both or neither are given, as numbers or strings of the house.
    """

    true: str | None = None
    false: str | None = None


class DialectSpec(BaseModel):
    """A house dialect over the sqlglot dialect ``base``; every mapping reads house → base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: str = "duckdb"
    description: str = ""
    syntax: Literal["select", "pipe"] = "select"
    identifier_quotes: tuple[str, str] = ('"', '"')
    string_quote: str = "'"
    name_case: Literal["upper", "lower", "exact", "any"] | None = None
    pagination: Pagination = Pagination()
    literals: Literals = Literals()
    ordering: Ordering = Ordering()
    casts: Casts = Casts()
    set_operators: SetOperators = SetOperators()
    booleans: Booleans = Booleans()
    keywords: dict[str, str] = Field(default_factory=dict)
    operators: dict[str, str] = Field(default_factory=dict)
    functions: dict[str, str] = Field(default_factory=dict)
    macros: dict[str, str] = Field(default_factory=dict)
    types: dict[str, str] = Field(default_factory=dict)
    forbidden: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _unfold_quoting(cls, data: Any) -> Any:
        """``[quoting]`` of the file is three fields of the object."""
        if not isinstance(data, dict) or not isinstance(data.get("quoting"), dict):
            return data
        rest = {key: value for key, value in data.items() if key != "quoting"}
        for key, value in data["quoting"].items():
            rest[QUOTING.get(key, f"quoting.{key}")] = value
        return rest

    @classmethod
    def from_toml(cls, path: Path) -> DialectSpec:
        """Read a spec from a file; `DialectError` lists every problem with its key and line."""
        from sqlora.sql.dialect.spec_file import read_spec

        return read_spec(path)

    @classmethod
    def from_text(cls, text: str, origin: str = "dialect.toml") -> DialectSpec:
        """Read a spec from TOML text; ``origin`` is what error messages call it."""
        from sqlora.sql.dialect.spec_file import parse_spec

        return parse_spec(text, origin)

    def to_toml(self) -> str:
        """The spec as TOML text that `from_text` reads back to an equal spec."""
        from sqlora.sql.dialect.spec_file import spec_text

        return spec_text(self)


QUOTING = {"identifiers": "identifier_quotes", "strings": "string_quote", "case": "name_case"}
