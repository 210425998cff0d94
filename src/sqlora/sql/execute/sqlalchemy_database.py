"""Any other database that SQLAlchemy connects to: PostgreSQL, MySQL, MariaDB and more.

The engine holds the fences here, not sqlora, so the role in the URL has to be one that may only read; one that could
reach the server's files or programs is refused. On top of that, with PostgreSQL, MySQL and MariaDB:

- a query runs in a read-only transaction with the engine's own time limit, which is rolled back;
- it is one statement, and a SELECT: PostgreSQL takes it as a cursor's query, MySQL's text is looked at;
- nothing of the session is left for the next query: PostgreSQL's is discarded, MySQL's connection closed.

What remains: the server's memory is the server's; a value of up to 1 GB is fetched whole before it is measured. Other
engines get the rollback, the row limit and the check of `sqlora.sql.check` only.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Connection, CursorResult, make_url
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SAWarning, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlglot import exp

from sqlora.errors import DatabaseError, QueryError, SqloraError
from sqlora.sql.execute.database import FETCH, Database, Limits, ResultSet, fetch_within, time_error
from sqlora.sql.execute.mysql_catalog import read_tables
from sqlora.sql.execute.server_fences import FENCES, Fence, is_select
from sqlora.sql.schema import Column, ForeignKey, Schema, Table
from sqlora.sql.schema.ddl import canonical_type

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
CONNECT_SECONDS = 10
TIMEOUTS = (
    "statement timeout",  # PostgreSQL
    "maximum statement execution time",  # MySQL, error 3024
    "max_statement_time exceeded",  # MariaDB, error 1969
    "query execution was interrupted",
)
PARTITIONS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition"""
SYSTEM_SPACES = re.compile(r"pg_.*|information_schema|crdb_internal")


