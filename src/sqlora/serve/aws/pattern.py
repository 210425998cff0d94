"""Patterns of the service models, matched in time linear in the text.

Some of them, such as jobName's ``[a-zA-Z0-9](-*[a-zA-Z0-9\\+\\-\\.])*``, take a backtracking engine 2ⁿ steps on n
hyphens and a space, and job identifiers may have a thousand. pydantic's core matches with Rust's ``regex``, a finite
automaton. It knows no look-around; a pattern that needs it is not enforced, only the length is (of what is served here
that is one, AlgorithmName's, which Nova's recipes never give: a test holds that).

The models are written for Java, whose ``\\d``, ``\\s`` and ``\\w`` are ASCII, and Rust's are not.
"""

from __future__ import annotations

import re
from functools import cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

_SPACE = r"\t\n\x0B\f\r "
_CLASSES = {  # Rust nests classes, so these may stand within brackets too
    "d": "[0-9]",
    "D": "[^0-9]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "p{Alnum}": "[0-9A-Za-z]",
}


def _in_rust(pattern: str) -> str:
    return re.sub(r"\\(p\{Alnum\}|.)", lambda escape: _CLASSES.get(escape[1], escape[0]), pattern)


@cache
def _compiled(pattern: str) -> SchemaValidator | None:
    try:
        # \A and \z, because $ of one engine is not $ of another; the group, for the alternatives.
        return SchemaValidator(core_schema.str_schema(pattern=rf"\A(?:{_in_rust(pattern)})\z", strict=True))
    except SchemaError:
        return None


def linear(pattern: str) -> bool:
    """Whether the pattern is one of an automaton."""
    return _compiled(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` is what ``pattern`` says; True for a pattern that is not `linear`."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.isinstance_python(text)
