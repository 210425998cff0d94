"""What of a dialect's SQL survives the way to an engine and back.

    text ─ dialect ─▶ tree ─ sqlglot ─▶ engine's text ─ its parser ─▶ tree ─ sqlglot, dialect ─▶ text ─ dialect ─▶ tree

A statement comes back the ``same`` if the last tree is the first; ``rewritten`` if it is another tree that the engine
is given the same text for; else something of it is ``lost``: sqlglot or the engine does not know it, the dialect has no
way to say it, or its meaning may have changed. What is lost is named and placed: the smallest part of the statement
that does not survive by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect
from sqlora.sql.engines import ENGINES, engine
from sqlora.sql.places import Places
from sqlora.sql.translate import canonical, differences, first_line, is_fragment, only, plain, short, write

Outcome = Literal["same", "rewritten", "lost"]
Kind = Literal["syntax", "statement", "unsupported", "function", "type", "refused", "unwritable", "changed"]

NODES = 5_000  # of a statement's parts that are sent round by themselves to find what is lost: a second's work


@dataclass(frozen=True)
class Loss:
    """One thing that does not survive: ``construct`` is its name, ``message`` why; 1-based place of ``token``."""

    kind: Kind
    construct: str
    message: str
    line: int = 0
    column: int = 0
    token: str = ""


@dataclass(frozen=True)
class Trip:
    """What became of one statement; ``there`` is the engine's text, ``back`` the dialect's own again."""

    outcome: Outcome
    there: str = ""
    back: str = ""
    losses: tuple[Loss, ...] = ()
    trees: tuple[exp.Expr, ...] = ()


@dataclass(frozen=True)
class _Problem:
    kind: Kind
    message: str
    nodes: tuple[exp.Expr, ...] = ()  # of the tree that was sent, where they are known
    word: tuple[str, int] = ("", 0)  # where the engine stumbles, and the how manieth of the text it is


class RoundTrip:
    """Sends statements of ``dialect`` through ``through``, a sqlglot dialect whose engine may run them."""

    def __init__(self, dialect: Dialect, through: str = "duckdb") -> None:
        self.dialect = dialect
        self.through = plain(through)
        self.engine = engine(through)
        self.engine_name = ENGINES.get(through, through)
        self._left = NODES

    def trip(self, sql: str) -> Trip:
        """Send one text round; its statements share its fate. Nothing is run."""
        try:
            trees = tuple(self.dialect.parse_any(sql))
        except DialectError as error:
            return Trip("lost", losses=(loss_of(error),))
        outcomes: list[Outcome] = []
        there: list[str] = []
        back: list[str] = []
        losses: list[Loss] = []
        for tree in trees:
            self._left = NODES
            way = _Way()
            problem = self._problem(tree, way)
            outcomes.append("lost" if problem else way.outcome)
            there.append(way.there)
            back.append(way.back)
            losses += self._losses(tree, problem, Places(sql, self.dialect)) if problem else ()
        outcome: Outcome = next((word for word in _WORST if word in outcomes), "same")
        ordered = sorted(dict.fromkeys(losses), key=lambda loss: (loss.line, loss.column))
        return Trip(outcome, ";\n".join(there), ";\n".join(back), tuple(ordered), trees)

    # ── the way ──────────────────────────────────────────────────────────────────────────────────────────

    def _problem(self, tree: exp.Expr, way: _Way) -> _Problem | None:
        """The first thing that goes wrong on the way of ``tree``; ``way`` keeps the texts."""
        if is_fragment(tree):
            return _Problem("statement", "this is no statement", (tree,))
        if unread := [node for node in tree.find_all(exp.Command)]:
            return _Problem("statement", "sqlglot does not know this statement", tuple(unread))
        try:
            written = write(tree, self.through.base)
            way.there = written.text
            if written.unsupported:
                message = written.unsupported[0][1]
                return _Problem("unsupported", message, tuple(node for node, _ in written.unsupported))
            if refusal := self.engine.refusal(written.text):
                message = f"{self.engine_name} does not take it: {refusal.reason}"
                return _Problem("refused", message, word=(refusal.word, refusal.number))
            read = only(self.through.parse_any(written.text))
        except DialectError as error:
            return _Problem("refused", f"as {self.engine_name}'s SQL it does not parse: {reason_of(error)}")
        except (SqlglotError, ValueError, RecursionError) as error:
            return _Problem("unsupported", first_line(error))
        return self._unknown(tree, read, written.text) or self._return(tree, read, way)

    def _unknown(self, tree: exp.Expr, read: exp.Expr, text: str) -> _Problem | None:
        """A function or type of the engine's text that the engine does not have."""
        if self.engine.functions:
            called = {name for node in read.find_all(exp.Func) if (name := _called(node, text))}
            if missing := called - self.engine.functions:
                nodes = tuple(n for n in tree.find_all(exp.Func) if not _is_operator(n) and self._head(n) in missing)
                name = sorted(missing)[0].upper()
                return _Problem("function", f"{self.engine_name} has no function {name}", nodes)
        if self.engine.types:
            for kind in read.find_all(exp.DataType):
                name = kind.sql(self.through.base).partition("(")[0]
                if not kind.args.get("nested") and name.isidentifier() and name.lower() not in self.engine.types:
                    kinds = tuple(n for n in tree.find_all(exp.DataType) if self._head(n) == name.lower())
                    return _Problem("type", f"{self.engine_name} has no type {name}", kinds)
        return None

    def _return(self, tree: exp.Expr, read: exp.Expr, way: _Way) -> _Problem | None:
        """The way back."""
        try:
            returned = write(read, self.dialect.base) if self.dialect.base != self.through.base else None
            if returned and returned.unsupported:
                return _Problem("unsupported", f"on the way back: {returned.unsupported[0][1]}")
            way.back = self.dialect.generate(self._base_tree(returned.text) if returned else read)
            again = only(self.dialect.parse_any(way.back))
            if again == tree:
                return None
            way.outcome = "rewritten"
            second = write(again, self.through.base).text
            if second == way.there or canonical(read) == canonical(only(self.through.parse_any(second))):
                return None
        except DialectError as error:
            return _Problem("unwritable", f"on the way back: {reason_of(error)}")
        except (SqlglotError, ValueError, RecursionError) as error:
            return _Problem("unwritable", f"on the way back: {first_line(error)}")
        back, came, went = way.back, *differences(second, way.there)
        if way.is_part:
            back, came, went = (text.removeprefix("SELECT ") for text in (back, came, went))
        return _Problem("changed", f"comes back as {short(back)}: {self.engine_name} gets {came} instead of {went}")

    def _base_tree(self, text: str) -> exp.Expr:
        return only(plain(self.dialect.base).parse_any(text))

    def _head(self, node: exp.Expr) -> str:
        """The word that the engine's text of ``node`` begins with, lower case."""
        try:
            return write(node, self.through.base).text.partition("(")[0].strip().lower()
        except (SqlglotError, ValueError, RecursionError):
            return ""

    # ── what is lost ─────────────────────────────────────────────────────────────────────────────────────

    def _losses(self, tree: exp.Expr, problem: _Problem, places: Places) -> Iterator[Loss]:
        if problem.nodes:
            messages = [problem.message] * len(problem.nodes)
            if problem.kind == "unsupported":
                messages = [message.rstrip(".") for _, message in write(tree, self.through.base).unsupported]
            elif problem.kind == "function":
                messages = [f"{self.engine_name} has no function {self._head(n).upper()}" for n in problem.nodes]
            found = [(node, problem.kind, text) for node, text in zip(problem.nodes, messages, strict=False)]
        else:
            found = [(node, cause.kind, cause.message) for node, cause in self._culprits(tree, problem)]
        for node, kind, message in found:
            line, column, token = places.of(node)
            if node is tree and problem.word[0]:
                line, column, token = places.of_word(*problem.word) or (line, column, token)
            yield Loss(kind, places.construct(node), message, line, column, token)

    def _culprits(self, node: exp.Expr, problem: _Problem) -> list[tuple[exp.Expr, _Problem]]:
        """The smallest parts of ``node`` that have a problem by themselves."""
        found: list[tuple[exp.Expr, _Problem]] = []
        for part in _parts(node):
            if cause := self._alone(part):
                found += [(n, cause) for n in cause.nodes] if cause.nodes else self._culprits(part, cause)
        if found:
            return found
        for key, value in node.args.items():
            clause = value[0] if isinstance(value, list) and value else value
            if isinstance(node, exp.Query) and key not in _NEEDED and isinstance(clause, exp.Expr):
                without = node.copy()
                without.set(key, None)
                if not self._alone(without) and self._left >= 0:
                    return [(clause, problem)]
        return [(node, problem)]

    def _alone(self, part: exp.Expr) -> _Problem | None:
        self._left -= sum(1 for _ in part.walk())
        if self._left < 0:
            return None
        whole = part.copy() if isinstance(part, exp.Query) else exp.Select(expressions=[part.copy()])
        return self._problem(whole, _Way(is_part=not isinstance(part, exp.Query)))


