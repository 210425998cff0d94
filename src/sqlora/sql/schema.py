"""What a database holds: tables, columns, keys, comments. Plain data, no connection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import SchemaError

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

Style = Literal["compact", "ddl"]

DEFAULT_NAMESPACES = frozenset({"main", "public", "dbo"})  # DuckDB and SQLite, PostgreSQL, SQL Server


@dataclass(frozen=True)
class Column:
    """A column; ``type`` in the terms of the schema's dialect, '' when the engine has none (SQLite)."""

    name: str
    type: str
    comment: str = ""
    nullable: bool = True


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of this table hold ``referenced_columns`` of ``table``."""

    columns: tuple[str, ...]
    table: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table or view; ``namespace`` is the database's schema it is in, '' for the default one."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str = ""
    namespace: str = ""

    @property
    def qualified_name(self) -> str:
        """`namespace.name`, or `name` in the default namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    def get(self, column: str) -> Column | None:
        """The column of that name, in any case; None if there is none."""
        return next((found for found in self.columns if found.name.lower() == column.lower()), None)


@dataclass(frozen=True)
class Schema:
    """Tables in the order of the database; ``dialect`` is the sqlglot dialect of the types."""

    tables: tuple[Table, ...]
    dialect: str = "duckdb"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tuple(self.tables))

    @staticmethod
    def from_ddl(text: str, dialect: str = "duckdb") -> Schema:
        """Read CREATE TABLE statements; other statements are skipped.

        Comments are read from `COMMENT ON`, from `COMMENT '…'` in a column, and from `-- …` at the end of a
        column's line or before its table. Raises SchemaError with line and column when the text can't be
        parsed.
        """
        from sqlora.sql.ddl import read_ddl

        return read_ddl(text, dialect)

    @staticmethod
    def from_database(url: str, folder: Path | None = None) -> Schema:
        """The schema of a database; see `sqlora.sql.execute.open_database` for the URL and the errors."""
        from sqlora.sql.execute import open_database

        with open_database(url, folder) as database:
            return database.schema()

    def to_ddl(self, dialect: Dialect | None = None) -> str:
        """CREATE TABLE statements with comments as `-- …`; `Schema.from_ddl` reads them back to the same
        schema.

        With ``dialect``: in its quotes and with its names of types.
        """
        from sqlora.sql.schema_text import render_ddl

        return render_ddl(self, dialect)

    def to_prompt(self, style: Style = "compact", dialect: Dialect | None = None) -> str:
        """The schema as text for a model: 'compact' is one line a table, names only; 'ddl' has types and
        comments.

        Comments are put on one line and cut at 160 characters: they come from a database, and what is long
        there may be written for a model to obey.
        """
        from sqlora.sql.schema_text import render_compact, render_ddl

        if style == "compact":
            return render_compact(self, dialect)
        if style == "ddl":
            return render_ddl(self, dialect, comment_length=160)
        raise SchemaError(f"no schema style {style!r}", "choose 'compact' or 'ddl'")

    def get(self, name: str, namespace: str = "") -> Table | None:
        """The table of that name in any case, bare or qualified; None if there is none."""
        wanted = (f"{namespace}.{name}" if namespace else name).lower()
        for table in self.tables:
            if table.qualified_name.lower() == wanted:
                return table
        bare = [table for table in self.tables if table.name.lower() == wanted]
        space, _, rest = wanted.partition(".")
        if not bare and rest and space in DEFAULT_NAMESPACES:  # the default namespace, spelled out
            return self.get(rest)
        return bare[0] if bare else None

    def table(self, name: str) -> Table:
        """The table of that name; SchemaError if there is none."""
        found = self.get(name)
        if found is None:
            raise SchemaError(f"no table {name!r} in the schema", "tables: " + ", ".join(self.names) or "none")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tables."""
        return tuple(table.qualified_name for table in self.tables)

    def mapping(self) -> dict[str, Any]:
        """{table: {column: type}} as sqlglot's optimizer takes it; with namespaces {namespace: {table:
        …}}.
        """
        columns = {table: {column.name: column.type or "UNKNOWN" for column in table.columns} for table in self.tables}
        if not any(table.namespace for table in self.tables):
            return {table.name: found for table, found in columns.items()}
        nested: dict[str, dict[str, dict[str, str]]] = {}
        for table, found in columns.items():
            nested.setdefault(table.namespace or "main", {})[table.name] = found
        return nested

    def prune(self, question: str, max_tables: int) -> Schema:
        """At most ``max_tables`` tables: those that share words with the question, and those that join them.

        The order of tables is kept. A schema that is small enough is returned as it is.
        """
        from sqlora.sql.prune import choose_tables

        if max_tables < 1:
            raise SchemaError(f"max_tables is {max_tables}", "take 1 or more")
        if len(self.tables) <= max_tables:
            return self
        return replace(self, tables=choose_tables(self.tables, question, max_tables))

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits over everything in it."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
