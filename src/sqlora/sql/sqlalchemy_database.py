"""Any other database that SQLAlchemy connects to: PostgreSQL, MySQL and more.

The engine holds the fences here, not sqlora: give the URL a role that may only read. On top of that every
query runs in a read-only transaction with the engine's own statement timeout (PostgreSQL, MySQL, MariaDB)
and is rolled back; other engines get the row limit and the check of `sqlora.sql.check` only.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from sqlora.errors import DatabaseError, QueryError, SqloraError
from sqlora.sql.database import Database, Limits, ResultSet, fetch_within, time_error
from sqlora.sql.ddl import canonical_type
from sqlora.sql.schema import Column, ForeignKey, Schema, Table

DIALECTS = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oracle": "oracle",
}
DRIVERS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "mssql": "pyodbc",
    "oracle": "oracledb",
}

# Statements before a query, with {ms} for the time limit. They are the first of their transaction.
FENCES: dict[str, tuple[str, ...]] = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {ms}"),
    "mysql": ("SET SESSION max_execution_time = {ms}", "START TRANSACTION READ ONLY"),
    "mariadb": ("SET SESSION max_statement_time = {ms} / 1000", "START TRANSACTION READ ONLY"),
}


class SQLAlchemyDatabase(Database):
    """A database server by its SQLAlchemy URL; the password is never shown."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.kind = parsed.get_backend_name()
        self.dialect_name = DIALECTS.get(self.kind, self.kind)
        self.name = parsed.render_as_string(hide_password=True)
        try:
            self._engine = sqlalchemy.create_engine(parsed, pool_pre_ping=True)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            driver = DRIVERS.get(self.kind)
            raise DatabaseError(
                f"no driver for {self.name}: {error}",
                f"pip install {driver}" if driver else "check [database] url",
            ) from None
        except SQLAlchemyError as error:
            raise self._open_error(error) from None

    def schema(self) -> Schema:
        """Tables and views of the default namespace, with keys and comments."""
        try:
            inspector = sqlalchemy.inspect(self._engine)
            names = [*inspector.get_table_names(), *inspector.get_view_names()]
            return Schema(tuple(self._table(inspector, name) for name in names), self.dialect_name)
        except SQLAlchemyError as error:
            raise self._open_error(error) from None

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """Run one SELECT in a read-only transaction; see `Database.run`."""
        started = time.monotonic()
        try:
            with self._engine.connect() as connection:
                self._fence(connection, limits)
                try:
                    # exec_driver_sql: the text goes as it is, a colon in it is no bound parameter
                    result = connection.execution_options(stream_results=True).exec_driver_sql(sql)
                    if not result.returns_rows:
                        raise QueryError("only SELECT is run, this statement returns no rows")
                    rows, truncated = fetch_within(lambda n: list(result.fetchmany(n)), limits, started)
                    return ResultSet(tuple(result.keys()), rows, truncated, time.monotonic() - started)
                finally:
                    connection.rollback()
        except DBAPIError as error:
            raise self._query_error(error, limits) from None
        except SQLAlchemyError as error:
            raise self._open_error(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def quote(self, identifier: str) -> str:
        """The identifier in the server's quotes."""
        return str(self._engine.dialect.identifier_preparer.quote_identifier(identifier))

    def _fence(self, connection: Connection, limits: Limits) -> None:
        for statement in FENCES.get(self.kind, ()):
            connection.exec_driver_sql(statement.format(ms=max(1, int(limits.seconds * 1000))))

    def _table(self, inspector: sqlalchemy.Inspector, name: str) -> Table:
        columns = tuple(
            Column(
                found["name"],
                canonical_type(_type_text(found["type"], self._engine.dialect), self.dialect_name),
                found.get("comment") or "",
                bool(found.get("nullable", True)),
            )
            for found in inspector.get_columns(name)
        )
        primary = inspector.get_pk_constraint(name).get("constrained_columns") or ()
        foreign = tuple(
            ForeignKey(tuple(key["constrained_columns"]), key["referred_table"], tuple(key["referred_columns"]))
            for key in inspector.get_foreign_keys(name)
        )
        try:
            comment = inspector.get_table_comment(name).get("text") or ""
        except (NotImplementedError, SQLAlchemyError):
            comment = ""
        return Table(name, columns, tuple(primary), foreign, comment)

    def _open_error(self, error: SQLAlchemyError) -> DatabaseError:
        return DatabaseError(
            f"{self.name} can't be read: {_first_line(error)}",
            "check [database] url, and that the server is running",
        )

    def _query_error(self, error: DBAPIError, limits: Limits) -> SqloraError:
        text = _first_line(error.orig or error)
        if any(words in text.lower() for words in ("statement timeout", "maximum statement execution time", "3024")):
            return time_error(limits)
        if error.connection_invalidated:
            return self._open_error(error)
        return QueryError(f"{self.kind} refused the query: {text}")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        scheme = url.split("://")[0]
        raise DatabaseError(
            f"the database URL (beginning {scheme}://) can't be understood",
            "write it like postgresql://user@host/name or duckdb:///file.duckdb",
        ) from None


def _type_text(type_: Any, dialect: Any) -> str:
    try:
        return str(type_.compile(dialect=dialect))
    except SQLAlchemyError:
        return str(type_)


def _first_line(error: object) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
