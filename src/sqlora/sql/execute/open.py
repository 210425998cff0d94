"""Open a database and run a query in it, read-only and within limits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sqlora.errors import DatabaseError, DialectError, QueryRejected
from sqlora.sql.execute.database import Database, Limits, ResultSet

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.schema import Schema


SQLITE_MAGIC = b"SQLite format 3\0"
DUCKDB_MAGIC = b"DUCK"


def open_database(url: str, folder: Path | None = None) -> Database:
    """Open a database for reading only.

    ``url`` is `duckdb:///file` or `sqlite:///file` (four slashes for an absolute path; a relative one is
    looked for in ``folder``, else in the current one), the bare path of such a file, or any other SQLAlchemy
    URL. Raises DatabaseError when there is no such database or it isn't one, BusyError when another process
    is writing to it.
    """
    kind, path = _file_of(url, folder)
    if path is None:
        from sqlora.sql.execute.sqlalchemy_database import SQLAlchemyDatabase

        return SQLAlchemyDatabase(url)
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder, not a database file (from {url!r})")
    if not path.exists():
        raise DatabaseError(
            f"no database file {path} (from {url!r})",
            "check [database] url in sqlora.toml, or make it (`sqlora init --example retail` makes one)",
        )
    found = _kind_of(path)
    if kind and found != kind:
        said = {"duckdb": "a DuckDB database", "sqlite": "an SQLite database", "": "a database file"}
        raise DatabaseError(
            f"{path} is not {said[kind]}" + (f", it is {said[found]}" if found else f" (from {url!r})"),
            f"write {found}:///{path.name} in [database] url" if found else "check [database] url in sqlora.toml",
        )
    if found == "duckdb":
        from sqlora.sql.execute.duckdb_database import DuckDBDatabase

        return DuckDBDatabase(path)
    if found == "sqlite":
        from sqlora.sql.execute.sqlite_database import SQLiteDatabase

        return SQLiteDatabase(path)
    raise DatabaseError(
        f"{path} is neither a DuckDB nor an SQLite database (from {url!r})",
        "check [database] url in sqlora.toml",
    )


def run_query(
    sql: str,
    dialect: Dialect,
    database: Database,
    schema: Schema,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> ResultSet:
    """Run text that a model or a person wrote in ``dialect``: check it, translate it, run it.

    This is the one way to run such text. Raises QueryRejected with the findings when the check finds any
    (nothing is sent then), QueryError when the engine refuses it, QueryLimitError when it goes over a limit.
    """
    from sqlora.sql.check import check

    findings = check(sql, dialect, schema)
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise QueryRejected(f"the query was not run: {findings[0]}{more}", tuple(findings))
    return database.run(_in_database_dialect(sql, dialect, database), limits)


def _in_database_dialect(sql: str, dialect: Dialect, database: Database) -> str:
    from sqlglot.errors import SqlglotError

    from sqlora.sql.dialect.node_error import NodeError
    from sqlora.sql.translate import write

    if database.dialect_name == dialect.base:
        return dialect.to_base(sql)
    try:
        written = write(dialect.parse(sql), database.dialect_name)
    except (SqlglotError, NodeError) as error:
        raise _unwritable(dialect, database, str(error)) from None
    if written.unsupported:  # what is left of the query would be another question
        raise _unwritable(dialect, database, written.unsupported[0][1])
    return written.text


def _unwritable(dialect: Dialect, database: Database, reason: str) -> DialectError:
    engine = database.dialect_name
    return DialectError(
        f"the query can't be written for {engine}: {reason}", f"set `base` of the dialect {dialect.name} to {engine!r}"
    )


def _file_of(url: str, folder: Path | None) -> tuple[str, Path | None]:
    """(kind, path): kind '' for a bare path; path None for a database that is not a file of these two
    kinds.
    """
    match = re.match(r"([a-zA-Z][\w+.-]*)://(.*)$", url, re.DOTALL)
    if match is None:
        if url.strip() in ("", ":memory:"):
            raise DatabaseError(f"{url!r} names no database file", 'write [database] url = "duckdb:///file.duckdb"')
        return "", _resolve(url, folder)
    scheme = match[1].lower().split("+")[0]
    if scheme not in ("duckdb", "sqlite"):
        return scheme, None
    rest = match[2].split("?")[0]
    if not rest.startswith("/") or rest[1:] in ("", ":memory:"):
        raise DatabaseError(
            f"{url!r} names no database file", f"three slashes before the path: {scheme}:///file.{scheme}"
        )
    return scheme, _resolve(unquote(rest[1:]), folder)


def _resolve(path: str, folder: Path | None) -> Path:
    found = Path(os.path.expanduser(path))
    return found if found.is_absolute() else (folder or Path()) / found


def _kind_of(path: Path) -> str:
    """'duckdb', 'sqlite' or '' by the file's first bytes; an empty file is an empty SQLite database, so
    ''.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DatabaseError(f"{path} can't be read: {error.strerror}") from None
    if head == SQLITE_MAGIC:
        return "sqlite"
    return "duckdb" if head[8:12] == DUCKDB_MAGIC else ""