@dataclass
class _Way:
    outcome: Outcome = "same"
    there: str = ""
    back: str = ""
    is_part: bool = False  # an expression of the statement, sent by itself


_WORST: tuple[Outcome, ...] = ("lost", "rewritten")
_NEEDED = {"expressions", "from_", "this", "expression"}  # without which a query is none
# What says nothing by itself.
_PLAIN = (exp.Column, exp.Literal, exp.Star, exp.Null, exp.Boolean, exp.Identifier, exp.Dot, exp.Distinct)


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nearest parts below ``node`` that may stand alone as an expression or a query."""
    for value in node.args.values():
        for child in value if isinstance(value, list) else (value,):
            if not isinstance(child, exp.Expr):
                continue
            if isinstance(child, exp.Condition | exp.Func | exp.Query) and not isinstance(child, _PLAIN):
                yield child
            elif not isinstance(child, _PLAIN):
                yield from _parts(child)


def _is_operator(node: exp.Func) -> bool:
    """AND is a function to sqlglot."""
    return isinstance(node, exp.Binary | exp.Connector | exp.Case)


def _called(node: exp.Func, text: str) -> str:
    """The function that ``node`` calls in the text it was read from, lower case; '' where it is no plain call."""
    meta = node._meta or {}
    if "start" not in meta or isinstance(node.parent, exp.Table):
        return ""
    name = text[int(meta["start"]) : int(meta["end"]) + 1]
    return name.lower() if text[int(meta["end"]) + 1 :].lstrip()[:1] == "(" else ""


def loss_of(error: DialectError) -> Loss:
    """A text that is not in its dialect, or that another dialect has no way to say, as a loss."""
    return Loss("syntax", "syntax", reason_of(error), error.line, error.column, error.token)


def reason_of(error: DialectError) -> str:
    """The message without the place, which is shown otherwise, and without the full stop."""
    head = f"line {error.line}, column {error.column}"
    text = error.message
    if error.line and head in text:
        text = text.partition(head)[2]
        text = text.removeprefix(f" at {error.token!r}").removeprefix(": ")
    text = text.strip().removesuffix(".")
    return f"{text}; {error.next_step[:1].lower()}{error.next_step[1:]}".removesuffix(".") if error.next_step else text
