"""Dialect: a sqlglot dialect by name, or a house dialect built from a `DialectSpec`.

`parse` gives a tree in the base dialect's own terms, whatever the text was written in; everything else in
sqlora (checks, execution, structure) sees only such trees. `generate` is the way back.

    house text ─ Words.read ─▶ base tokens ─ house parser ─▶ tree with house calls ─ Forms.read ─▶ tree
    tree ─ Forms.write ─▶ tree with house calls ─ house generator ─▶ base text ─ Words.write ─▶ house text

The parser and generator are the base's with what the spec changes of the grammar (`sqlora.sql.dialect.grammar`); the
forms are what it changes of the tree (`sqlora.sql.dialect.forms`): functions, macros, literals, booleans, ROWNUM.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlglot
import sqlglot.tokens
from sqlglot import exp
from sqlglot.dialects.dialect import Dialects, NormalizationStrategy
from sqlglot.errors import ParseError, TokenError
from sqlglot.generator import Generator
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.errors import DialectError
from sqlora.sql.dialect.adapted import adapted
from sqlora.sql.dialect.contradictions import contradictions
from sqlora.sql.dialect.forms import Forms
from sqlora.sql.dialect.grammar import house_generator, house_parser, house_settings
from sqlora.sql.dialect.name_case import CaseError, NameCase
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.shipped import shipped_dialects, shipped_spec
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.dialect.spec_file import refuse
from sqlora.sql.dialect.template import MARK
from sqlora.sql.dialect.types import Types
from sqlora.sql.dialect.words import WordError, Words, needs_quotes

# What sqlglot's parser stumbles over when it is given what nobody would write.
PARSER_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Dialect:
    """A SQL dialect that parses to, and generates from, trees in the terms of ``base``.

    ``name`` is the house's or sqlglot's; ``base`` the sqlglot dialect that executes; ``spec`` None for a plain
    sqlglot dialect. Objects share nothing: two house dialects in one process don't see each other.
    """

    def __init__(self, name: str, spec: DialectSpec | None = None) -> None:
        """Raises `DialectError` for a name sqlglot does not have, or a spec that contradicts itself."""
        if spec is not None and (problems := contradictions(spec)):
            raise refuse(spec, problems)
        self.name = name
        self.spec = spec
        self.base = spec.base if spec else name
        self._base = sqlglot.Dialect.get_or_raise(_known(self.base))
        self._types = Types(spec.types if spec else {}, self._base)
        self._house = house_settings(self._base, spec)
        self._words: Words | None = None
        self._forms: Forms | None = None
        self._case: NameCase | None = None
        if spec is not None:
            self._words = Words(spec, self._base)
            self._forms = Forms(spec, self._base, self._words.literals)
            self._words.set_functions(self._forms.names, _aliased(self._forms.renamed(), self._base))
            if spec.name_case:
                base = type(self._base)
                self._case = NameCase(spec.name_case, self._base, lambda name: needs_quotes(name, base))
        kinds = self._forms.kinds() if self._forms else {}
        self._parser: Callable[..., Parser] = house_parser(self._base, self._types, spec, kinds)
        self._generator: Callable[..., Generator] = house_generator(self._base, self._types, spec)

    def __repr__(self) -> str:
        return f"Dialect({self.name!r}, base={self.base!r})"

    def parse(self, sql: str) -> exp.Query:
        """One query → its tree in the base's terms. `DialectError` with line, column and token otherwise."""
        statements = self._statements(sql)
        if len(statements) == 1 and isinstance(statements[0], exp.Query):
            return statements[0]
        starts = self._starts(sql)
        if not statements or not starts:
            raise DialectError(f"{self.name}: a query was expected, this is empty.", "Write one query.")
        start = starts[-1] if len(statements) == 1 else starts[1]
        reason = "this is not a query" if len(statements) == 1 else "one query was expected, this is another statement"
        raise self._error(sql, reason, start.start, start.end - start.start + 1, "write one query")

    def parse_any(self, sql: str) -> list[exp.Expression]:
        """All statements, of whatever kind, in the base's terms; `DialectError` where the text is not SQL."""
        return self._statements(sql)

    def generate(self, tree: exp.Expr, pretty: bool = False) -> str:
        """A tree in the base's terms → text; `DialectError` where the house has no way to say it."""
        try:
            if self._words is None or self._forms is None:
                return self._to_text(adapted(tree.copy(), self.base), pretty)
            computed = not (self.spec and self.spec.literals.interval)  # the house's own form knows a way
            folded = adapted(self._forms.write(tree.copy()), self.base, computed)
            return self._words.write(self._to_text(self._quoted(folded), pretty))
        except (WordError, NodeError, CaseError) as error:
            text = _short(tree.sql(self._base))
            hint = getattr(error, "suggestion", None) or f"say it another way, or add it to {self.name}'s [functions]"
            raise DialectError(f"In {self.name}, {error}: {text}", f"{hint[0].upper()}{hint[1:]}.") from error
        except RecursionError as error:
            raise _too_deep() from error

    def to_base(self, sql: str) -> str:
        """House text → the base's text, to be executed."""
        tree = self.parse(sql)
        try:
            return adapted(tree, self.base).sql(self._base, comments=False)
        except NodeError as error:
            raise self._error(sql, error, error.offset, error.length, error.suggestion) from error
        except RecursionError as error:
            raise _too_deep(sql) from error

    def normalize(self, sql: str) -> str:
        """The one way this dialect writes the query: parsed and generated. Idempotent."""
        return self.generate(self.parse(sql))

    @property
    def has_case(self) -> bool:
        """Whether the house has a rule of its own for the case of names."""
        return self._case is not None

    def written_name(self, text: str, quoted: bool) -> tuple[str, bool]:
        """How a name of the base is written, and whether in quotes; one that the house cannot say stays, in quotes."""
        try:
            return self._case.write(text, quoted) if self._case else (text, quoted)
        except CaseError:
            return text, True

    # ── the steps ────────────────────────────────────────────────────────────────────────────────────────

    def _statements(self, sql: str) -> list[Any]:
        try:
            tokens = self._words.read(sql) if self._words else self._base.tokenize(sql)
            parser = self._parser(dialect=self._house)
            trees = [tree for tree in parser.parse(tokens, sql) if tree and not isinstance(tree, exp.Semicolon)]
            self._types.check(parser, trees)
            if self._forms:
                trees = [self._forms.read(tree) for tree in trees]
        except (WordError, NodeError) as error:
            raise self._error(sql, error, error.offset, error.length, error.suggestion) from error
        except TokenError as error:
            raise self._unreadable(sql, error) from error
        except ParseError as error:
            raise self._unparsed(sql, error) from error
        except RecursionError as error:
            raise _too_deep(sql) from error
        except PARSER_FAILURES as error:
            raise self._error(sql, f"it can't be read as SQL ({type(error).__name__} in the parser)", 0, 1) from error
        for tree in trees:
            self._settle_quotes(tree, sql)
        return trees

    def _starts(self, sql: str) -> list[Token]:
        """The first token of each statement."""
        tokens = self._words.tokens(sql) if self._words else self._base.tokenize(sql)
        ends = [TokenType.SEMICOLON, *(token.token_type for token in tokens)]
        return [
            token
            for before, token in zip(ends, tokens, strict=False)
            if before is TokenType.SEMICOLON and token.token_type is not TokenType.SEMICOLON
        ]

    def _to_text(self, tree: exp.Expr, pretty: bool) -> str:
        generator = self._generator(dialect=self._house, pretty=pretty, comments=False)
        return generator.generate(tree, copy=False)

    def _quoted(self, tree: exp.Expr) -> exp.Expr:
        """Give names (in place) the house's case, and quote those that are words of the house."""
        for name in tree.find_all(exp.Identifier):
            if self._case and not str(name.this).startswith(MARK):
                text, quoted = self._case.write(str(name.this), bool(name.args.get("quoted")))
                name.set("this", text)
                name.set("quoted", quoted)
            if not name.args.get("quoted") and self._words and self._words.taken(name.name, _before_paren(name)):
                name.set("quoted", True)
        return tree

    def _settle_quotes(self, tree: exp.Expr, sql: str) -> None:
        """Drop quotes that say nothing (in place), so that [city] and city are one; refuse missing ones."""
        folds = self._base.normalization_strategy is not NormalizationStrategy.UPPERCASE
        base = type(self._base)
        for name in tree.find_all(exp.Identifier):
            text = str(name.this)
            start = int(name.meta.get("start", -1))
            written = sql[start : int(name.meta.get("end", -1)) + 1] if start >= 0 else text
            quoted = bool(name.args.get("quoted"))
            if not quoted and text.startswith(MARK):
                name.set("this", written)  # WITH total(a) AS …: the name of a house function, but no call of it
            elif not quoted and self._words and written.upper() != text.upper():
                raise self._reserved(sql, written, start)  # TAKE where a name was expected
            elif self._case:
                self._settle_case(name, sql, start, len(written))
            elif quoted:
                if folds and not needs_quotes(text, base):
                    name.set("quoted", False)
            elif text.lower() in _ALWAYS_QUOTED and text.lower() in self._base.generator_class.RESERVED_KEYWORDS:
                raise self._reserved(sql, text, start)

    def _settle_case(self, name: exp.Identifier, sql: str, start: int, length: int) -> None:
        try:
            text, quoted = self._case.read(str(name.this), bool(name.args.get("quoted"))) if self._case else ("", False)
        except CaseError as error:
            suggestion = f"write {error.suggestion}" if error.suggestion else None
            raise self._error(sql, error, start, length, suggestion) from error
        name.set("this", text)
        name.set("quoted", quoted)

    # ── errors ───────────────────────────────────────────────────────────────────────────────────────────

    def _error(self, sql: str, reason: object, offset: int, length: int, suggestion: str | None = None) -> DialectError:
        line, column = _position(sql, offset) if offset >= 0 else (0, 0)
        token = sql[offset : offset + length] if offset >= 0 else ""
        where = f", line {line}, column {column}" if line else ""
        near = f" at {token!r}" if token else ""
        return DialectError(
            f"{self.name}{where}{near}: {reason}.",
            f"In {self.name}, {suggestion}." if suggestion else None,
            line=line,
            column=column,
            token=token,
        )

    def _reserved(self, sql: str, name: str, offset: int) -> DialectError:
        opening, closing = (
            self.spec.identifier_quotes
            if self.spec
            else (
                self._base.IDENTIFIER_START,
                self._base.IDENTIFIER_END,
            )
        )
        reason = f"{name.upper()} is a reserved word"
        return self._error(sql, reason, offset, len(name), f"write {opening}{name}{closing}")

    def _unparsed(self, sql: str, error: ParseError) -> DialectError:
        """sqlglot gives the line and the column at which the token ends."""
        detail = error.errors[0] if error.errors else {}
        token = str(detail.get("highlight") or "")
        line, end = int(detail.get("line") or 1), int(detail.get("col") or len(token) or 1)
        reason = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", str(detail.get("description") or error))
        reason = re.sub(r"<Token token_type: \S*SENTINEL,.*>$", "the end", reason, flags=re.DOTALL)
        reason = re.sub(r"<Token token_type: .*?, text: (.*?), line: \d+, col: .*>$", r"\1", reason, flags=re.DOTALL)
        offset = _offset(sql, line, end) - len(token) + 1
        return self._error(sql, reason, max(offset, 0), len(token))

    def _unreadable(self, sql: str, error: TokenError) -> DialectError:
        if isinstance(error.__cause__, IndexError):  # the tokenizer looked for more
            return self._error(sql, "what opens at the end of the text is never closed", len(sql.rstrip()) - 1, 1)
        cause = str(error.__cause__ or error)
        if found := re.match(r"Missing (.+) from \d+:(\d+)", cause):  # line : offset in the whole text
            offset = min(int(found[2]), len(sql) - 1)
            offset += len(sql[offset:]) - len(sql[offset:].lstrip())  # after a new line it is the new line's
            return self._error(sql, f"the closing {found[1]} is missing", offset, 1)
        return self._error(sql, cause, error.start or 0, 1)


