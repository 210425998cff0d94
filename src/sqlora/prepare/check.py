"""Nothing unchecked is taught: an example parses, names only what its schema has, and runs.

`Checker.check` gives the example back with its SQL in the dialect's normal form and its template filled in, or a
`Rejection` whose reason is one of `REASONS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError, QueryError, QueryLimitError
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.sql.check import check
from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database, Limits, ResultSet
from sqlora.sql.schema import Schema
from sqlora.sql.structure import structure

REASONS = (
    "question too long", "sql too long", "forbidden text",                  # what Bedrock would refuse
    "syntax", "statement", "table", "column", "ambiguous", "function",      # what sqlora.sql.check finds
    "refused", "limit", "no rows",                                          # what running it shows
    "duplicate", "contradiction", "many wordings", "in test",               # what the other examples show
)  # fmt: skip

# A model that has to be asked in more than this, or answers in more, is not asked for a query. Characters.
QUESTION_LIMIT = 2_000
SQL_LIMIT = 4_000

# Enough rows to see whether there are any: fetching 10,000 of each breakdown takes longer than finding them.
PROBE = Limits(rows=200)

# Bedrock fails a customization job whose text has one of these, in upper or lower case ("Preparing data for
# fine-tuning understanding models"; the last two are from AWS's nova_ft_dataset_validator.py).
FORBIDDEN = ("system:", "user:", "bot:", "assistant:", "<image>", "<video>", "[eos]", "thought:", "<unk>")


def forbidden_in(text: str) -> str | None:
    """The first text in ``text`` that Bedrock refuses in training data, else None."""
    lowered = text.lower()
    return next((word for word in FORBIDDEN if word in lowered), None)


class _ReadOnce:
    """A dialect for one check, which keeps the trees that it parses: parsing is most of the work of a check."""

    def __init__(self, dialect: Dialect) -> None:
        self.name, self.spec, self.base = dialect.name, dialect.spec, dialect.base
        self.trees: list[Any] = []
        self._dialect = dialect

    def parse_any(self, sql: str) -> list[Any]:
        """As `Dialect.parse_any`."""
        self.trees = list(self._dialect.parse_any(sql))
        return self.trees


@dataclass(frozen=True)
class Verdict:
    """What checking one SQL text gave; ``reason`` is empty when it is good."""

    reason: str = ""
    detail: str = ""
    sql: str = ""
    template: str = ""
    has_rows: bool = True


@dataclass
class Checker:
    """Checks candidates against one dialect, one schema and one open database, each SQL text once.

    ``schema`` and ``database`` are None where a project has no database; then every candidate brings its schema.
    """

    dialect: Dialect
    schema: Schema | None = None
    database: Database | None = None
    limits: Limits = PROBE
    _verdicts: dict[str, Verdict] = field(default_factory=dict, repr=False)

    def check(self, candidate: Candidate) -> Example | Rejection:
        """The candidate's example, normalized, or why not."""
        example = candidate.example

        def reject(reason: str, detail: str = "") -> Rejection:
            return Rejection(reason, example, detail, candidate.origin)

        if len(example.question) > QUESTION_LIMIT:
            return reject("question too long", f"{len(example.question)} of {QUESTION_LIMIT} characters")
        if len(example.sql) > SQL_LIMIT:
            return reject("sql too long", f"{len(example.sql)} of {SQL_LIMIT} characters")
        for text in (example.question, example.sql, example.system or ""):
            if word := forbidden_in(text):
                return reject("forbidden text", f"{word!r}, which Bedrock refuses in training data")
        verdict = self._verdict(candidate)
        if verdict.reason:
            return reject(verdict.reason, verdict.detail)
        if candidate.needs_rows and not verdict.has_rows:
            return reject("no rows")
        return replace(example, sql=verdict.sql, template=verdict.template)

    def _verdict(self, candidate: Candidate) -> Verdict:
        if candidate.schema is not None:
            return self._examine(candidate, candidate.schema)
        if self.schema is None:
            return Verdict("table", "the project has no database, so no table is known")
        sql = candidate.example.sql
        if sql not in self._verdicts:
            self._verdicts[sql] = self._examine(candidate, self.schema)
        return self._verdicts[sql]

    def _examine(self, candidate: Candidate, schema: Schema) -> Verdict:
        sql = candidate.example.sql
        try:
            once = _ReadOnce(self.dialect)
            if findings := check(sql, cast(Dialect, once), schema):
                return Verdict(findings[0].kind, "; ".join(finding.message for finding in findings))
            tree = once.trees[0]
            normal = sql if candidate.normal else self.dialect.generate(tree)
        except DialectError as error:
            return Verdict("syntax", error.message.splitlines()[0])
        good = Verdict("", "", normal, structure(tree))
        if not candidate.run or self.database is None:
            return good
        # The query was checked above, so it goes to the engine directly: what `run_query` would do, without
        # parsing it a second time, which halves the time of a large dataset.
        try:
            result = self.database.run(tree.sql(self.database.dialect_name, comments=False), self.limits)
        except SqlglotError as error:
            return Verdict("refused", f"can't be written for {self.database.dialect_name}: {error}")
        except QueryLimitError as error:
            return Verdict("limit", error.message.splitlines()[0])
        except QueryError as error:
            return Verdict("refused", error.message.splitlines()[0])
        return replace(good, has_rows=_says_something(result))


def _says_something(result: ResultSet) -> bool:
    """Whether there is a value in the result that is not NULL, nor a lonely zero."""
    values = [value for row in result.rows for value in row if value is not None]
    return any(values) if len(result.rows) == 1 else bool(values)
