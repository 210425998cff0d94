"""``sqlora dialect check --run``: a query's rows as it was written, and as it came back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlora.errors import ConfigError, QueryRejected, SqloraError
from sqlora.sql.roundtrip import Loss, Trip

if TYPE_CHECKING:
    from sqlglot import exp

    from sqlora.project import Project
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.execute import Database, Limits
    from sqlora.sql.finding import Finding
    from sqlora.sql.schema import Schema


@dataclass
class Run:
    """A database on which a query is run as it was and as it came back."""

    database: Database
    schema: Schema
    dialect: Dialect
    limits: Limits
    queries: int = 0
    same: int = 0

    @property
    def engine(self) -> str:
        """The sqlglot dialect that the database speaks."""
        return self.database.dialect_name

    def losses(self, sql: str, trip: Trip) -> list[Loss]:
        """What running it shows: names that are not there, a refusal, other rows."""
        from sqlglot import exp

        from sqlora.sql.compare import compare, is_ordered
        from sqlora.sql.execute import run_query

        if len(trip.trees) != 1 or not isinstance(trip.trees[0], exp.Query):
            return []
        self.queries += 1
        try:
            before = run_query(sql, self.dialect, self.database, self.schema, self.limits)
            after = before
            if trip.outcome == "rewritten":
                after = run_query(trip.back, self.dialect, self.database, self.schema, self.limits)
            found = compare(before, after, is_ordered(cast("exp.Expression", trip.trees[0])))
        except QueryRejected as error:
            return [_loss(cast("Finding", finding)) for finding in error.findings]
        except SqloraError as error:
            return [Loss("refused", "the query", error.message)]
        if not found.equal:
            return [Loss("changed", "the query", f"comes back as {trip.back}, which gives other rows: {found.reason}")]
        self.same += 1
        return []


def _loss(finding: Finding) -> Loss:
    return Loss("syntax", finding.kind, finding.message, finding.line, finding.column, finding.token)


@contextmanager
def open_run(project: Project | None, dialect: Dialect, url: str | None, wanted: bool) -> Iterator[Run | None]:
    """The database to run on, where running is asked for."""
    if not wanted and url is None:
        yield None
        return
    from sqlora.sql.execute import Limits
    from sqlora.sql.execute.isolated import IsolatedDatabase

    if url is None and project is None:
        raise ConfigError("run where? there is no sqlora.toml here", "--database duckdb:///warehouse.duckdb")
    if url is not None:
        opened: Database = IsolatedDatabase(url, Path.cwd())
    else:
        assert project is not None
        opened = project.open_database(isolated=True)
    limits = Limits() if project is None else Limits(
        project.evaluate.seconds, project.evaluate.rows, project.evaluate.memory_mb
    )  # fmt: skip
    with opened as database:
        yield Run(database, database.schema(), dialect, limits)