# Words that sqlglot lets pass as names though no engine does, being keywords to it only as ORDER BY and so on.
_ALWAYS_QUOTED = frozenset({"order", "group", "check", "primary", "foreign"})


def load_dialect(name: str, folder: Path | None = None) -> Dialect:
    """A dialect by sqlglot's name (``duckdb``), by that of a spec that comes with sqlora (``tsql-like``), or by the
    path of a TOML spec, relative to ``folder``.

    Raises `DialectError`: no such dialect or file, a spec that contradicts itself, or a compiled sqlglot, which
    ignores what a house dialect changes.
    """
    _refuse_compiled()
    if name.lower() in shipped_dialects():
        spec = shipped_spec(name.lower())
        return Dialect(spec.name, spec)
    if not name.endswith(".toml"):
        return Dialect(_known(name))
    path = Path(folder or ".") / name
    if not path.is_file():
        raise DialectError(
            f"There is no dialect file {path}.", "Correct [project] dialect in sqlora.toml, or write the file."
        )
    spec = DialectSpec.from_toml(path)
    return Dialect(spec.name, spec)


def _known(name: str) -> str:
    """``name`` if sqlglot has such a dialect (its own, or a plug-in's); `DialectError` otherwise."""
    lower = name.lower()
    try:
        sqlglot.Dialect.get_or_raise(lower)
    except ValueError as error:
        names = sorted([*(each.value for each in Dialects if each.value), *shipped_dialects()])
        close = difflib.get_close_matches(lower, names, n=1)
        raise DialectError(
            f"There is no SQL dialect {name!r}.",
            f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(names)}, or a .toml file of your own.",
        ) from error
    return lower


