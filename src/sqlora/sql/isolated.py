"""A database in a process of its own, which is ended when a query does not end by itself.

An engine looks at the clock between steps. One step can be made to take hours (the distance of two long texts, a plan
that doubles with each line), and a thread can't be stopped from outside. A process can: what is past its time by
`GRACE` is killed with it, and the next query gets a new one.
"""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlora.errors import DatabaseError, SqloraError
from sqlora.sql.database import Database, Limits, ResultSet, time_error
from sqlora.sql.schema import Schema

GRACE = 2.0  # seconds that an engine gets to stop by itself, and a slow machine to answer
OPENING = 60.0  # seconds to start the process and to read a schema


class IsolatedDatabase(Database):
    """The same database as `sqlora.sql.execute.open_database` opens, one query at a time. Errors are the same too."""

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self._url, self._folder = url, folder
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self.name, self.dialect_name = self._asked("about", OPENING)

    def schema(self) -> Schema:
        """See `Database.schema`."""
        found: Schema = self._asked("schema", OPENING)
        return found

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """See `Database.run`; QueryLimitError at the latest `GRACE` seconds after the limit."""
        found: ResultSet | None = self._asked("run", limits.seconds + GRACE, sql, limits)
        if found is None:
            raise time_error(limits)
        return found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def quote(self, identifier: str) -> str:
        """See `Database.quote`."""
        sign = "`" if self.dialect_name == "mysql" else '"'
        return sign + identifier.replace(sign, sign * 2) + sign

    def _asked(self, what: str, seconds: float, *arguments: Any) -> Any:
        """The answer; None when there was none in time."""
        with self._lock:
            pipe = self._pipe or self._start()
            try:
                pipe.send((what, arguments))
                if not pipe.poll(seconds):
                    self._end()
                    return None
                answer = pipe.recv()
            except (EOFError, OSError):
                self._end()
                raise DatabaseError(
                    f"the process that reads {self._shown()} has ended: it was out of memory, or was killed",
                    "ask for less, or lower the limit of memory",
                ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")  # a fork would share the parent's threads and files
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._url, self._folder), name="sqlora-query", daemon=True
        )
        self._process.start()
        theirs.close()
        opened: Any = self._pipe.recv() if self._pipe.poll(OPENING) else DatabaseError(f"{self._shown()} does not open")
        if isinstance(opened, BaseException):
            self._end()
            raise opened
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._pipe = self._process = None

    def _shown(self) -> str:
        return getattr(self, "name", "the database")


def _serve(pipe: Connection, url: str, folder: Path | None) -> None:
    """In the process: answer until the other side is gone."""
    from sqlora.sql.execute import open_database

    try:
        database = open_database(url, folder)
    except SqloraError as error:
        pipe.send(_portable(error))
        return
    with database, suppress(EOFError, OSError, KeyboardInterrupt):
        pipe.send(None)
        while True:
            what, arguments = pipe.recv()
            try:
                answer: Any = (
                    (database.name, database.dialect_name) if what == "about" else getattr(database, what)(*arguments)
                )
            except SqloraError as error:
                answer = _portable(error)
            except MemoryError:
                break
            pipe.send(answer)


def _portable(error: SqloraError) -> SqloraError:
    """The error without what it was raised from, which need not be picklable."""
    error.__cause__ = error.__context__ = None
    error.__traceback__ = None
    return error
