"""Databases in a process of its own, which is ended when a query does not end by itself.

An engine looks at the clock between steps. One step can be made to take hours (the distance of two long texts, a plan
that doubles with each line), and a thread can't be stopped from outside. A process can: what is past its time by
`GRACE` is killed with it, and the next query gets a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import OrderedDict
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlora.errors import DatabaseError, SqloraError
from sqlora.sql.execute.database import Database, Limits, ResultSet, time_error
from sqlora.sql.schema import Schema

GRACE = 2.0  # seconds that an engine gets to stop by itself, and a slow machine to answer
OPENING = 60.0  # seconds to start the process, to open a database and to read a schema
KEPT = 4  # databases open at a time


class IsolatedProcess:
    """The process. It answers one question at a time, about whichever database; it starts when it is first asked.

    ``folder`` is what a relative URL starts from.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._open: OrderedDict[str, None] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        found: int | None = self._process.pid if self._process is not None else None
        return found

    def ask(self, url: str, what: str, seconds: float, *arguments: Any) -> Any:
        """What the method ``what`` of the database at ``url`` returns; None when that took too long.

        The database's own errors; DatabaseError when the process has ended under it.
        """
        with self._lock:
            if url not in self._open:
                self._open_database(url)
            self._open.move_to_end(url)
            return self._ask(what, seconds, url, *arguments)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _open_database(self, url: str) -> None:
        if self._ask("open", OPENING, url) is None:
            raise DatabaseError(f"{url} does not open within {OPENING:g} seconds", "sqlora doctor")
        self._open[url] = None
        if len(self._open) > KEPT:
            self._ask("close", OPENING, self._open.popitem(last=False)[0])

    def _ask(self, what: str, seconds: float, url: str, *arguments: Any) -> Any:
        pipe = self._pipe or self._start()
        try:
            pipe.send((what, url, arguments))
            if not pipe.poll(seconds):
                self._end()
                return None
            answer = pipe.recv()
        except (EOFError, OSError):
            self._end()
            raise DatabaseError(
                f"the process that reads {url} has ended: it was out of memory, or was killed",
                "ask for less, or lower the limit of memory",
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")  # a fork would share the parent's threads and files
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._folder), name="sqlora-query", daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._pipe = self._process = None
        self._open.clear()


class IsolatedDatabase(Database):
    """The same database as `sqlora.sql.execute.open_database` opens, one query at a time. Errors are the same too.

    ``process`` where several share one; else it has one of its own.
    """

    def __init__(self, url: str, folder: Path | None = None, process: IsolatedProcess | None = None) -> None:
        self._url, self._shared = url, process is not None
        self.process = process or IsolatedProcess(folder)
        try:
            self.name, self.dialect_name = self._asked("about", OPENING)
        except BaseException:
            self.close()
            raise

    def schema(self) -> Schema:
        """See `Database.schema`."""
        found: Schema = self._asked("schema", OPENING)
        return found

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """See `Database.run`; QueryLimitError at the latest `GRACE` seconds after the limit."""
        found: ResultSet | None = self.process.ask(self._url, "run", limits.seconds + GRACE, sql, limits)
        if found is None:
            raise time_error(limits)
        return found

    def close(self) -> None:
        """End its process, unless others share it."""
        if not self._shared:
            self.process.close()

    def quote(self, identifier: str) -> str:
        """See `Database.quote`."""
        sign = "`" if self.dialect_name == "mysql" else '"'
        return sign + identifier.replace(sign, sign * 2) + sign

    def _asked(self, what: str, seconds: float) -> Any:
        found = self.process.ask(self._url, what, seconds)
        if found is None:
            raise DatabaseError(f"{self._url} did not tell its {what} within {seconds:g} seconds", "sqlora doctor")
        return found


def _serve(pipe: Connection, folder: Path | None) -> None:
    """In the process: answer until the other side is gone."""
    databases: dict[str, Database] = {}
    with ExitStack() as stack, suppress(EOFError, OSError, KeyboardInterrupt):
        stack.callback(lambda: [database.close() for database in databases.values()])
        while True:
            what, url, arguments = pipe.recv()
            try:
                answer = _answer(databases, folder, what, url, arguments)
            except SqloraError as error:
                answer = _portable(error)
            except MemoryError:
                break
            pipe.send(answer)
    os._exit(0)  # whoever asked has gone: nothing is left to be said, by the engines' libraries neither


def _answer(
    databases: dict[str, Database], folder: Path | None, what: str, url: str, arguments: tuple[Any, ...]
) -> Any:
    from sqlora.sql.execute.open import open_database

    match what:
        case "open":
            databases[url] = open_database(url, folder)
            return True
        case "close":
            databases.pop(url).close()
            return True
        case "about":
            return databases[url].name, databases[url].dialect_name
        case _:
            return getattr(databases[url], what)(*arguments)


def _portable(error: SqloraError) -> SqloraError:
    """The error without what it was raised from, which need not be picklable."""
    error.__cause__ = error.__context__ = None
    error.__traceback__ = None
    return error
