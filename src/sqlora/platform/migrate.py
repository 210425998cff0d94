"""Numbered SQL files → schema of the state database; ``PRAGMA user_version`` counts those applied."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "migrations"


def migrations() -> list[Path]:
    """The files in order; the first makes version 1."""
    return sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the database has had; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what is missing, all or nothing. The connection is in autocommit mode and outside a transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read inside the transaction: another process may have migrated while this one waited for the lock.
        for number, file in enumerate(migrations()[version(connection) :], start=version(connection) + 1):
            for statement in statements(file.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def statements(script: str) -> Iterator[str]:
    """The statements of a script, each ending at a line's end; ``executescript`` would commit what is open first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"unfinished statement: {statement.strip()[:80]}")
