"""How a house writes dates, times and timestamps: ``TO_DATE('31.01.2025', 'DD.MM.YYYY')`` or ``#2025-01-31#``.

Reading turns the house's tokens into one marked call with the ISO text, which `Literals.expand` makes the base's
CAST of; `Literals.fold` and `Literals.text` are the way back. A literal that the house's form cannot hold, such as a
fraction of a second where the form has none, stays a CAST.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.dialect.template import MARK

_ISO = {
    "date": ("%Y-%m-%d",),
    "timestamp": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"),
    "time": ("%H:%M:%S", "%H:%M:%S.%f"),
}
_NEEDED = {"date": "Ymd", "timestamp": "YmdHMS", "time": "HMS"}
_EXAMPLE = datetime(2025, 1, 31, 13, 30)
_SAME = {"b": "m", "B": "m"}  # names of months say what %m does


class LiteralError(ValueError):
    """A form that no literal can be written in."""


@dataclass(frozen=True)
class _Form:
    kind: str
    text: str  # as the spec has it
    parts: tuple[tuple[TokenType, str], ...]  # the tokens: their kinds and upper-case texts
    slot: int  # which part the value stands in
    opening: str  # the character that the value's string begins with
    start: int  # where in ``text`` the format begins …
    end: int  # … and ends
    format: str


class Literals:
    """The date and time literals of one house dialect."""

    def __init__(self, spec: DialectSpec, base: sqlglot.Dialect, tokenize: Callable[[str], list[Token]]) -> None:
        self._base = base
        self._forms = [form(kind, text, tokenize) for kind, text in written(spec)]
        self._by_mark = {_mark(each.kind): each for each in self._forms}
        self._types = {exp.DataType.build(each.kind, dialect=base).sql(base): each for each in self._forms}

    def __bool__(self) -> bool:
        return bool(self._forms)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def match(self, tokens: list[Token], index: int, sql: str) -> tuple[list[Token], int] | None:
        """The marked call for the literal that begins at ``index``, and the index after it.

        LiteralError where the form is the house's and the value no date or time; its second argument is the token.
        """
        failure: LiteralError | None = None
        for each in self._forms:
            found = tokens[index : index + len(each.parts)]
            if len(found) == len(each.parts) and all(
                _same(part, token, at == each.slot, each.opening, sql)
                for at, (part, token) in enumerate(zip(each.parts, found, strict=True))
            ):
                try:
                    iso = self._iso(each, found[each.slot])
                except LiteralError as error:  # #2025-01-31# may be a date where it is no timestamp
                    failure = error
                    continue
                return _call(each.kind, iso, found[0], found[-1]), index + len(found)
        if failure:
            raise failure
        return None

    def _iso(self, each: _Form, token: Token) -> str:
        try:
            value = datetime.strptime(token.text, each.format)
        except ValueError:
            example = _EXAMPLE.strftime(each.format)
            raise LiteralError(f"{token.text} is not a {each.kind} as {example} is", token) from None
        plain, *fraction = _ISO[each.kind]
        return value.strftime(fraction[0] if fraction and value.microsecond else plain)

    def expected(self, kind: str) -> str | None:
        """What a literal of this kind (``DATE``, in capitals) is written as, for messages; None = as in the base."""
        each = self._by_mark.get(_mark(kind.lower()))
        if each is None:
            return None
        return f"{each.text[: each.start]}{_EXAMPLE.strftime(each.format)}{each.text[each.end :]}"

    def expand(self, tree: exp.Expr) -> exp.Expr:
        """Replace the marked calls in ``tree`` (changed in place) by the base's casts."""
        for call in [node for node in tree.find_all(exp.Anonymous) if str(node.this) in self._by_mark]:
            kind = exp.DataType.build(self._by_mark[str(call.this)].kind, dialect=self._base)
            cast = exp.Cast(this=call.expressions[0].copy(), to=kind)
            if call is tree:
                return cast
            call.replace(cast)
        return tree

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def fold(self, tree: exp.Expr) -> exp.Expr:
        """Replace the base's casts of dates and times in ``tree`` (changed in place) by marked calls."""
        for cast in [node for node in tree.find_all(exp.Cast) if type(node) is exp.Cast]:
            if not isinstance(cast.this, exp.Literal) or not cast.this.is_string:
                continue
            each = self._types.get(cast.to.sql(self._base))
            if each and _value(each, cast.this.name) is not None:
                call = exp.Anonymous(this=_mark(each.kind), expressions=[cast.this.copy()])
                if cast is tree:
                    return call
                cast.replace(call)
        return tree

    def text(self, mark: str, iso: str) -> str | None:
        """House text for a marked call, else None."""
        each = self._by_mark.get(mark)
        value = _value(each, iso) if each else None
        if each is None or value is None:
            return None
        return f"{each.text[: each.start]}{value.strftime(each.format)}{each.text[each.end :]}"


