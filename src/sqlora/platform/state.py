"""The state of a project in one SQLite file, shared by commands, workers and the server.

Write-ahead log, so that readers never wait for the writer; ``synchronous=FULL``, so that what was committed (a
completed job, a used token) survives a power failure. One connection a `State`, usable from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from sqlora.errors import BusyError, DatabaseError, SqloraError
from sqlora.platform import migrate
from sqlora.platform.deployments import Deployments
from sqlora.platform.idempotency import Idempotency
from sqlora.platform.jobs import Jobs
from sqlora.platform.keys import Keys
from sqlora.platform.ledger import Ledger
from sqlora.platform.models import CustomModels
from sqlora.platform.tags import Tags
from sqlora.platform.usage import Usage

WAIT_SECONDS = 30.0


class State:
    """Repositories over one database file: `jobs`, `models`, `deployments`, `usage`, `tags`, `idempotency`, `keys`,
    `ledger`.

    Opening creates or migrates the file. Raises DatabaseError for a file that is damaged or was written by a newer
    version, BusyError when another process keeps it locked for ``wait`` seconds.
    """

    def __init__(self, path: Path | str, wait: float = WAIT_SECONDS) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(self.path, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._open(wait)
        except BaseException:
            self._connection.close()
            raise
        self.jobs = Jobs(self)
        self.models = CustomModels(self)
        self.deployments = Deployments(self)
        self.usage = Usage(self)
        self.tags = Tags(self)
        self.idempotency = Idempotency(self)
        self.keys = Keys(self)
        self.ledger = Ledger(self)

    def _open(self, wait: float) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        newest = len(migrate.migrations())
        if migrate.version(connection) < newest:
            # SQLite answers a busy switch to WAL at once, whatever the timeout, so new files are opened in turn.
            with FileLock(f"{self.path}.lock", timeout=wait):
                connection.execute("PRAGMA journal_mode = WAL")
                migrate.migrate(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if migrate.version(connection) > newest:
            raise DatabaseError(
                f"{self.path} was written by a newer sqlora (its version {migrate.version(connection)}, "
                f"this one knows {newest})",
                "pip install --upgrade sqlora",
            )

    def close(self) -> None:
        """Close the connection; the state cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> State:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction, a part of it. Other threads wait."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            with self._errors():
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                with self._errors():
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """All rows of a query, by column name."""
        with self._lock, self._errors():
            return [dict(row) for row in self._connection.execute(sql, values)]

    def execute(self, sql: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> int:
        """Run a statement; the number of rows changed. sqlite3.IntegrityError is left to the repository."""
        with self._lock, self._errors():
            return self._connection.execute(sql, values).rowcount

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except Timeout as error:
            raise BusyError(f"another process is opening {self.path}", "try again") from error
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.DatabaseError) -> SqloraError:
        # Extended codes keep the primary one in the low byte; errors of the module itself have none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return BusyError(f"another process holds {self.path}", "try again when it has finished")
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return DatabaseError(f"{self.path} is damaged: {error}", f"move {self.path} away and run again")
        if code == sqlite3.SQLITE_FULL:
            return DatabaseError(f"no space left to write {self.path}", "free some disk space and run again")
        return DatabaseError(f"{self.path}: {error}", "check the file and its folder's permissions")
