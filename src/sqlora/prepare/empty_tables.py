"""Would the engine take this query? Asked of DuckDB over the schema's tables with nothing in them.

An example that brings only CREATE TABLE statements has no data to run on. But whether SUM gets numbers, whether every
column is grouped by, and whether a function takes those types, an engine tells without data.

Nothing takes no time, but not all that a query reads need be a table: rows can be written in it, or made by it, and an
engine computes what is constant before it looks for rows. Such queries are run in a process that can be ended.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import QueryError, QueryLimitError
from sqlora.sql.execute import Limits
from sqlora.sql.execute.duckdb_database import LOCKED
from sqlora.sql.execute.isolated import IsolatedDatabase
from sqlora.sql.schema import Schema, Table

if TYPE_CHECKING:
    import duckdb

# What makes rows out of nothing.
_SOURCES = (exp.Unnest, exp.Lateral, exp.UDTF, exp.Values, exp.GenerateSeries, exp.ExplodingGenerateSeries)
_LOOKED_AT = (exp.Func, exp.Select, exp.With, *_SOURCES)
# Calls that cost nothing, whatever constants they are given.
_CHEAP = (exp.Cast, exp.Extract, exp.CurrentDate, exp.CurrentTimestamp, exp.Case, exp.If, exp.Connector, exp.Count)
LIMITS = Limits(seconds=2.0, rows=10, memory_mb=256)

SHAPES = 50_000  # remembered

# A text, a quoted name, a word that is not called as a function, or a number.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_]\w*(?![\w(])|\d+(?:\.\d+)?""")
_ALL_COLUMNS = re.compile(r"(?<!\()\*|\bNATURAL\b|\bCOLUMNS\(")


class EmptyTables:
    """A DuckDB in memory that holds nothing. Not for several threads.

    What it takes of one query it takes of all that differ only in names and values; public sets have thousands of them.
    """

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._isolated: IsolatedDatabase | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._taken: set[str] = set()

    def refusal(self, tree: exp.Expr, schema: Schema) -> str | None:
        """Why DuckDB would refuse a checked query over ``schema``; None where it would not, or can't be asked.

        The tree is used up: writing it leaves it as DuckDB wants it.
        """
        import duckdb

        tables: dict[str, Table] = {}
        endless = False
        for node in tree.walk():
            if isinstance(node, exp.Table):
                if node.db:
                    return None  # in a namespace, which a WITH can't stand for
                if (table := schema.get(node.name)) is not None and table.columns:
                    tables[table.name.lower()] = table
            endless = endless or _may_be_endless(node)
        try:
            text = tree.sql("duckdb", comments=False, copy=False)
            if (shape := _shape(text, tables)) in self._taken:
                return None
            with_tables = f"WITH {', '.join(map(_empty, tables.values()))} SELECT * FROM ({text})" if tables else text
            if endless:
                self._in_a_process().run(with_tables, LIMITS)
            else:
                self._connected().execute(with_tables)
        except SqlglotError as error:
            return f"can't be written for DuckDB: {error}"
        except QueryLimitError as error:
            return f"without any rows in its tables: {error.message}"
        except (QueryError, duckdb.Error) as error:
            message = str(error).strip().splitlines()[0]
            return None if "Type with name" in message else f"DuckDB refused the query: {message}"
        if shape and len(self._taken) < SHAPES:
            self._taken.add(shape)
        return None

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            import duckdb

            config = {**LOCKED, "threads": 1, "memory_limit": "256MB"}
            self._connection = duckdb.connect(":memory:", config=config)
        return self._connection

    def _in_a_process(self) -> IsolatedDatabase:
        if self._isolated is None:
            import duckdb

            self._folder = tempfile.TemporaryDirectory()
            file = Path(self._folder.name) / "empty.duckdb"
            duckdb.connect(str(file)).close()
            self._isolated = IsolatedDatabase(f"duckdb:///{file}")
        return self._isolated

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._isolated is not None:
            self._isolated.close()
            self._isolated = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _may_be_endless(node: exp.Expr) -> bool:
    """Whether ``node`` makes rows, or is a call of constants only."""
    if not isinstance(node, _LOOKED_AT):  # nearly all of them
        return False
    if isinstance(node, _SOURCES):
        return True
    if isinstance(node, exp.With):
        return bool(node.args.get("recursive"))
    if isinstance(node, exp.Select):
        return not node.args.get("from_")
    return isinstance(node, exp.Func) and not isinstance(node, _CHEAP) and node.find(exp.Column, exp.Star) is None


def _empty(table: Table) -> str:
    columns = ", ".join(f"{_typed_null(column.type)} AS {_quoted(column.name)}" for column in table.columns)
    return f"{_quoted(table.name)} AS (SELECT {columns} WHERE FALSE)"


@lru_cache(maxsize=1024)
def _typed_null(kind: str) -> str:
    """SQLite has columns without a type, of which nothing can be said."""
    return f"CAST(NULL AS {kind})" if kind else "NULL"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shape(text: str, tables: Mapping[str, Table]) -> str:
    """The query with types for its columns, numbered by name, and without its values; '' where that says too little."""
    if _ALL_COLUMNS.search(text):
        return ""
    kinds: dict[str, str] = dict.fromkeys(tables, "table")
    for table in tables.values():
        for column in table.columns:
            name = column.name.lower()
            kinds[name] = f"{kinds[name]}, {column.type}" if name in kinds else column.type
    known: dict[str, str] = {}

    def without_name(found: re.Match[str]) -> str:
        word = found[0]
        if word[0] == "'":
            return "''"
        if word[0].isdigit():
            return word if len(word) < 3 else "9.9" if "." in word else "999"  # ORDER BY 2 is no value
        name = word.strip('"').lower()
        if word.isupper() or name not in kinds:  # the generator writes keywords in upper case
            return word
        return known.setdefault(name, f"{kinds[name]}#{len(known)}")

    return _TOKEN.sub(without_name, text)
