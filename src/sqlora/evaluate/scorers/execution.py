"""Execution accuracy: run the answer and the reference, and compare what comes out.

An answer goes to the database through `sqlora.sql.execute.run_query` only, which sends nothing that is not one
query over the schema. A text that was run before is not run again, so that an answer equal to the reference
equals it even where the query leaves the order of ties open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sqlora.errors import DialectError, QueryError, QueryLimitError
from sqlora.sql.cells import meaning
from sqlora.sql.compare import compare
from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database, Limits, ResultSet, run_query
from sqlora.sql.schema import Schema

REMEMBERED_ROWS = 1_000
Failure = QueryError | QueryLimitError | DialectError
GoldStatus = Literal["rows", "empty", "null only", "broken", "not run"]


@dataclass(frozen=True)
class Gold:
    """What a reference query gives now.

    ``status`` is 'rows' when the result says something; 'empty' or 'null only' when wrong queries would often
    give the same, so that they are counted apart; 'broken' when the reference itself can't be run, ``detail``
    says why; 'not run' where there is no database for it.
    """

    status: GoldStatus
    result: ResultSet | None = None
    detail: str = ""


@dataclass(frozen=True)
class Execution:
    """How an answer fared; ``kind`` is empty when it is correct, or was not judged for want of a reference."""

    correct: bool
    runs: bool
    kind: str = ""
    detail: str = ""
    columns_permuted: bool = False
    result: ResultSet | None = None


@dataclass
class Runner:
    """Runs texts of one dialect on one open database, each once."""

    dialect: Dialect
    database: Database
    schema: Schema
    limits: Limits

    def __post_init__(self) -> None:
        self._known: dict[str, ResultSet | Failure] = {}

    def run(self, sql: str, keep: bool = False) -> ResultSet:
        """The rows; raises QueryError (also a rejected query), QueryLimitError or DialectError.

        Large results are remembered only with ``keep``: hundreds of them would not fit into memory.
        """
        key = self._key(sql)
        found = self._known.get(key) or self._run(sql)
        if keep or isinstance(found, Exception) or len(found.rows) <= REMEMBERED_ROWS:
            self._known[key] = found
        if isinstance(found, Exception):
            raise found
        return found

    def _run(self, sql: str) -> ResultSet | Failure:
        try:
            return run_query(sql, self.dialect, self.database, self.schema, self.limits)
        except (QueryError, QueryLimitError, DialectError) as error:
            return error

    def _key(self, sql: str) -> str:
        try:
            return self.dialect.to_base(sql)
        except (DialectError, RecursionError):
            return f"unparsed {sql}"


def run_gold(sql: str, ordered: bool, runner: Runner) -> Gold:
    """Run a reference query and say whether its result can tell right from wrong."""
    try:
        result = settled(runner.run(sql, keep=True), ordered)
    except (QueryError, QueryLimitError, DialectError) as error:
        return Gold("broken", None, error.message)
    if not result.rows:
        return Gold("empty", result)
    if all(value is None for row in result.rows for value in row):
        return Gold("null only", result)
    return Gold("rows", result)


def execute(sql: str, gold: Gold, ordered: bool, runner: Runner) -> Execution:
    """Run a valid answer and compare it with the reference's result."""
    try:
        result = settled(runner.run(sql), ordered)
    except QueryLimitError as error:
        return Execution(False, False, "limit", error.message)
    except (QueryError, DialectError) as error:
        return Execution(False, False, "refused by the database", error.message)
    if gold.result is None:
        return Execution(False, True, result=result)
    found = compare(gold.result, result, ordered)
    if found.equal:
        return Execution(True, True, "", found.reason, found.columns_permuted, result)
    return Execution(False, True, _kind(gold.result, result, ordered), found.reason, False, result)


def settled(result: ResultSet, ordered: bool) -> ResultSet:
    """The result with its rows sorted by value unless the reference orders them.

    Engines give unordered rows now so, now so; sorted, the same rows stand side by side in the report, and what it
    says of a difference is the same in every run.
    """
    if ordered:
        return result
    return replace(result, rows=sorted(result.rows, key=lambda row: [meaning(cell) for cell in row]))


def _kind(expected: ResultSet, got: ResultSet, ordered: bool) -> str:
    if len(expected.columns) != len(got.columns):
        return "wrong columns"
    if len(expected.rows) != len(got.rows) or expected.truncated != got.truncated:
        return "row count"
    if ordered and compare(expected, got, ordered=False).equal:
        return "wrong order"
    return "wrong rows"
