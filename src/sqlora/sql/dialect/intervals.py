"""How a house writes an interval of fixed length: ``INTERVAL '5' DAY``, ``INTERVAL 5 DAY`` or ``5 DAYS``."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.tokenizer_core import Token, TokenType

_SINGULAR = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
UNITS = frozenset(unit for singular in _SINGULAR for unit in (singular, f"{singular}S"))


def labelled(tokens: list[Token], index: int, top_word: str) -> list[Token] | None:
    """The base's tokens for the ``5 DAYS`` that begins at ``index``, else None; ``top_word``: TOP, in capitals."""
    if tokens[index].token_type is not TokenType.NUMBER or index + 1 >= len(tokens):
        return None
    number, unit = tokens[index], tokens[index + 1]
    if unit.token_type in (TokenType.STRING, TokenType.IDENTIFIER) or unit.text.upper() not in UNITS:
        return None
    called = index + 2 < len(tokens) and tokens[index + 2].token_type in (TokenType.L_PAREN, TokenType.DOT)
    if called or (index and tokens[index - 1].text.upper() == top_word):
        return None  # SELECT TOP 3 YEAR(d), SELECT TOP 3 year
    place = (number.line, unit.col, number.start, unit.end)
    return [
        Token(TokenType.INTERVAL, "INTERVAL", *place, number.comments),
        Token(TokenType.STRING, number.text, *place),
        Token(TokenType.VAR, unit.text.upper(), *place),
    ]


def interval_writer(style: str, parent: type[Generator]) -> Callable[[Generator, exp.Interval], str]:
    """The generator's method for `exp.Interval` in this style; what is no number and unit stays the base's."""

    def interval_sql(self: Generator, interval: exp.Interval) -> str:
        amount, unit = interval.this, interval.args.get("unit")
        name = unit.name.upper().removesuffix("S") if isinstance(unit, exp.Var) else ""
        if name not in _SINGULAR or amount is None:
            return parent.interval_sql(self, interval)
        if not isinstance(amount, exp.Literal):
            # 5 DAYS takes nothing but a number; what is computed is so many times one.
            one = interval_sql(self, exp.Interval(this=exp.Literal.string("1"), unit=exp.Var(this=name)))
            text = self.sql(amount)
            amount = amount.unnest()
            plain = isinstance(amount, exp.Column | exp.Func | exp.Paren) and not isinstance(amount, exp.Binary)
            return f"{text if plain or text.startswith('(') else f'({text})'} * {one}"
        number = amount.name
        several = name if number in ("1", "-1") else f"{name}S"
        return {
            "quoted": f"INTERVAL '{number}' {name}",
            "string": f"INTERVAL '{number} {several}'",
            "number": f"INTERVAL {number} {name}",
            "labelled": f"{number} {several}",
        }[style]

    return interval_sql
