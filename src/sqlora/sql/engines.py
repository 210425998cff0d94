"""What an engine that runs here knows, asked of the engine itself: its grammar, its functions, its types."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Protocol

# sqlglot's name of a dialect → the engine that runs it, for people.
ENGINES = {"duckdb": "DuckDB", "sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MySQL"}


@dataclass(frozen=True)
class Refusal:
    """Why an engine does not take a text; where it says so, the ``word`` at which, the ``number``-th of the text."""

    reason: str
    word: str = ""
    number: int = 0


class Engine(Protocol):
    """Judges text without running it."""

    functions: frozenset[str]  # lower case; empty where that cannot be known
    types: frozenset[str]

    def refusal(self, sql: str) -> Refusal | None:
        """Why the engine's own parser does not take the text; None if it does."""


class _DuckDB:
    def __init__(self) -> None:
        import duckdb

        self._connection = duckdb.connect(":memory:", config={"enable_external_access": "false"})
        rows = self._connection.execute("SELECT function_name FROM duckdb_functions()").fetchall()
        # COALESCE, EXTRACT, GROUPING and more are words of its grammar.
        words = self._connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
        self.functions = frozenset(name.lower() for (name,) in (*rows, *words))
        rows = self._connection.execute("SELECT type_name FROM duckdb_types()").fetchall()
        self.types = frozenset(name.lower() for (name,) in rows) | {"text", "string", "double", "list", "array", "int"}

    def refusal(self, sql: str) -> Refusal | None:
        import duckdb

        try:
            self._connection.extract_statements(sql)
        except duckdb.Error as error:
            return _refusal(sql, str(error))
        return None


class _SQLite:
    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")
        rows = self._connection.execute("SELECT name FROM pragma_function_list")
        self.functions = frozenset(name.lower() for (name,) in rows) | {"cast", "raise", "in", "values"}
        self.types: frozenset[str] = frozenset()  # SQLite takes any word for a type
        # EXPLAIN runs nothing, but some pragmas act when they are read.
        refused = (sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
        self._connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action in refused else sqlite3.SQLITE_OK
        )

    def refusal(self, sql: str) -> Refusal | None:
        try:
            self._connection.execute(f"EXPLAIN {sql}").close()
        except (sqlite3.Error, sqlite3.Warning) as error:
            text = str(error)
            return _refusal(sql, text) if "syntax error" in text or "incomplete input" in text else None
        return None


class _Unknown:
    """An engine that is a server: only sqlglot's word is had without one."""

    functions: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def refusal(self, sql: str) -> Refusal | None:
        return None


@cache
def engine(name: str) -> Engine:
    """The engine of a sqlglot dialect's name; one that knows nothing where none is built in."""
    kinds: dict[str, type[Engine]] = {"duckdb": _DuckDB, "sqlite": _SQLite}
    return kinds.get(name, _Unknown)()


def _refusal(sql: str, message: str) -> Refusal:
    """DuckDB's and SQLite's message; DuckDB draws a caret under the word, in an excerpt of the text."""
    reason = re.sub(r"^\w+ Error: ", "", message.partition("\n")[0])
    named = re.search(r'near "([^"]+)"', reason)
    if named is None:
        return Refusal(reason)
    word, end = named[1], len(sql)
    lines = message.split("\n")
    if lines[-1].strip().startswith("^") and (excerpt := re.match(r"LINE \d+: (\.\.\.)?", lines[-2])):
        before = lines[-2][excerpt.end() : lines[-1].index("^")][-30:]
        end = sql.find(before) + len(before) + len(word)
    return Refusal(reason, word, len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", sql[:end], re.IGNORECASE)))
