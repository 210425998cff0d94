"""Nothing unchecked is taught: an example parses, names only what its schema has, and runs.

`Checker.check` gives the example back with its SQL in the dialect's normal form (in a dialect of sqlglot's as it was
written, where that form has other words) and its template filled in, or a `Rejection` whose reason is one of
`sqlora.prepare.reasons`. What comes out depends on the candidate alone, so several processes give what one would.

    texts        lengths, forbidden words, secrets, the answer in the question      sqlora.prepare.texts
    context      its schema and database, or the project's                          sqlora.prepare.contexts
    rewriting    from the dialect it is written in into the project's               sqlora.prepare.rewrite
    names        tables, columns, functions, ambiguity                              sqlora.sql.check
    running      within limits; the rewritten query gives the original's rows; without data, over empty tables
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import BusyError, DialectError, QueryError, QueryLimitError, SqloraError
from sqlora.prepare.contexts import Context, Contexts, Recent
from sqlora.prepare.empty_tables import EmptyTables
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.reasons import reject
from sqlora.prepare.rewrite import qualify, read_foreign
from sqlora.prepare.texts import Rules, fault, holds_answer, text_fault, tokens
from sqlora.sql.check import check
from sqlora.sql.compare import compare, is_ordered
from sqlora.sql.constructs import constructs, uses
from sqlora.sql.dialect import Dialect
from sqlora.sql.dialect.adapted import adapted
from sqlora.sql.dialect.dialect import PARSER_FAILURES
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.own_words import spelt
from sqlora.sql.execute import Database, Limits, ResultSet
from sqlora.sql.personal import masked
from sqlora.sql.schema import Schema, Style
from sqlora.sql.schema.needed import NOTHING, Needed, needed_by, recall
from sqlora.sql.sqlglot_log import sqlglot_log
from sqlora.sql.structure import structure
from sqlora.sql.translate import write

# Enough rows to see whether there are any: fetching 10,000 of each breakdown takes longer than finding them.
PROBE = Limits(rows=200)
PROOF_ROWS = 10_000  # two results are compared whole
SHOWN = 500  # characters of a rewritten text in a rejection
KNOWN, SYSTEMS = 4_096, 64  # verdicts and system texts remembered
ANYTHING = Rules()
# A source may hold anything, and a tree that was parsed need not be one that sqlglot can write.
FAILURES = (SqlglotError, *PARSER_FAILURES)


class _ReadOnce:
    """A dialect for one check, which keeps the trees that it parses: parsing is most of the work of a check.

    Their tables are named as the schema of ``context`` does; ``requalified`` where the text names them otherwise.
    """

    def __init__(self, dialect: Dialect, context: Context | None) -> None:
        self.name, self.spec, self.base = dialect.name, dialect.spec, dialect.base
        self.trees: list[Any] = []
        self.requalified = False
        self._dialect, self._context = dialect, context

    def parse_any(self, sql: str) -> list[Any]:
        """As `Dialect.parse_any`."""
        self.trees = list(self._dialect.parse_any(sql))
        if self._context is not None:
            self.requalified = any([qualify(tree, self._context) for tree in self.trees])
        return self.trees


@dataclass(frozen=True)
class Verdict:
    """What checking one SQL text gave; ``reason`` is empty when it is good."""

    reason: str = ""
    detail: str = ""
    sql: str = ""
    normal: str = ""
    template: str = ""
    has_rows: bool = True
    constructs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    needed: Needed = NOTHING


class _Fault(Exception):
    """A verdict against the query, on its way up; ``text`` is what was run, where that is another text."""

    def __init__(self, reason: str, detail: str = "", text: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail, self.text = reason, detail, text

    def verdict(self, sql: str) -> Verdict:
        """With the text that failed, unless that is ``sql``, which is shown anyway."""
        if not self.text or _flat(self.text) == _flat(sql):
            return Verdict(self.reason, self.detail)
        text = masked(self.text)
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        return Verdict(self.reason, f"{self.detail}; rewritten: {shown}")


@dataclass
class Checker:
    """Checks candidates against one dialect, one schema and one open database, each SQL text once.

    ``schema`` and ``database`` are None where a project has no database; then every candidate brings its schema.
    A context manager, which closes the databases that candidates brought.
    """

    dialect: Dialect
    schema: Schema | None = None
    database: Database | None = None
    limits: Limits = PROBE
    rules: Rules = ANYTHING
    style: Style = "compact"
    schema_tokens: int | None = None
    folder: Path | None = None
    _contexts: Contexts = field(init=False, repr=False)
    _empty: EmptyTables = field(default_factory=EmptyTables, repr=False)
    _systems: Recent[str, tuple[str, str]] = field(default_factory=lambda: Recent(SYSTEMS), repr=False)
    _verdicts: Recent[tuple[object, ...], Verdict] = field(default_factory=lambda: Recent(KNOWN), repr=False)

    def __post_init__(self) -> None:
        self._contexts = Contexts(
            self.dialect, self.schema, self.database, self.style, self.schema_tokens, self.folder
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._contexts.close()
        self._empty.close()

    def check(self, candidate: Candidate) -> Example | Rejection:
        """The candidate's example, normalized, or why not. BusyError when a database is locked by somebody."""
        example = candidate.example
        if found := fault(example, self.rules):
            return reject(found[0], example, found[1], candidate.origin)
        try:
            context = self._contexts.of(candidate)
        except BusyError:
            raise
        except (SqloraError, RecursionError, *FAILURES) as error:
            if candidate.ddl is not None or candidate.database is not None:
                return reject("schema", example, _message(error), candidate.origin)
            rejection = reject("table", example, _message(error), candidate.origin)
            return replace(rejection, suggestion=getattr(error, "next_step", None) or rejection.suggestion)
        verdict = self._verdict(candidate, context)
        if not verdict.reason and candidate.needs_rows and not verdict.has_rows:
            verdict = Verdict("no rows")
        if verdict.reason:
            return reject(verdict.reason, example, verdict.detail, candidate.origin)
        checked = self._taught(example, verdict, context)
        if late := self._late_fault(checked, context):
            return reject(late[0], example, late[1], candidate.origin)
        return checked

    def _taught(self, example: Example, verdict: Verdict, context: Context) -> Example:
        """The example as it would be taught: with a system text of its own where that is not the project's."""
        prompt, system, recalled, asked = context.prompt, example.system, None, None
        if prompt.prunes or not context.shared:
            system = prompt.system(example.question, verdict.needed)
        if prompt.prunes:
            found = recall(prompt.shown(example.question), verdict.needed)
            recalled = (found.table_share, found.column_share)
            asked = None if found.whole else prompt.system(example.question)
        return replace(
            example,
            sql=verdict.sql,
            normal=verdict.normal,
            template=verdict.template,
            system=system,
            constructs=verdict.constructs,
            uses=verdict.uses,
            recall=recalled,
            asked=asked,
        )

    def _late_fault(self, checked: Example, context: Context) -> tuple[str, str] | None:
        """What is wrong with the record that would be taught, which was not in the texts that came."""
        system = context.prompt.system() if checked.system is None else checked.system
        if checked.system is not None and (found := self._system_fault(checked.system)):
            return found
        if holds_answer(checked.question, checked.sql):
            return "answer in question", ""
        if self.rules.tokens is not None:
            count = tokens(system, checked.question, checked.sql)
            if count > self.rules.tokens:
                return "too many tokens", f"about {count:,} of {self.rules.tokens:,}"
        return None

    def _system_fault(self, system: str) -> tuple[str, str] | None:
        found = self._systems.get(system, lambda: text_fault(system, self.rules) or ("", ""))
        return found if found[0] else None

    def _verdict(self, candidate: Candidate, context: Context) -> Verdict:
        key = (context, candidate.example.sql, candidate.written_in, candidate.normal, candidate.run, candidate.prove)
        return self._verdicts.get(key, lambda: self._examine(candidate, context))

    def _examine(self, candidate: Candidate, context: Context) -> Verdict:
        try:
            with sqlglot_log():
                return self._judge(candidate, context)
        except _Fault as fault:
            return fault.verdict(candidate.example.sql)
        except DialectError as error:
            return Verdict("syntax", _message(error))
        except RecursionError:
            return Verdict("syntax", "the query is nested too deeply")
        except FAILURES as error:
            return Verdict("syntax", f"the parser failed on it: {error!r:.200}")

    def _judge(self, candidate: Candidate, context: Context) -> Verdict:
        original = self._original(candidate, context)
        sql, tree, renamed = self._in_dialect(candidate, context, original)
        # Somebody's own words stay, unless they are of another dialect, of a house with its own rules, or name tables
        # as the schema does not.
        own = self.dialect.spec is None and candidate.written_in is None and not renamed
        taught = spelt(candidate.example.sql, sql, self.dialect.base) if own else sql
        good = self._good(taught, sql, tree, context)
        rewritten = sql if original is not None else ""
        if not candidate.run or context.database is None:
            self._require_sense(tree, context, rewritten)
            return good
        if original is not None and candidate.prove:
            source, ordered = self._source(candidate), is_ordered(cast(exp.Expression, original))
            limits = replace(self.limits, rows=PROOF_ROWS)
            expected = _run(original, source, context.database, limits)
            got = _run(tree, self.dialect.base, context.database, limits, rewritten)
            if not (compared := compare(expected, got, ordered)).equal:
                raise _Fault("other rows", compared.reason, rewritten)
            return replace(good, has_rows=_says_something(got))
        got = _run(tree, self.dialect.base, context.database, self.limits, rewritten)
        return replace(good, has_rows=_says_something(got))

    def _good(self, taught: str, normal: str, tree: exp.Expr, context: Context) -> Verdict:
        return Verdict(
            sql=taught,
            normal=normal if taught != normal else "",
            template=structure(tree),
            constructs=constructs(tree),
            uses=uses(tree, context.schema) if context.shared else (),
            needed=needed_by(tree, context.schema) if context.prompt.prunes else NOTHING,
        )

    def _original(self, candidate: Candidate, context: Context) -> exp.Query | None:
        """The query as it came, where it is in another dialect."""
        if candidate.written_in is None:
            return None
        return read_foreign(candidate.example.sql, self._contexts.written_in(candidate.written_in), context)

    def _source(self, candidate: Candidate) -> str:
        """The sqlglot dialect of the query as it came."""
        return self._contexts.written_in(candidate.written_in).base if candidate.written_in else self.dialect.base

    def _in_dialect(
        self, candidate: Candidate, context: Context, original: exp.Query | None
    ) -> tuple[str, exp.Expr, bool]:
        """The query in the dialect's normal form, the tree that the dialect reads there, and whether tables have other
        names in it.
        """
        sql = candidate.example.sql if original is None else self._rewritten(original)
        once = _ReadOnce(self.dialect, context if original is None else None)  # a rewritten one has them already
        if findings := check(sql, cast(Dialect, once), context.schema):
            text = "" if original is None else sql
            raise _Fault(findings[0].kind, "; ".join(finding.message for finding in findings), text)
        tree = once.trees[0]
        if not once.requalified and (candidate.normal or tree == original):
            return sql, tree, False  # generating it again would give the same text
        return self.dialect.generate(tree), tree, once.requalified

    def _rewritten(self, original: exp.Query) -> str:
        """The original's text in the dialect; a `_Fault` where that does not say all of it."""
        with sqlglot_log() as said:
            sql = self.dialect.generate(original)
        if said:
            raise _Fault("syntax", f"{self.dialect.name} has no way to say all of it: {said[0]}", sql)
        return sql

    def _require_sense(self, tree: exp.Expr, context: Context, rewritten: str) -> None:
        """A `_Fault` where the engine would refuse the query, though there is no data to run it on."""
        if self.dialect.base == context.schema.dialect == "duckdb":
            refusal = self._empty.refusal(tree, context.schema)
            if refusal is not None:
                raise _Fault("refused", refusal, rewritten)


