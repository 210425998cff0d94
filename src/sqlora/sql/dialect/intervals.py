"""How a house writes an interval of fixed length: ``INTERVAL '5' DAY``, ``INTERVAL 5 DAY`` or ``5 DAYS``."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.sql.dialect.parens import replaced, unnest

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


def settle_number(interval: exp.Interval) -> None:
    """INTERVAL (-7) DAY → INTERVAL '-7' DAY."""
    number = unnest(interval.this) if interval.this else None
    sign = "-" if isinstance(number, exp.Neg) else ""
    digits = unnest(number.this) if number and sign else number
    if isinstance(digits, exp.Literal) and re.fullmatch(r"\d+", digits.name):
        interval.set("this", exp.Literal.string(f"{sign}{digits.name}"))


def write_intervals(tree: exp.Expr, style: str) -> exp.Expr:
    """The intervals of ``tree`` (changed in place) as nodes that the style has a form for."""
    for cast in [node for node in tree.find_all(exp.Cast) if type(node) is exp.Cast and node.to.is_type("interval")]:
        text = cast.this.name if isinstance(cast.this, exp.Literal) else ""
        found = re.fullmatch(r"\s*(-?\d+)\s+([A-Za-z]+)\s*", text)
        if found and found[2].upper() in UNITS:  # CAST('30 days' AS INTERVAL)
            unit = exp.Var(this=found[2].upper())
            tree = replaced(tree, cast, exp.Interval(this=exp.Literal.string(found[1]), unit=unit))
    for total in list(tree.find_all(exp.Add, exp.Sub)) if style == "labelled" else ():
        interval = total.expression
        if isinstance(interval, exp.Interval):
            settle_number(interval)
            if isinstance(interval.this, exp.Literal) and interval.this.name.startswith("-"):  # d + -7 DAYS
                interval.set("this", exp.Literal.string(interval.this.name[1:]))
                other = exp.Sub if isinstance(total, exp.Add) else exp.Add
                tree = replaced(tree, total, other(this=total.this, expression=interval))
    return tree


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
            amount = amount.unnest()
            text = self.sql(amount)
            plain = isinstance(amount, exp.Column | exp.Func) and not isinstance(amount, exp.Binary)
            return f"{text if plain else f'({text})'} * {one}"
        number = amount.name
        several = name if number in ("1", "-1") else f"{name}S"
        return {
            "quoted": f"INTERVAL '{number}' {name}",
            "string": f"INTERVAL '{number} {several}'",
            "number": f"INTERVAL {number} {name}",
            "labelled": f"{number} {several}",
        }[style]

    return interval_sql
