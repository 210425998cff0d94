"""House type names: read where a type stands, and nowhere else (a column may be called ``day``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.sql.dialect.words import WordError


class _HouseToken(Token):
    """A base token that stands for a house type name, told from one the user wrote."""

    __slots__ = ()


class Types:
    """The type names of a house dialect: house → base."""

    def __init__(self, types: Mapping[str, str], base: sqlglot.Dialect) -> None:
        self._tokens = {house.upper(): base.tokenize(text) for house, text in types.items()}
        built = {house: exp.DataType.build(text, dialect=base) for house, text in types.items()}
        # DECIMAL(18, 2) as a whole, or DECIMAL with whatever parameters.
        self._exact = {kind.sql(base): house for house, kind in reversed(built.items()) if "(" in types[house]}
        self._heads = {kind.this: house for house, kind in reversed(built.items()) if "(" not in types[house]}

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def substitute(self, token: Token) -> list[Token] | None:
        """The base tokens for a house type name, else None."""
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            return None
        tokens = self._tokens.get(token.text.upper())
        if tokens is None or isinstance(token, _HouseToken):
            return None
        return [_HouseToken(t.token_type, t.text, token.line, token.col, token.start, token.end) for t in tokens]

    def name(self, kind: exp.DataType, text: str) -> str:
        """The house's text for a type that the base writes as ``text``."""
        if text in self._exact:
            return self._exact[text]
        house = self._heads.get(kind.this)
        if house is None or kind.args.get("nested"):
            return text
        _, parenthesis, parameters = text.partition("(")
        return f"{house}{parenthesis}{parameters}"

    def check(self, parser: Any, trees: list[exp.Expr]) -> None:
        """WordError where a parsed tree uses the base's spelling of a renamed type."""
        for kind, token in getattr(parser, "base_types", ()):
            house = self._heads.get(kind.this)
            # Types that the parser tried and gave up are not part of any tree.
            if house and kind.parent is not None and any(kind.root() is tree for tree in trees):
                raise WordError(f"the type {token.text.upper()} is written {house}", token, f"write {house}")


class TypeParser(Parser):
    """Reads house type names and notes which types were spelled the base's way; quiet about commands."""

    house_types: Types

    def reset(self) -> None:
        """Forget the text before, and its types."""
        super().reset()
        self.base_types: list[tuple[exp.DataType, Token]] = []

    def _parse_types(
        self,
        check_func: bool = False,
        schema: bool = False,
        allow_identifiers: bool = True,
        with_collation: bool = False,
    ) -> exp.Expr | None:
        token, index = self._curr, self._index
        if allow_identifiers:
            self._substitute_type()
        kind = super()._parse_types(check_func, schema, allow_identifiers, with_collation)
        if isinstance(kind, exp.DataType) and not isinstance(self._tokens[index], _HouseToken):
            self.base_types.append((kind, token))
        return kind

    def _parse_type(self, parse_interval: bool = True, fallback_to_identifier: bool = False) -> exp.Expr | None:
        # `DAY "2025-03-01"` is a literal; `day` alone, where an expression may stand, is a column.
        if self._next.token_type == TokenType.STRING:
            self._substitute_type()
        return super()._parse_type(parse_interval, fallback_to_identifier)

    def _substitute_type(self) -> None:
        tokens = self.house_types.substitute(self._curr) if self._curr else None
        if tokens is not None:
            self._tokens[self._index : self._index + 1] = tokens
            self._tokens_size = len(self._tokens)
            self._advance(0)

    def _warn_unsupported(self) -> None:
        """A statement that sqlglot does not know becomes a Command, which the caller sees."""
