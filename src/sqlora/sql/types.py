"""House type names: read where a type stands, and nowhere else (a column may be called ``day``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.parser import Parser
from sqlglot.tokens import Token, TokenType

from sqlora.sql.spec import DialectSpec
from sqlora.sql.words import WordError


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


class _HouseTypes(Parser):
    """Reads house type names and notes which types were spelled the base's way; quiet about commands."""

    house_types: Types

    def reset(self) -> None:
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
        # `DAY "2025-03-01"` is a literal; `day` alone, where an expression may stand, is a column.
        if token and (allow_identifiers or self._next.token_type == TokenType.STRING):
            tokens = self.house_types.substitute(token)
            if tokens is not None:
                self._tokens[index : index + 1] = tokens
                self._tokens_size = len(self._tokens)
                self._advance(0)
        kind = super()._parse_types(check_func, schema, allow_identifiers, with_collation)
        if isinstance(kind, exp.DataType) and not isinstance(token, _HouseToken) and self._tokens[index] is token:
            self.base_types.append((kind, token))
        return kind

    def _warn_unsupported(self) -> None:
        """A statement that sqlglot does not know becomes a Command, which the caller sees."""


def house_parser(base: sqlglot.Dialect, types: Types) -> type[Parser]:
    """The base's parser with house type names."""
    return type("HouseParser", (_HouseTypes, base.parser_class), {"house_types": types})


def house_generator(base: sqlglot.Dialect, types: Types, spec: DialectSpec | None) -> type[Generator]:
    """The base's generator with house type names and the house's order of pagination."""
    parent = base.generator_class
    if spec is None:
        return parent
    write = parent.TRANSFORMS.get(exp.DataType) or parent.datatype_sql
    members: dict[str, Any] = {
        "TRANSFORMS": {
            **parent.TRANSFORMS,
            exp.DataType: lambda self, kind: types.name(kind, write(self, kind)),
        }
    }
    page = spec.pagination
    if page.style == "top" and page.limit:
        members["LIMIT_IS_TOP"] = True
    elif page.offset and page.offset_first:

        def offset_first(self: Generator, expression: exp.Expr, fetch: bool, limit: exp.Expr) -> list[str]:
            return [self.sql(expression, "offset"), self.sql(limit)]

        members["offset_limit_modifiers"] = offset_first
    return type("HouseGenerator", (parent,), members)