def written(spec: DialectSpec) -> Iterator[tuple[str, str]]:
    """The kinds of literals that the spec has a form for, the longest form of all kinds first."""
    forms = [(kind, text) for kind in _ISO if (text := getattr(spec.literals, kind))]
    yield from sorted(forms, key=lambda pair: -len(pair[1]))


def delimiters(spec: DialectSpec) -> set[str]:
    """The characters that delimit literals of their own: ``#`` of ``#%Y-%m-%d#``."""
    quotes = {spec.string_quote, *spec.identifier_quotes}
    ends = {(text[0], text[-1]) for _, text in written(spec)}
    return {
        a for a, b in ends if a == b and a not in quotes and not a.isalnum() and not a.isspace() and a not in "_%()"
    }


def form(kind: str, text: str, tokenize: Callable[[str], list[Token]]) -> _Form:
    """Compile one form; LiteralError says what is wrong with it."""
    try:
        tokens = tokenize(text)
    except sqlglot.errors.SqlglotError:
        raise LiteralError(f"{text!r} is not made of words of SQL") from None
    slots = [at for at, token in enumerate(tokens) if token.token_type is TokenType.STRING and "%" in token.text]
    if len(slots) != 1:
        raise LiteralError(f"{text!r} has not one string with %Y and the like in it")
    value = tokens[slots[0]]
    codes = re.findall(r"%(.?)", value.text)
    if wrong := [f"%{code}" for code in codes if code not in "YmdbBHMSf"]:
        raise LiteralError(f"{wrong[0]} is not one of %Y %m %d %b %B %H %M %S %f")
    if missing := set(_NEEDED[kind]) - {_SAME.get(code, code) for code in codes}:
        raise LiteralError(f"{value.text!r} leaves out %{' %'.join(sorted(missing))} of a {kind}")
    if extra := {_SAME.get(code, code) for code in codes} - set(_NEEDED[kind]) - set("f" if kind != "date" else ""):
        raise LiteralError(f"%{' %'.join(sorted(extra))} is no part of a {kind}")
    start = text.index(value.text, value.start)
    opening = text[value.start]
    if len(tokens) == 1 and opening in "'\"":
        raise LiteralError("any string would be one")
    parts = tuple((token.token_type, token.text.upper()) for token in tokens)
    return _Form(kind, text, parts, slots[0], opening, start, start + len(value.text), value.text)


def _mark(kind: str) -> str:
    return f"{MARK}{kind.upper()}{MARK}"


def _call(kind: str, iso: str, first: Token, last: Token) -> list[Token]:
    place = (first.line, last.col, first.start, last.end)
    return [
        Token(TokenType.VAR, _mark(kind), *place, first.comments),
        Token(TokenType.L_PAREN, "(", *place),
        Token(TokenType.STRING, iso, *place),
        Token(TokenType.R_PAREN, ")", *place),
    ]


def _same(part: tuple[TokenType, str], token: Token, slot: bool, opening: str, sql: str) -> bool:
    kind, text = part
    if slot:
        return token.token_type is TokenType.STRING and sql.startswith(opening, token.start)
    if TokenType.STRING in (kind, token.token_type) or TokenType.IDENTIFIER in (kind, token.token_type):
        return kind is token.token_type and text == token.text.upper()
    return text == token.text.upper()


def _value(each: _Form, iso: str) -> datetime | None:
    """The value, where the house's form can hold it."""
    for pattern in _ISO[each.kind]:
        try:
            value = datetime.strptime(iso, pattern)
            same = datetime.strptime(value.strftime(each.format), each.format)
        except ValueError:
            continue
        if value.year >= 1000 and value == same and value.strftime(pattern) == iso:
            return value
    return None