def _refuse_compiled() -> None:
    """sqlglotc lays compiled modules over sqlglot's, whose classes cannot be extended faithfully."""
    loaded = sqlglot.tokens.SQLGLOTC_INSTALLED
    try:
        version = importlib.metadata.version("sqlglotc")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if loaded or version:
        raise DialectError(
            f"The compiled sqlglotc {version or ''} is installed, and custom dialects do not work with it.",
            "pip uninstall sqlglotc",
        )


def _aliased(renamed: dict[str, str], base: sqlglot.Dialect) -> dict[str, str]:
    """The renamed base functions under all their names: STDDEV is STDDEV_SAMP."""
    functions = base.parser_class.FUNCTIONS
    return {
        alias: house
        for name, house in renamed.items()
        for alias in [name, *(a for a, build in functions.items() if name in functions and build == functions[name])]
    }


def _before_paren(name: exp.Identifier) -> bool:
    """Whether a list of columns follows the name, as in ``WITH name(a, b)`` and ``CREATE TABLE name (…)``."""
    parent = name.parent
    if isinstance(parent, exp.TableAlias):
        return name.arg_key == "this" and bool(parent.args.get("columns"))
    return isinstance(parent, exp.Table) and isinstance(parent.parent, exp.Schema)


def _too_deep(sql: str = "") -> DialectError:
    return DialectError(f"The query is nested too deeply. {_short(sql)}".strip(), "Simplify it.")


_NEWLINE = re.compile(r"\r\n|\r|\n")  # as sqlglot counts lines


def _position(sql: str, offset: int) -> tuple[int, int]:
    """1-based line and column of an offset."""
    breaks = list(_NEWLINE.finditer(sql, 0, offset))
    return len(breaks) + 1, offset - (breaks[-1].end() if breaks else 0) + 1


def _offset(sql: str, line: int, column: int) -> int:
    """The offset of 1-based ``line`` and ``column``; the inverse of `_position`."""
    starts = [0, *(found.end() for found in _NEWLINE.finditer(sql))]
    return starts[min(line, len(starts)) - 1] + column - 1


def _short(sql: str) -> str:
    flat = " ".join(sql.split())
    return flat if len(flat) <= 80 else f"{flat[:77]}…"