class SQLAlchemyDatabase(Database):
    """A database server by its SQLAlchemy URL; the password is never shown."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.kind = parsed.get_backend_name()
        self.dialect_name = DIALECTS.get(self.kind, self.kind)
        self.name = parsed.render_as_string(hide_password=True)
        self._may_run = False  # once the role was looked at
        try:
            self._engine = sqlalchemy.create_engine(_with_driver(parsed), **_options(self.kind))
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            driver = DRIVERS.get(self.kind)
            raise DatabaseError(
                f"no driver for {self.name}: {error}",
                f"pip install {driver}" if driver else "check [database] url",
            ) from None
        except SQLAlchemyError as error:
            raise self._open_error(error) from None

    def schema(self) -> Schema:
        """Tables and views with keys and comments: those of the default namespace first, then, in PostgreSQL, those of
        the others. Parts of a partitioned table are left out.
        """
        try:
            if self.dialect_name == "mysql":
                with self._engine.connect() as connection:
                    return Schema(tuple(read_tables(connection)), self.dialect_name)
            inspector = sqlalchemy.inspect(self._engine)
            hidden = self._partitions()
            tables = [
                table for space in self._namespaces(inspector) for table in self._tables(inspector, space, hidden)
            ]
            return Schema(tuple(tables), self.dialect_name)
        except SQLAlchemyError as error:
            raise self._open_error(error) from None

    def run(self, sql: str, limits: Limits = Limits()) -> ResultSet:  # noqa: B008 (frozen)
        """Run one SELECT in a read-only transaction; see `Database.run`.

        DatabaseError for a role that could do more than read.
        """
        if self.dialect_name == "mysql" and not is_select(sql, self.dialect_name):
            raise QueryError("only SELECT is run, this is something else")
        started = time.monotonic()
        try:
            with self._engine.connect() as connection, self._fenced(connection, limits) as fence:
                # The text goes as it is: neither a colon nor a percent sign in it is a parameter.
                options = {"no_parameters": True, "stream_results": True, "max_row_buffer": FETCH}
                result = connection.exec_driver_sql(sql, execution_options=options)
                try:
                    if not result.returns_rows:
                        raise QueryError("only SELECT is run, this statement returns no rows")
                    columns = tuple(result.keys())
                    rows, truncated = fetch_within(
                        _batches(connection, result, fence, limits, started), limits, started
                    )
                finally:
                    self._let_go(connection, result)
                return ResultSet(columns, rows, truncated, time.monotonic() - started)
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

    # running -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _fenced(self, connection: Connection, limits: Limits) -> Iterator[Fence | None]:
        """What comes before a query and after it; nothing of the query is left then, however it ended."""
        fence = FENCES.get(self._server())
        try:
            if fence is not None:
                self._refuse_powers(connection, fence)
                for statement in fence.before:
                    connection.exec_driver_sql(statement.format(ms=max(1, int(limits.seconds * 1000))))
            yield fence
        finally:
            if fence is not None and fence.after and not connection.invalidated:
                try:
                    for statement in fence.after:
                        connection.exec_driver_sql(statement)
                except SQLAlchemyError:
                    connection.invalidate()
            elif fence is None:
                connection.rollback()

    def _let_go(self, connection: Connection, result: CursorResult[Any]) -> None:
        """Close a result. MySQL's driver would first read it to its end, so the server is told to stop."""
        cursor: Any = result.cursor
        if cursor is not None and self.dialect_name == "mysql":
            driver: Any = connection.connection.dbapi_connection
            with self._engine.connect() as other:
                other.exec_driver_sql(f"KILL QUERY {int(driver.thread_id())}")
            with suppress(Exception):  # that it was stopped, which is what was wanted
                cursor.close()
        result.close()

    def _server(self) -> str:
        """What answers: a `mysql://` may be MariaDB, whose settings have other names. Known once connected."""
        is_mariadb = self.kind == "mysql" and getattr(self._engine.dialect, "is_mariadb", False)
        return "mariadb" if is_mariadb else self.kind

    def _refuse_powers(self, connection: Connection, fence: Fence) -> None:
        if self._may_run:
            return
        powers = [row[0] for row in connection.exec_driver_sql(fence.powers) if fence.is_power(row[0])]
        if powers:
            raise DatabaseError(
                f"no query is run as the role of {self.name}: SQL could reach the server's files with its rights",
                f"give [database] url a role that may only read: {fence.reader}",
            )
        self._may_run = True

    # the schema --------------------------------------------------------------------------------------------------

    def _namespaces(self, inspector: sqlalchemy.Inspector) -> list[str | None]:
        if self.kind != "postgresql":
            return [None]
        default = inspector.default_schema_name
        others = (name for name in inspector.get_schema_names() if name != default)
        return [None, *(name for name in sorted(others) if not SYSTEM_SPACES.fullmatch(name))]

    def _partitions(self) -> set[tuple[str, str]]:
        if self.kind != "postgresql":
            return set()
        with self._engine.connect() as connection:
            return {(space, name) for space, name in connection.exec_driver_sql(PARTITIONS)}

    def _tables(self, inspector: sqlalchemy.Inspector, space: str | None, hidden: set[tuple[str, str]]) -> list[Table]:
        """The tables and views of a namespace: one question about all of them where the server can be asked so."""
        names = [*inspector.get_table_names(space), *inspector.get_view_names(space)]
        if self.kind == "postgresql":
            names += inspector.get_materialized_view_names(space)
            names += inspector.get_foreign_table_names(space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # a type that SQLAlchemy does not know, which is no fault
            columns = inspector.get_multi_columns(space, kind=ObjectKind.ANY)
            primary = inspector.get_multi_pk_constraint(space)
            foreign = inspector.get_multi_foreign_keys(space)
            comments = self._comments(inspector, space)
        default = inspector.default_schema_name
        return [
            Table(
                name,
                tuple(self._column(found) for found in columns[space, name]),
                tuple((primary.get((space, name)) or {}).get("constrained_columns") or ()),
                tuple(_foreign_key(key, default) for key in foreign.get((space, name)) or ()),
                (comments.get((space, name)) or {}).get("text") or "",
                space or "",
            )
            for name in dict.fromkeys(names)
            if columns.get((space, name)) and (space or default, name) not in hidden
        ]

    def _comments(self, inspector: sqlalchemy.Inspector, space: str | None) -> dict[Any, Any]:
        try:
            found: dict[Any, Any] = inspector.get_multi_table_comment(space, kind=ObjectKind.ANY)
        except (NotImplementedError, SQLAlchemyError):
            return {}
        return found

    def _column(self, found: Any) -> Column:
        type_ = canonical_type(_type_text(found["type"], self._engine.dialect), self.dialect_name)
        return Column(found["name"], type_, found.get("comment") or "", bool(found.get("nullable", True)))

    # errors ------------------------------------------------------------------------------------------------------

    def _open_error(self, error: SQLAlchemyError) -> DatabaseError:
        return DatabaseError(
            f"{self.name} can't be read: {_first_line(error)}",
            "check [database] url, and that the server is running",
        )

    def _query_error(self, error: DBAPIError, limits: Limits) -> SqloraError:
        text = _first_line(error.orig or error)
        if any(words in text.lower() for words in TIMEOUTS):
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


def _with_driver(url: URL) -> URL:
    """The URL with the driver that sqlora installs, where it names none."""
    driver = DRIVERS.get(url.drivername)
    return url.set(drivername=f"{url.drivername}+{driver}") if driver else url


def _options(kind: str) -> dict[str, Any]:
    """Where there are fences they begin and end the transaction; SQLAlchemy begins none of its own."""
    if kind not in FENCES:
        return {"pool_pre_ping": True}
    if kind == "postgresql":
        # What psycopg prepared would be discarded with the rest of the session.
        arguments = {"connect_timeout": CONNECT_SECONDS, "prepare_threshold": None}
        return {"isolation_level": "AUTOCOMMIT", "connect_args": arguments, "pool_pre_ping": True}
    return {
        "isolation_level": "AUTOCOMMIT",
        "connect_args": {"connect_timeout": CONNECT_SECONDS},
        "poolclass": NullPool,
    }


def _batches(
    connection: Connection, result: CursorResult[Any], fence: Fence | None, limits: Limits, started: float
) -> Callable[[int], list[Any]]:
    """Fetches so many rows; PostgreSQL, which counts the time of each batch anew, is told what is left of it."""
    fetched = False

    def fetch(count: int) -> list[Any]:
        nonlocal fetched
        if fetched and fence is not None and fence.again:
            left = limits.seconds - (time.monotonic() - started)
            connection.exec_driver_sql(fence.again.format(ms=max(1, int(left * 1000))))
        fetched = True
        return list(result.fetchmany(count))

    return fetch


def _foreign_key(key: Any, default: str | None) -> ForeignKey:
    space = key.get("referred_schema")
    return ForeignKey(
        tuple(key["constrained_columns"]),
        key["referred_table"],
        tuple(key["referred_columns"]),
        "" if space in (None, default) else space,
    )


def _type_text(type_: Any, dialect: Any) -> str:
    if isinstance(type_, sqlalchemy.types.NullType):
        return ""
    if labels := getattr(type_, "enums", None):
        return f"ENUM({', '.join(exp.Literal.string(label).sql() for label in labels)})"
    try:
        text = str(type_.compile(dialect=dialect))
    except SQLAlchemyError:
        text = str(type_)
    return re.sub(r" (?:CHARACTER SET|COLLATE) \S+", "", text)


def _first_line(error: object) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
