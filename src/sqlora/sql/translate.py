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
from sqlora.sql.dialect.adapted import adapted
from sqlora.sql.dialect.intervals import settle_number

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
    """The text of ``tree`` in a sqlglot dialect, and the nodes that the dialect has no way to say.

    NodeError for an interval that cannot be said at all.
    """
    base = sqlglot.Dialect.get_or_raise(dialect)
    generator = _noting(base.generator_class)(dialect=base, comments=False, unsupported_level=ErrorLevel.IGNORE)
    text = generator.generate(adapted(tree.copy(), dialect), copy=False)
    return Written(text, generator.noted)


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


def canonical(tree: exp.Expr) -> exp.Expr:
    """A copy of the tree without differences that mean nothing.

    They are ``INTERVAL (-1) DAY`` and ``INTERVAL '-1' DAY``, parentheses, and a cast or truncation of the same twice.
    """
    tree = exp.Paren(this=tree.copy())
    for interval in tree.find_all(exp.Interval):
        settle_number(interval)
    for node in list(tree.find_all(exp.Cast, exp.TimestampTrunc, exp.DateTrunc, exp.Paren)):
        if isinstance(node, exp.Paren):
            if node.parent is not None:
                node.replace(node.this)
        else:
            while type(node.this) is type(node) and _other_arguments(node.this) == _other_arguments(node):
                node.set("this", node.this.this)
    return tree


def _other_arguments(node: exp.Expr) -> dict[str, object]:
    return {key: value for key, value in node.args.items() if key != "this" and value}


def instability(text: str, target: Dialect) -> str:
    """Why ``text`` in ``target`` is not to be trusted: it is not read there, or not as it was meant; '' if it is.

    What sqlglot writes in a form that it then reads otherwise is written in yet another form the second time.
    """
    try:
        read = only(target.parse_any(text))
        if any(isinstance(by.this, exp.Literal) and by.this.is_string for by in read.find_all(exp.Ordered)):
            return f"what it becomes in {target.name} sorts by a text: {short(text)}"  # LISTAGG(a ORDER BY b, ', ')
        second = target.generate(read)
        if second == text or canonical(read) == canonical(only(target.parse_any(second))):
            return ""
    except (DialectError, SqlglotError, ValueError, RecursionError) as error:
        reason = error.message if isinstance(error, DialectError) else first_line(error)
        return f"what it becomes is not read in {target.name}: {reason}"
    came, went = differences(second, text)
    return f"what it becomes in {target.name} is read there as {came}, and was written as {went}"


def differences(one: str, other: str) -> tuple[str, str]:
    """The words of two texts from the first in which they differ to the last, with two more on either side."""
    left, right = one.split(), other.split()
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    end = 0
    while end < min(len(left), len(right)) - start and left[-1 - end] == right[-1 - end]:
        end += 1
    start, end = max(0, start - 2), max(0, end - 2)
    return short(" ".join(left[start : len(left) - end])), short(" ".join(right[start : len(right) - end]))


def short(sql: str) -> str:
    """The text on one line, of at most 120 characters."""
    flat = " ".join(sql.split())
    return flat if len(flat) <= 120 else f"{flat[:119]}…"


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
