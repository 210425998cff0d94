"""What an example is checked against: a schema, the text of it for the model, and a database to run on.

That is the project's, unless the example brings its own. Those are kept while examples of the same database follow
each other, as they do in every public set.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from sqlglot import exp

from sqlora.errors import SchemaError
from sqlora.prepare.examples import Candidate
from sqlora.prompting import SchemaPrompt
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.execute import Database
from sqlora.sql.execute.isolated import IsolatedDatabase, IsolatedProcess
from sqlora.sql.schema import Schema, Style
from sqlora.sql.schema.folding import PLAIN, respelt
from sqlora.sql.schema.text import Quote, quoting

SCHEMAS, DATABASES, DIALECTS = 256, 4, 16  # kept at a time
NO_SCHEMA = (
    "set [database] url, or give each pair a ddl with its CREATE TABLE statements; "
    "the schema of another source, such as schema-only, is that source's own"
)
DDL_LIMIT = 2_000_000  # characters: some 4,000 tables

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The values used last, made when they are asked for."""

    def __init__(self, size: int, dispose: Callable[[Value], None] = lambda _: None) -> None:
        self._size, self._dispose = size, dispose
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of ``key``, made by ``make`` unless it is here."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._kept[key] = make()
        if len(self._kept) > self._size:
            self._dispose(self._kept.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        """Forget all of them."""
        while self._kept:
            self._dispose(self._kept.popitem()[1])


@dataclass(frozen=True, eq=False)
class Context:
    """A schema, how a model is shown it, and the database to run on. Compared by identity.

    ``shared`` is true of the project's, whose text is the dataset's and no example's own, unless it is pruned.
    """

    prompt: SchemaPrompt
    database: Database | None = None
    shared: bool = False

    @property
    def schema(self) -> Schema:
        """Its tables."""
        return self.prompt.schema

    @cached_property
    def tables(self) -> dict[str, str]:
        """Lower-case name → the name as the schema spells it."""
        return {table.name.lower(): table.name for table in self.schema.tables}

    @cached_property
    def columns(self) -> dict[str, str]:
        """As `tables`, of all tables' columns."""
        return {column.name.lower(): column.name for table in self.schema.tables for column in table.columns}

    @cached_property
    def namespaces(self) -> dict[str, str]:
        """As `tables`, of the tables' namespaces."""
        return {table.namespace.lower(): table.namespace for table in self.schema.tables if table.namespace}

    def spell(self, identifier: object, names: dict[str, str]) -> bool:
        """Write the identifier as the model is shown its name; False where it is not among ``names``."""
        spelling = names.get(identifier.name.lower()) if isinstance(identifier, exp.Identifier) else None
        if spelling is None or not isinstance(identifier, exp.Identifier):
            return False
        identifier.set("this", spelling)
        identifier.set("quoted", not PLAIN.fullmatch(self._quote(spelling)))
        return True

    @cached_property
    def _quote(self) -> Quote:
        return quoting(self.schema, self.prompt.dialect)


@dataclass
class Contexts:
    """Finds a candidate's context. ``folder`` is what a relative database URL or dialect file starts from."""

    dialect: Dialect
    schema: Schema | None = None
    database: Database | None = None
    style: Style = "compact"
    schema_tokens: int | None = None
    folder: Path | None = None
    _own: Recent[tuple[object, ...], Context] = field(default_factory=lambda: Recent(SCHEMAS), repr=False)
    _databases: Recent[str, Database] = field(
        default_factory=lambda: Recent(DATABASES, lambda database: database.close()), repr=False
    )
    _dialects: Recent[str, Dialect] = field(default_factory=lambda: Recent(DIALECTS), repr=False)
    _process: IsolatedProcess = field(init=False, repr=False)  # one for all of them: it takes a second to start
    _project: Context | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._process = IsolatedProcess(self.folder)

    def of(self, candidate: Candidate) -> Context:
        """The candidate's context. SchemaError or DatabaseError when what it brings can't be read."""
        if candidate.schema is not None:
            own = candidate.schema
            return self._own.get((own.hash,), lambda: Context(SchemaPrompt(self.dialect, own, self.style)))
        if candidate.ddl is None and candidate.database is None:
            return self._of_project()
        database = self._open(candidate.database) if candidate.database else None
        key = (candidate.ddl, candidate.database, candidate.written_in)
        context = self._own.get(key, lambda: self._read(candidate, database))
        if context.database is not database:  # closed and opened again since
            context = replace(context, database=database)
        return context

    def written_in(self, name: str) -> Dialect:
        """The dialect of that name or file; DialectError when there is none."""
        return self._dialects.get(name, lambda: load_dialect(name, self.folder))

    def close(self) -> None:
        """Close the databases that were opened for examples."""
        self._own.clear()
        self._databases.clear()
        self._process.close()

    def project(self) -> Context | None:
        """The project's own context, where it has a schema."""
        return None if self.schema is None else self._of_project()

    def _of_project(self) -> Context:
        if self._project is None:
            if self.schema is None:
                raise SchemaError("the project has no database, so no table is known", NO_SCHEMA)
            self._project = Context(self._prompt(self.schema), self.database, shared=True)
        return self._project

    def _open(self, url: str) -> Database:
        return self._databases.get(url, lambda: IsolatedDatabase(url, process=self._process))

    def _read(self, candidate: Candidate, database: Database | None) -> Context:
        if candidate.ddl is not None:
            if len(candidate.ddl) > DDL_LIMIT:
                raise SchemaError(f"its DDL has {len(candidate.ddl):,} of at most {DDL_LIMIT:,} characters")
            base = self.written_in(candidate.written_in).base if candidate.written_in else self.dialect.base
            schema = respelt(Schema.from_ddl(candidate.ddl, base), self.dialect.base)
        else:
            assert database is not None
            schema = database.schema()
        return Context(self._prompt(schema), database)

    def _prompt(self, schema: Schema) -> SchemaPrompt:
        return SchemaPrompt(self.dialect, schema, self.style, self.schema_tokens)