def _run(tree: exp.Expr, source: str, database: Database, limits: Limits, rewritten: str = "") -> ResultSet:
    """What the query, a tree of the dialect ``source``, gives; the tree is used up.

    ``rewritten`` is its text, where it is not the one that came.
    """
    # The query was checked, so it goes to the engine directly: what `run_query` would do, without parsing it a
    # second time, which halves the time of a large dataset.
    engine = database.dialect_name
    try:
        if source == engine:
            text = adapted(tree, engine).sql(engine, comments=False, copy=False)
        else:
            text = rewritten = _transpiled(tree, engine)
        return database.run(text, limits)
    except (SqlglotError, NodeError) as error:
        raise _Fault("refused", f"can't be written for {engine}: {error}", rewritten) from error
    except QueryLimitError as error:
        raise _Fault("limit", _message(error), rewritten) from error
    except QueryError as error:
        raise _Fault("refused", _message(error), rewritten) from error


def _transpiled(tree: exp.Expr, engine: str) -> str:
    """The query for another engine; a `_Fault` where that would run something else."""
    written = write(tree, engine)
    if written.unsupported:
        raise _Fault("refused", f"{engine} has no way to run all of it: {written.unsupported[0][1]}", written.text)
    return written.text


def _flat(sql: str) -> str:
    """The text without what says nothing: case, blanks, a semicolon at the end."""
    return " ".join(sql.split()).rstrip("; ").lower()


def _message(error: BaseException) -> str:
    lines = getattr(error, "message", str(error)).splitlines()
    return lines[0] if lines else type(error).__name__


def _says_something(result: ResultSet) -> bool:
    """Whether there is a value in the result that is not NULL, nor a lonely zero."""
    values = [value for row in result.rows for value in row if value is not None]
    return any(values) if len(result.rows) == 1 else bool(values)
