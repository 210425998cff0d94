"""The grammar of a house dialect: the base's parser and generator, each with what the spec changes of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.parser import Parser

from sqlora.sql.dialect.casts import cast_writer, convert_parsers
from sqlora.sql.dialect.intervals import interval_writer
from sqlora.sql.dialect.pagination import FetchParser, fetch_members
from sqlora.sql.dialect.pipe_parser import PipeParser
from sqlora.sql.dialect.pipe_writer import pipe_members
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.dialect.template import MARK
from sqlora.sql.dialect.types import TypeParser, Types
from sqlora.sql.dialect.within_group import within_group_members

_NULLS = {"low": "nulls_are_small", "high": "nulls_are_large", "last": "nulls_are_last"}


def house_settings(base: sqlglot.Dialect, spec: DialectSpec | None) -> sqlglot.Dialect:
    """The base with the house's order of NULLs."""
    if spec is None or spec.ordering.nulls is None:
        return base
    house = copy.copy(base)
    house.NULL_ORDERING = _NULLS[spec.ordering.nulls]
    return house


def house_parser(
    base: sqlglot.Dialect, types: Types, spec: DialectSpec | None, kinds: Mapping[str, str]
) -> type[Parser]:
    """The base's parser with house type names, and the house's forms of queries and casts.

    ``kinds``: which house functions are aggregates or look at windows.
    """
    parents: list[type[Parser]] = [TypeParser]
    members: dict[str, Any] = {"house_types": types}
    if spec and spec.pagination.style in ("fetch", "top-fetch", "rownum"):
        parents.append(FetchParser)
    if spec and spec.syntax == "pipe":
        parents.append(PipeParser)
        members["house_kinds"] = {f"{MARK}{name}": kind for name, kind in kinds.items()}
    if spec and spec.casts.style == "convert":
        members["FUNCTION_PARSERS"] = convert_parsers(base.parser_class)
    return type("HouseParser", (*parents, base.parser_class), members)


def house_generator(base: sqlglot.Dialect, types: Types, spec: DialectSpec | None) -> type[Generator]:
    """The base's generator with house type names and forms, and IS NOT for NOT … IS."""
    parent = base.generator_class
    members: dict[str, Any] = {}
    transforms: dict[Any, Any] = {}
    if exp.Not not in parent.TRANSFORMS:
        members["not_sql"] = _not_sql(parent)
    if types:
        write = parent.TRANSFORMS.get(exp.DataType) or parent.datatype_sql
        transforms[exp.DataType] = lambda self, kind: types.name(kind, write(self, kind))
    if spec:
        members |= _pagination(spec)
        if spec.literals.interval:
            transforms[exp.Interval] = interval_writer(spec.literals.interval, parent)
        if spec.casts.style in ("colons", "convert"):
            for kind, method in ((exp.Cast, "cast_sql"), (exp.TryCast, "trycast_sql")):
                own = parent.TRANSFORMS.get(kind) or getattr(parent, method)
                transforms[kind] = cast_writer(spec.casts.style, own)
        if spec.syntax == "pipe":
            members |= pipe_members(parent, upper=spec.name_case == "upper")
        if spec.ordering.aggregates:
            members |= within_group_members()
    if transforms:
        members["TRANSFORMS"] = {**parent.TRANSFORMS, **transforms}
    return type("HouseGenerator", (parent,), members)


def _pagination(spec: DialectSpec) -> dict[str, Any]:
    page = spec.pagination
    top = {"LIMIT_IS_TOP": True} if page.style in ("top", "top-fetch") else {}
    if page.style in ("fetch", "top-fetch", "rownum"):
        return {**top, **fetch_members()}
    if top:
        return top
    return {"offset_limit_modifiers": _offset_first} if page.offset and page.offset_first else {}


def _offset_first(self: Generator, expression: exp.Expr, fetch: bool, limit: exp.Expr) -> list[str]:
    return [self.sql(expression, "offset"), self.sql(limit)]


def _not_sql(parent: type[Generator]) -> Callable[[Generator, exp.Not], str]:
    def not_sql(self: Generator, expression: exp.Not) -> str:
        """``x IS NOT NULL``, as people write it, for sqlglot's ``NOT x IS NULL``."""
        word = {exp.Is: "IS", exp.In: "IN", exp.Between: "BETWEEN"}.get(type(expression.this))
        if word:
            text, operand = self.sql(expression, "this"), self.sql(expression.this, "this")
            if text.startswith(f"{operand} {word} "):
                negated = "IS NOT" if word == "IS" else f"NOT {word}"
                return f"{operand} {negated}{text[len(operand) + 1 + len(word) :]}"
        return parent.not_sql(self, expression)

    return not_sql
