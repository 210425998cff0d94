"""What every database engine offers: its schema, and rows for one read-only query within limits."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlora.errors import QueryError, QueryLimitError

if TYPE_CHECKING:
    from sqlora.sql.schema import Schema, Table

FETCH = 1_000  # rows fetched at a time, so that the limits are looked at between


@dataclass(frozen=True)
class Limits:
    """How much one query may take: ``seconds`` of time, ``rows`` returned, ``memory_mb`` (MiB) of memory."""

    seconds: float = 10.0
    rows: int = 10_000
    memory_mb: int = 1024


@dataclass(frozen=True)
class ResultSet:
    """Rows of one query; ``truncated`` when the row limit cut it, ``seconds`` from sending to the last
    row.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    seconds: float = 0.0


class Database(ABC):
    """A database that is opened for reading only; a context manager.

    ``dialect_name`` is the sqlglot dialect that the engine speaks, ``name`` how the database is called in
    messages.
    """

    dialect_name: str
    name: str
    _known: Schema | None = None

    @abstractmethod
    def schema(self) -> Schema:
        """Tables and views with types, keys and comments, as they are now."""

    @abstractmethod
    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:
        """Run one SELECT in the engine's own dialect.

        Raises QueryError when the engine refuses it, QueryLimitError when it goes over time or memory. More
        rows than ``limits.rows`` are cut off and reported by ``truncated``; the query itself is never
        rewritten.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def values(self, table: str, column: str, limit: int = 100) -> list[Any]:
        """At most ``limit`` distinct values that are not NULL, the most frequent first (ties by value).

        QueryError for a table or column that is not there (SQLite would take the name for a text).
        """
        found = self._find(table)
        if found.get(column) is None:
            raise QueryError(f"no column {column!r} in {found.qualified_name} of {self.name}")
        name = self.quote(column)
        sql = (
            f"SELECT {name} FROM {self.quoted(found)} WHERE {name} IS NOT NULL "
            f"GROUP BY {name} ORDER BY COUNT(*) DESC, {name} LIMIT {int(limit)}"
        )
        return [row[0] for row in self.run(sql, Limits(rows=max(1, int(limit)))).rows]

    def count(self, table: str) -> int:
        """Number of rows in a table or view."""
        return int(self.run(f"SELECT COUNT(*) FROM {self.quoted(self._find(table))}").rows[0][0])

    def quote(self, identifier: str) -> str:
        """The identifier in the engine's quotes."""
        return '"' + identifier.replace('"', '""') + '"'

    def quoted(self, table: Table) -> str:
        """The table's name, with its namespace, in the engine's quotes."""
        return ".".join(self.quote(part) for part in (table.namespace, table.name) if part)

    def _find(self, table: str) -> Table:
        """As the schema was when it was first asked for, and anew for a table that was not there then."""
        found = self._known.get(table) if self._known else None
        if found is None:
            self._known = self.schema()
            found = self._known.get(table)
        if found is None:
            raise QueryError(f"no table {table!r} in {self.name}")
        return found


def fetch_within(
    fetch: Callable[[int], list[Any]], limits: Limits, started: float
) -> tuple[list[tuple[Any, ...]], bool]:
    """Fetch ``limits.rows`` + 1 rows, so as to know whether there are more; (rows, truncated).

    Text and binary are added up against the memory limit: what has left the engine no longer counts there.
    """
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) <= limits.rows:
        batch = fetch(min(FETCH, limits.rows + 1 - len(rows)))
        if not batch:
            break
        rows.extend(tuple(row) for row in batch)
        size += sum(len(cell) for row in batch for cell in row if isinstance(cell, (str, bytes)))
        if size > limits.memory_mb * 2**20:
            raise memory_error(limits)
        if time.monotonic() - started > limits.seconds:
            raise time_error(limits)
    return rows[: limits.rows], len(rows) > limits.rows


def time_error(limits: Limits) -> QueryLimitError:
    """The query was stopped because of its time."""
    return QueryLimitError(
        f"the query was stopped after its limit of {limits.seconds:g} seconds",
        "ask for less (a filter, fewer joins), or raise the limit of seconds",
    )


def memory_error(limits: Limits) -> QueryLimitError:
    """The query was stopped because of its memory."""
    return QueryLimitError(
        f"the query was stopped at its memory limit of {limits.memory_mb} MiB",
        "ask for less (a filter, fewer columns), or raise the memory limit",
    )
