"""How a house writes a cast: ``CAST(x AS DATE)``, ``x::DATE`` or ``CONVERT(DATE, x)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

_SHOWN = {"call": "CAST(x AS type)", "colons": "x::type", "convert": "CONVERT(type, x)"}


def foreign_cast(style: str | None, tokens: list[Token], index: int) -> str | None:
    """How the house writes the cast that begins at ``index``, where that is another way; else None."""
    token = tokens[index]
    if style is None:
        return None
    called = index + 1 < len(tokens) and tokens[index + 1].token_type is TokenType.L_PAREN
    if token.token_type is TokenType.DCOLON:
        used = "colons"
    elif called and token.text.upper() in ("CAST", "CONVERT"):
        used = "call" if token.text.upper() == "CAST" else "convert"
    else:
        return None
    return None if used == style else _SHOWN[style]


def convert_parsers(parent: type[Parser]) -> dict[str, Callable[[Any], exp.Expr]]:
    """The functions of the base's parser with CONVERT's arguments in the house's order."""
    return {
        **parent.FUNCTION_PARSERS,
        "CONVERT": lambda self: _parse_convert(self, exp.Cast),
        "TRY_CONVERT": lambda self: _parse_convert(self, exp.TryCast),
    }


def _parse_convert(parser: Any, kind: type[exp.Cast]) -> exp.Expr:
    to = parser._parse_types()
    if to is None:
        parser.raise_error("CONVERT begins with a type")
    parser._match(TokenType.COMMA) or parser.raise_error("CONVERT is written CONVERT(type, x)")
    value = parser._parse_disjunction()
    cast: exp.Expr = parser.expression(kind(this=value, to=to))
    return cast


def cast_writer(style: str, base_cast: Callable[..., str]) -> Callable[..., str]:
    """The generator's way to write `exp.Cast` and `exp.TryCast`; ``base_cast`` is the base's own."""

    def cast_sql(self: Generator, cast: exp.Cast, *rest: Any, **options: Any) -> str:
        if cast.args.get("format") or cast.args.get("default") or (style == "colons" and type(cast) is not exp.Cast):
            return base_cast(self, cast, *rest, **options)
        operand = self.sql(cast, "this")
        text = base_cast(self, cast, *rest, **options)
        before, found, after = text.partition(f"CAST({operand} AS ")
        if before not in ("", "TRY_", "SAFE_") or not found or not after.endswith(")"):
            return text  # the base says it in another way
        kind = after[:-1]
        if style == "convert":
            return f"{'TRY_' if type(cast) is exp.TryCast else ''}CONVERT({kind}, {operand})"
        plain = isinstance(cast.this, exp.Column | exp.Literal | exp.Paren | exp.Null | exp.Boolean | exp.Subquery)
        bare = plain or (type(cast.this) is exp.Cast) or (isinstance(cast.this, exp.Anonymous))
        return f"{operand if bare else f'({operand})'}::{kind}"

    return cast_sql
