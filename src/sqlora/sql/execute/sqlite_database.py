"""SQLite, opened read-only and fenced by an authorizer.

`mode=ro` alone still lets a query ATTACH a new file and write there, so every step of a statement is asked
about: reading, calling a function of the list below, and recursion are allowed, everything else is refused.

What remains: the progress handler is not called inside one function, and `LENGTH` bounds what one value may
hold only after it was made. So the functions that make big values out of small ones (printf, format,
randomblob, zeroblob) are not on the list.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlora.errors import BusyError, DatabaseError, QueryError, SqloraError
from sqlora.sql.execute.database import Database, Limits, ResultSet, fetch_within, memory_error, time_error
from sqlora.sql.functions import SQLITE_FUNCTIONS
from sqlora.sql.schema import Column, ForeignKey, Schema, Table
from sqlora.sql.schema.ddl import canonical_type

RECURSIVE = 33  # SQLITE_RECURSIVE, which Python 3.11 has no name for
VALUE_BYTES = 10_000_000  # the longest text, blob or row
NAMES = """
SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' ORDER BY rowid"""
SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
COLUMNS = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?) WHERE hidden <> 1"  # generated: 2, 3
STEPS = 1_000  # virtual machine steps between looks at the clock: some 50 µs


class SQLiteDatabase(Database):
    """An SQLite file; each query has its own connection, so threads don't meet."""

    dialect_name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        with self._connection() as connection:
            connection.execute("SELECT COUNT(*) FROM sqlite_master")

    def schema(self) -> Schema:
        """Tables and views in the order they were made. SQLite has no comments.

        Without what no query can read, or should: views of a table that is gone, virtual tables of a module that is
        not there, and the tables in which a virtual table (full-text search) keeps what it knows.
        """
        with self._connection() as connection:
            names = [name for (name,) in connection.execute(NAMES)]
            if sqlite3.sqlite_version_info >= (3, 37):  # it lists no tables before
                inner = {name for (name,) in connection.execute(SHADOWS)}
                names = [name for name in names if name not in inner]
            tables = (_table(connection, name) for name in names)
            return Schema(tuple(table for table in tables if table is not None), "sqlite")

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """Run one SELECT; see `Database.run`."""
        started = time.monotonic()
        with self._connection() as connection:
            _fence(connection, started + limits.seconds)
            try:
                cursor = connection.execute(sql)
                if cursor.description is None:  # nothing but a comment
                    raise QueryError("only SELECT is run, this text holds no statement")
                columns = tuple(str(item[0]) for item in cursor.description)
                rows, truncated = fetch_within(cursor.fetchmany, limits, started)
            except MemoryError:
                raise memory_error(limits) from None
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise _query_error(error, limits) from None
            return ResultSet(columns, rows, truncated, time.monotonic() - started)

    def close(self) -> None:
        """Nothing is held between queries."""

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise self._open_error(error) from None
        try:
            connection.text_factory = _decode
            yield connection
        except sqlite3.Error as error:
            raise self._open_error(error) from None
        finally:
            connection.close()

    def _open_error(self, error: sqlite3.Error) -> SqloraError:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return BusyError(f"{self.path} is locked by another process", "wait for it, then run the command again")
        return DatabaseError(f"{self.path} cannot be read by SQLite {sqlite3.sqlite_version}: {error}")


def _decode(text: bytes) -> str:
    """SQLite does not check that text is UTF-8; one bad byte in a million rows is no reason to stop."""
    return text.decode("utf-8", "replace")


def _fence(connection: sqlite3.Connection, deadline: float) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1_000_000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    connection.set_authorizer(_authorizer())


def _authorizer() -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    def decide(action: int, first: str | None, second: str | None, database: str | None, view: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and not (first or "").lower().startswith("pragma_"):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in SQLITE_FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return decide


def _query_error(error: sqlite3.Error | sqlite3.Warning, limits: Limits) -> SqloraError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return time_error(limits)
    if name in ("SQLITE_NOMEM", "SQLITE_TOOBIG"):
        return memory_error(limits)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError("the database is locked by another process", "wait for it, then run the query again")
    if name == "SQLITE_AUTH":
        return QueryError(f"SQLite refused the query: {error} (reading is all that is allowed)")
    return QueryError(f"SQLite refused the query: {error}")


def _table(connection: sqlite3.Connection, name: str) -> Table | None:
    """None for one that SQLite itself can't read."""
    columns: list[Column] = []
    keys: list[tuple[int, str]] = []
    try:
        found = connection.execute(COLUMNS, (name,)).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname == "SQLITE_ERROR":  # no such table, no such module; a lock has another name
            return None
        raise
    for column, kind, not_null, position in found:
        columns.append(Column(column, canonical_type(kind, "sqlite"), "", not not_null and not position))
        if position:
            keys.append((position, column))
    return Table(
        name=name,
        columns=tuple(columns),
        primary_key=tuple(column for _, column in sorted(keys)),
        foreign_keys=_foreign_keys(connection, name),
    )


def _foreign_keys(connection: sqlite3.Connection, name: str) -> tuple[ForeignKey, ...]:
    """PRAGMA foreign_key_list: one row a column (id, seq, table, from, to, …), the last key first; `to` may
    be NULL.
    """
    groups: dict[int, list[tuple[int, str, str, str | None]]] = {}
    for number, place, target, column, target_column, *_ in connection.execute(
        "SELECT * FROM pragma_foreign_key_list(?)", (name,)
    ):
        groups.setdefault(number, []).append((place, target, column, target_column))
    found = []
    for _, parts in sorted(groups.items(), reverse=True):
        parts.sort()
        targets = tuple(part[3] for part in parts if part[3] is not None)
        if len(targets) < len(parts):  # REFERENCES t without columns: its primary key
            info = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (parts[0][1],))
            targets = tuple(row[0] for row in info)
        found.append(ForeignKey(tuple(part[2] for part in parts), parts[0][1], targets))
    return tuple(found)
