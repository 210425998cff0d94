"""DuckDB, opened read-only and locked.

Three layers, each enough for most of what a model could be talked into (all of it is in the tests):
read-only file · no files, network, extensions or Python variables from SQL, settings locked · exactly one
SELECT.

What remains: the interrupt is looked at between chunks of rows, so a single call that builds a giant value
(``range(1000000000)`` as a list) runs to its end, outside `memory_limit`. `sqlora.sql.check` refuses those by
their arguments; put the process into a container with a memory limit where strangers write SQL.
Source of the settings: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from sqlora.errors import BusyError, DatabaseError, QueryError, SqloraError
from sqlora.sql.execute.database import Database, Limits, ResultSet, fetch_within, memory_error, time_error
from sqlora.sql.schema import Column, ForeignKey, Schema, Table
from sqlora.sql.schema.ddl import canonical_type

LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "max_temp_directory_size": "0B",
    "lock_configuration": "true",  # applied last by DuckDB: nothing of the above can be changed afterwards
}
THREADS = 2

COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, coalesce(comment, ''), is_nullable
FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()
ORDER BY schema_name, table_oid, column_index"""
COMMENTS = """
SELECT schema_name, table_name, coalesce(comment, '') FROM duckdb_tables() WHERE database_name =
current_database() UNION ALL
SELECT schema_name, view_name, coalesce(comment, '') FROM duckdb_views()
WHERE NOT internal AND database_name = current_database()"""
CONSTRAINTS = """
SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table,
referenced_column_names FROM duckdb_constraints() WHERE database_name = current_database()
AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY') ORDER BY table_oid, constraint_index"""


class DuckDBDatabase(Database):
    """A DuckDB file; safe to use from several threads, each query has its own cursor."""

    dialect_name = "duckdb"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._lock = threading.Lock()
        self._memory_mb = Limits().memory_mb
        self._connection = _connect(path, self._memory_mb)

    def schema(self) -> Schema:
        """Tables and views in the order they were made; other schemas than `main` are named with their
        schema.
        """
        with self._cursor(self._memory_mb) as cursor:
            columns = cursor.execute(COLUMNS).fetchall()
            comments = {(space, table): text for space, table, text in cursor.execute(COMMENTS).fetchall()}
            constraints = cursor.execute(CONSTRAINTS).fetchall()
        tables: dict[tuple[str, str], list[Column]] = {}
        for space, table, column, kind, comment, nullable in columns:
            tables.setdefault((space, table), []).append(
                Column(column, canonical_type(kind, "duckdb"), comment, bool(nullable))
            )
        primary: dict[tuple[str, str], tuple[str, ...]] = {}
        foreign: dict[tuple[str, str], list[ForeignKey]] = {}
        for space, table, kind, names, target, target_names in constraints:
            if kind == "PRIMARY KEY":
                primary[space, table] = tuple(names)
            else:
                key = ForeignKey(tuple(names), target, tuple(target_names))
                foreign.setdefault((space, table), []).append(key)
        return Schema(
            tuple(
                Table(
                    name=table,
                    columns=tuple(found),
                    primary_key=primary.get((space, table), ()),
                    foreign_keys=tuple(foreign.get((space, table), ())),
                    comment=comments.get((space, table), ""),
                    namespace="" if space == "main" else space,
                )
                for (space, table), found in tables.items()
            ),
            "duckdb",
        )

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """Run one SELECT; see `Database.run`."""
        with self._cursor(limits.memory_mb) as cursor:
            _refuse_all_but_one_select(cursor, sql)
            started = time.monotonic()
            try:
                with _interrupted_after(cursor, limits.seconds):
                    cursor.execute(sql)
                    columns = tuple(str(item[0]) for item in cursor.description or ())
                    rows, truncated = fetch_within(cursor.fetchmany, limits, started)
            except duckdb.InterruptException:
                raise time_error(limits) from None
            except duckdb.OutOfMemoryException:
                raise memory_error(limits) from None
            except duckdb.Error as error:
                raise _query_error(error) from None
            return ResultSet(columns, rows, truncated, time.monotonic() - started)

    def close(self) -> None:
        """Close the file; another process may then write to it."""
        self._connection.close()

    def _reopen(self, memory_mb: int) -> None:
        """BusyError while another query, or another `Database` in this process, runs with the old limit."""
        self._connection.close()
        try:
            self._connection = _connect(self.path, memory_mb)
        except BusyError:
            self._connection = _connect(self.path, self._memory_mb)
            raise
        self._memory_mb = memory_mb

    @contextmanager
    def _cursor(self, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            if memory_mb != self._memory_mb:  # the settings are locked: another limit takes another instance
                self._reopen(memory_mb)
            try:
                cursor = self._connection.cursor()
            except duckdb.Error as error:
                raise DatabaseError(f"{self.name} is closed: {_first_line(error)}") from None
        try:
            yield cursor
        finally:
            cursor.close()


def _connect(path: Path, memory_mb: int) -> duckdb.DuckDBPyConnection:
    config = LOCKED | {"memory_limit": f"{memory_mb}MiB", "threads": THREADS}
    try:
        return duckdb.connect(str(path), read_only=True, config=config)
    except duckdb.Error as error:
        raise _open_error(path, error) from None


def _open_error(path: Path, error: duckdb.Error) -> SqloraError:
    text = _first_line(error)
    if "Conflicting lock" in text:
        # "… Conflicting lock is held in /usr/bin/python3 (PID 6997). See also …"
        holder = text.split("Conflicting lock is held in ", 1)[-1].split(". See also")[0]
        return BusyError(f"{path} is open for writing in {holder}", "close it there, then run the command again")
    if "different configuration" in text:
        return BusyError(
            f"{path} is already open in this process, for writing or with another memory limit",
            "close the other connection first",
        )
    return DatabaseError(f"{path} cannot be opened by DuckDB {duckdb.__version__}: {text}")


def _refuse_all_but_one_select(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as error:
        raise _query_error(error) from None
    if len(statements) != 1:
        raise QueryError(f"one statement is run at a time, this text holds {len(statements)}")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(f"only SELECT is run, this is {kind.name}")


@contextmanager
def _interrupted_after(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt the cursor once the time is over, and again until it has noticed.

    Once is not enough: an interrupt that falls between two steps of a query is forgotten.
    """
    done = threading.Event()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            cursor.interrupt()
            wait = 0.05

    watcher = threading.Thread(target=watch, name="sqlora-query-limit", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()  # so that no interrupt can reach the next query


def _query_error(error: duckdb.Error) -> QueryError:
    return QueryError(f"DuckDB refused the query: {_first_line(error)}")


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
