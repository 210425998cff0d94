"""A tree as another dialect's text, with what that dialect has no way to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect

Unsupported = list[tuple[exp.Expr, str]]


@dataclass
class Written:
    """Text, and the nodes that it does not say (fully), each with sqlglot's reason."""

    text: str
    unsupported: Unsupported = field(default_factory=list)


# What sqlglot reads though it is only part of a statement: `SELEC x` is a column called SELEC, named x.
_FRAGMENTS = (exp.Condition, exp.Alias, exp.Aliases, exp.Tuple)


@cache
def plain(name: str) -> Dialect:
    """sqlglot's dialect of that name; making one takes as long as reading several queries."""
    return Dialect(name)


def is_fragment(tree: exp.Expr) -> bool:
    """Whether what was read is no statement."""
    return isinstance(tree, _FRAGMENTS) and not isinstance(tree, exp.Query)


def write(tree: exp.Expr, dialect: str) -> Written:
    """The text of ``tree`` in a sqlglot dialect, and the nodes that the dialect has no way to say."""
    base = sqlglot.Dialect.get_or_raise(dialect)
    generator = _noting(base.generator_class)(dialect=base, comments=False, unsupported_level=ErrorLevel.IGNORE)
    text = generator.generate(_without_all(tree) if dialect == "sqlite" else tree)
    return Written(text, generator.noted)


def _without_all(tree: exp.Expr) -> exp.Expr:
    """``x <> ALL (SELECT …)``, which is how sqlglot reads Snowflake's NOT IN, for an engine that has only NOT IN."""
    tree = tree.copy()
    for node in list(tree.find_all(exp.NEQ)):
        if isinstance(node.expression, exp.All) and isinstance(query := node.expression.this.unnest(), exp.Query):
            node.replace(exp.Not(this=exp.In(this=node.this, query=exp.Subquery(this=query))))
    return tree


def translate(tree: exp.Expr, source: Dialect, target: Dialect, pretty: bool = False) -> tuple[str, Unsupported]:
    """``tree``, in the terms of ``source``, as text of ``target``; and the nodes that did not make it, with the reason.

    DialectError where ``target`` has no way to say it at all.
    """
    if source.base == target.base:
        return target.generate(tree, pretty), []
    try:
        written = write(tree, target.base)
        read = only(plain(target.base).parse_any(written.text))
    except (SqlglotError, ValueError, RecursionError) as error:
        raise DialectError(f"{target.name} has no way to say it: {first_line(error)}.") from error
    return target.generate(read, pretty), written.unsupported


_CLASSES: dict[type[Any], type[Any]] = {}


def _noting(parent: type[Any]) -> Callable[..., Any]:
    """The generator class, noting which node it is at when it says that something is not supported."""
    if parent not in _CLASSES:

        class Noting(parent):  # type: ignore[misc]
            def __init__(self, **settings: Any) -> None:
                super().__init__(**settings)
                self.noted: list[tuple[exp.Expr, str]] = []
                self._at: list[exp.Expr] = []

            def sql(self, expression: Any, key: str | None = None, comment: bool = True) -> str:
                if key is not None or not isinstance(expression, exp.Expr):
                    return super().sql(expression, key, comment)  # type: ignore[no-any-return]
                self._at.append(expression)
                try:
                    return super().sql(expression, key, comment)  # type: ignore[no-any-return]
                finally:
                    self._at.pop()

            def unsupported(self, message: str) -> None:
                super().unsupported(message)
                if self._at:
                    self.noted.append((self._at[-1], message))

        _CLASSES[parent] = Noting
    return _CLASSES[parent]


def only(trees: list[Any]) -> exp.Expr:
    """The one tree; ValueError for several or none."""
    if len(trees) != 1:
        raise ValueError(f"it became {len(trees)} statements")
    tree: exp.Expr = trees[0]
    return tree


def first_line(error: BaseException) -> str:
    """An error's message, as a reason."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
