"""What a column's type holds, whatever its dialect calls it: `NUMBER(10, 2)`, `money` and `FLOAT64` are numbers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from sqlglot import exp
from sqlglot.errors import SqlglotError

# "moment" is a day with a time of it, "other" what nobody asks about: lists, structs, intervals, JSON, bytes.
# "" is a type that sqlglot does not know; its values tell.
Holds = Literal["whole", "number", "date", "moment", "flag", "text", "enum", "uuid", "other", ""]

_Type = exp.DType
_MORE: dict[exp.DType, Holds] = {
    _Type.SERIAL: "whole", _Type.BIGSERIAL: "whole", _Type.SMALLSERIAL: "whole", _Type.YEAR: "whole",
    _Type.DATE: "date", _Type.DATE32: "date", _Type.TIME: "other", _Type.TIMETZ: "other", _Type.BOOLEAN: "flag",
    _Type.BIT: "other", _Type.UUID: "uuid", _Type.BPCHAR: "text", _Type.FIXEDSTRING: "text", _Type.SET: "text",
    _Type.ENUM: "enum", _Type.ENUM8: "enum", _Type.ENUM16: "enum", _Type.USERDEFINED: "", _Type.UNKNOWN: "", _Type.BIGNUM: "",
}  # fmt: skip

# SQLite takes any words for a type, and other engines have some that sqlglot does not know.
_UNKNOWN: tuple[tuple[str, Holds], ...] = (
    (r"\bINT(EGER)?\b", "whole"),
    (r"CHAR|TEXT|CLOB", "text"),
    (r"^(NUM|DEC)", "number"),
)


@lru_cache(maxsize=4096)
def holds(type_: str, dialect: str) -> Holds:
    """What values of ``type_`` are, by sqlglot's name of the dialect that it is written in."""
    if dialect == "tsql" and type_.upper() == "BIT":
        return "whole"  # compared with 0 and 1
    try:
        built = exp.DataType.build(type_, dialect=dialect)
    except (SqlglotError, ValueError, RecursionError):
        return next((held for pattern, held in _UNKNOWN if re.search(pattern, type_.upper())), "")
    while built.this is _Type.LOWCARDINALITY and isinstance(built.expressions[0], exp.DataType):
        built = built.expressions[0]
    if built.this is _Type.MONEY and dialect == "postgres":
        return "other"  # which has no average, and is compared with no number
    return _of(built.this)


def _of(kind: object) -> Holds:
    if kind in _MORE:
        return _MORE[kind]
    if kind in exp.DataType.INTEGER_TYPES:
        return "whole"
    if kind in exp.DataType.NUMERIC_TYPES:
        return "number"
    if kind in exp.DataType.TEMPORAL_TYPES:
        return "moment"
    return "text" if kind in exp.DataType.TEXT_TYPES else "other"
