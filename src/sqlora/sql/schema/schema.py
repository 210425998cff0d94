"""What a database holds: tables, columns, keys, comments. Plain data, no connection."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import SchemaError

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

Style = Literal["compact", "ddl"]

MOST_NAMED = 20  # tables that a message lists
DEFAULT_NAMESPACES = frozenset({"main", "public", "dbo"})  # DuckDB and SQLite, PostgreSQL, SQL Server


@dataclass(frozen=True)
class Column:
    """A column; ``type`` in the terms of the schema's dialect, '' when the engine has none (SQLite).

    ``samples`` are a few of its values, most frequent first, where the project asks for some (`schema.samples`).
    """

    name: str
    type: str
    comment: str = ""
    nullable: bool = True
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of this table hold ``referenced_columns`` of ``table``, which is in ``namespace`` ('': the default
    one).
    """

    columns: tuple[str, ...]
    table: str
    referenced_columns: tuple[str, ...]
    namespace: str = ""

    @property
    def qualified_table(self) -> str:
        """`namespace.table`, or `table` in the default namespace."""
        return f"{self.namespace}.{self.table}" if self.namespace else self.table


@dataclass(frozen=True)
class Table:
    """A table or view; ``namespace`` is the database's schema it is in, '' for the default one.

    A foreign key that was declared twice, as many dumps do, is there once: two would be two ways to join.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str = ""
    namespace: str = ""

    def __post_init__(self) -> None:
        if len(self.foreign_keys) > 1:
            keys: dict[tuple[object, ...], ForeignKey] = {}
            for key in self.foreign_keys:
                keys.setdefault(_what_it_says(key), key)
            object.__setattr__(self, "foreign_keys", tuple(keys.values()))

    @property
    def qualified_name(self) -> str:
        """`namespace.name`, or `name` in the default namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    def get(self, column: str) -> Column | None:
        """The column of that name, in any case; None if there is none."""
        return self._by_name.get(column.lower())

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {found.name.lower(): found for found in reversed(self.columns)}  # of two, the first


def _what_it_says(key: ForeignKey) -> tuple[object, ...]:
    """A key without the case of its names."""
    columns, targets = ([name.lower() for name in names] for names in (key.columns, key.referenced_columns))
    return key.qualified_table.lower(), tuple(columns), tuple(targets)


@dataclass(frozen=True)
class Schema:
    """Tables in the order of the database; ``dialect`` is the sqlglot dialect of the types."""

    tables: tuple[Table, ...]
    dialect: str = "duckdb"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tuple(self.tables))

    @staticmethod
    def from_ddl(text: str, dialect: str = "duckdb") -> Schema:
        """Read the tables, views and keys of DDL or of a dump; statements that make none are skipped unread.

        Comments are read from `COMMENT ON`, from `COMMENT '…'` in a column, and from `-- …` at the end of a
        column's line or before its table. A view is read where its query says what its columns are called. Raises
        SchemaError with line and column when a table can't be parsed.
        """
        from sqlora.sql.schema.ddl import read_ddl

        return read_ddl(text, dialect)

    @staticmethod
    def from_database(url: str, folder: Path | None = None) -> Schema:
        """The schema of a database; see `sqlora.sql.execute.open_database` for the URL and the errors."""
        from sqlora.sql.execute import open_database

        with open_database(url, folder) as database:
            return database.schema()

    def to_ddl(self, dialect: Dialect | None = None) -> str:
        """CREATE TABLE statements with comments as `-- …`; `Schema.from_ddl` reads them back to the same
        schema (but for sample values).

        With ``dialect``: in its quotes and with its names of types.
        """
        from sqlora.sql.schema.text import render_ddl

        return render_ddl(self, dialect)

    def to_prompt(self, style: Style = "compact", dialect: Dialect | None = None) -> str:
        """The schema as text for a model: 'compact' is one line a table, names only; 'ddl' has types and
        comments. Sample values are in both.

        Comments are put on one line and cut at 160 characters: they come from a database, and what is long
        there may be written for a model to obey.
        """
        from sqlora.sql.schema.text import Rendering

        rendering = Rendering(self, style, dialect)
        return rendering.join(rendering.table(table) for table in self.tables)

    def get(self, name: str, namespace: str = "") -> Table | None:
        """The table of that name in any case, bare or qualified; None if there is none."""
        wanted = (f"{namespace}.{name}" if namespace else name).lower()
        found = self._by_name.get(wanted)
        space, _, rest = wanted.partition(".")
        if found is None and rest and space in DEFAULT_NAMESPACES:  # the default namespace, spelled out
            return self.get(rest)
        return found

    @cached_property
    def _by_name(self) -> dict[str, Table]:
        """Tables by bare and by qualified name in lower case; of equal ones the qualified one, else the first."""
        found = {table.name.lower(): table for table in reversed(self.tables)}
        return found | {table.qualified_name.lower(): table for table in reversed(self.tables)}

    def table(self, name: str) -> Table:
        """The table of that name; SchemaError if there is none."""
        found = self.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.names, 1, 0.6)
            first = ", ".join(self.names[:MOST_NAMED]) + (", …" if len(self.names) > MOST_NAMED else "")
            hint = f"did you mean {near[0]!r}?" if near else f"tables: {first or 'none'}"
            raise SchemaError(f"no table {name!r} in the schema", hint)
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

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits over everything in it."""
        content = asdict(self)
        for table in content["tables"]:
            # What a schema need not have is left out, so that one without it has the hash it had before there was it.
            table["columns"] = [_without_empty(column, "samples") for column in table["columns"]]
            table["foreign_keys"] = [_without_empty(key, "namespace") for key in table["foreign_keys"]]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _without_empty(item: dict[str, Any], key: str) -> dict[str, Any]:
    return item if item[key] else {name: value for name, value in item.items() if name != key}
