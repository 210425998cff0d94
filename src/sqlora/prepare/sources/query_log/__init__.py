"""Source ``query-log``: what people ask a database already, from its own logs.

A log is read once and never held: its statements are masked and counted (`mask`, `tally`), then each that is left is
parsed, made safe (`safe`) and put with those of the same structure (`sqlora.sql.structure`). The question is worded by
rules (`sqlora.prepare.questions.describe`), or by a model where ``[prepare.writer]`` says so.

Nothing that a log says of people or secrets gets out: rejections show statements without their values (`shown`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.prepare.examples import Candidate, Example, PrepareProgress, Rejection
from sqlora.prepare.questions import BY_RULES, writes_questions
from sqlora.prepare.questions.describe import NoQuestionError, describe
from sqlora.prepare.reasons import SUGGESTIONS, reject
from sqlora.prepare.sources.query_log.formats import read_log, recognize
from sqlora.prepare.sources.query_log.mask import Mask
from sqlora.prepare.sources.query_log.safe import UnsafeError, make_safe
from sqlora.prepare.sources.query_log.safe_values import SafeValues
from sqlora.prepare.sources.query_log.seen import Seen, Unusable, moment
from sqlora.prepare.sources.query_log.shown import Shown
from sqlora.prepare.sources.query_log.system_tables import system_table
from sqlora.prepare.sources.query_log.tally import Entry, Tally
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.schema import Schema
from sqlora.sql.structure import structure

if TYPE_CHECKING:
    from sqlora.prepare.examples import ReportProgress
    from sqlora.project import Project
    from sqlora.settings import SourceSection

__all__ = ["read_query_log"]

SHOWN = 20  # unusable rows of a reason that are told one by one; the rest is counted
NOT_TAUGHT = "nothing to do: only queries are taught"
NOT_SYSTEM = "nothing to do: only queries of your own tables are taught"
REPORT_EVERY = 20_000  # statements


def read_query_log(
    source: SourceSection, project: Project, name: str, report: ReportProgress | None = None
) -> Iterator[Candidate | Rejection]:
    """An example for each structure of the log's queries, the most frequent first; at most ``source.count``.

    ``Example.weight`` is how often the structure ran, ``time`` when it ran first, as far as the log says. Statements
    are in ``source.written_in``, else in what the kind of log speaks (PostgreSQL, Snowflake), else in the project's
    dialect. ``report`` is told now and then how many were read, since nothing comes out before all are. Raises
    DatasetError for a file that is no log.
    """
    assert source.path is not None  # `SourceSection` has checked it
    log = recognize(source.path)
    written_in = source.written_in or log.written_in or None
    dialect = load_dialect(written_in, project.folder) if written_in else project.dialect()
    mask = Mask(dialect)
    tally = Tally(mask, verbs=dialect.spec is None)
    unusable: Counter[str] = Counter()
    for number, found in enumerate(read_log(source.path, log, dialect), start=1):
        if report is not None and number % REPORT_EVERY == 0:
            report(PrepareProgress(f"reading {name}", number))
        if isinstance(found, Seen):
            tally.add(found)
            continue
        unusable[found.reason] += 1
        if unusable[found.reason] <= SHOWN:
            yield _of_row(found, name)
    yield from _counted(unusable, tally, name)
    with ExitStack() as stack:
        database = stack.enter_context(project.open_database()) if project.database.url else None
        schema = database.schema() if database else Schema(())
        reader = Reader(dialect, mask, schema, SafeValues(schema, database), writes_questions(project, source))
        for entry in sorted(tally.entries.values(), key=lambda entry: -entry.calls):
            if (rejection := reader.read(entry, name)) is not None:
                yield rejection
    same = written_in is None or (dialect.spec is None and dialect.name == project.dialect_name.lower())
    for query in reader.queries(source.count):
        tags = (BY_RULES,) if query.question else ()
        example = Example(query.question, query.sql, name, source.split, tags=tags, database=query.database,
                          time=query.time, weight=float(query.calls))  # fmt: skip
        yield Candidate(example, f"{name} {query.place}", written_in=None if same else written_in)


@dataclass
class Query:
    """A structure of queries: the most frequent of them, made safe, and what was counted of all."""

    sql: str
    question: str
    calls: int
    time: str
    database: str
    place: str


class Reader:
    """Parses a log's entries, and puts those of one structure together."""

    def __init__(self, dialect: Dialect, mask: Mask, schema: Schema, values: SafeValues, written: bool) -> None:
        self._dialect, self._mask = dialect, mask
        self._schema, self._values = schema, values
        self._shown = Shown(dialect, mask, schema)
        self._keywords = _words(" ".join(SqlglotDialect.get_or_raise(dialect.base).tokenizer_class.KEYWORDS))
        self._written = written  # a model words what the rules can't
        self._found: dict[str, Query] = {}

    def read(self, entry: Entry, name: str) -> Rejection | None:
        """Take an entry in; why not, if not."""
        try:
            tree = self._dialect.parse(self._mask.bind(entry.sql, entry.parameters))
            if table := system_table(tree, self._schema):
                rejection = self._reject("statement", f"it reads {table}, which is the system's own", entry, name)
                return replace(rejection, suggestion=NOT_SYSTEM)
            template = structure(make_safe(tree, self._schema, self._values))
            if (known := self._found.get(template)) is not None:
                known.calls += entry.calls
                known.time = min(filter(None, (known.time, moment(entry.time))), default="")
                return None
            sql, question = self._dialect.generate(tree), self._question(tree)
        except DialectError as error:
            return self._reject("syntax", self._syntax(error, entry), entry, name)
        except UnsafeError as error:
            return self._reject(error.reason, self._shown.said(error.detail, tree), entry, name)
        except NoQuestionError as error:
            what = self._shown.said(error.in_dialect(self._dialect.base), tree)
            return self._reject("no question", f"the rules have no words for {what}", entry, name)
        except (SqlglotError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
            # The parser takes texts that are no SQL, and makes trees of them that lack what every query has.
            return self._reject("syntax", f"can't be read ({type(error).__name__})", entry, name)
        self._found[template] = Query(sql, question, entry.calls, moment(entry.time), entry.database, entry.place)
        return None

    def queries(self, count: int | None) -> list[Query]:
        """The structures, the most frequent first."""
        return sorted(self._found.values(), key=lambda query: -query.calls)[:count]

    def _question(self, tree: exp.Query) -> str:
        try:
            return describe(tree, self._schema)
        except NoQuestionError:
            if self._written:
                return ""
            raise

    def _syntax(self, error: DialectError, entry: Entry) -> str:
        """Where the mistake is, and which it is: unless that has a word of the statement in it that is no keyword.

        Where a quote is open, no one can say which words are values.
        """
        if not error.line:
            return "not one query"
        where = f"line {error.line}, column {error.column} of the statement"
        before = f" at {error.token!r}: " if error.token else ": "
        reason = error.message.partition(before)[2].rstrip(".")
        told = f"{reason}. {error.next_step or ''}".strip(" .")
        hidden = _words(entry.sql) - self._keywords
        return where if not reason or _words(told) & hidden else f"{where}: {told}"

    def _reject(self, reason: str, detail: str, entry: Entry, name: str) -> Rejection:
        show = self._shown.unread if reason == "syntax" else self._shown.statement
        shown = Example("", show(entry.sql), name, weight=float(entry.calls))
        times = "once" if entry.calls == 1 else f"{entry.calls:,} times"
        return reject(reason, shown, f"{detail}; seen {times}", f"{name} {entry.place}")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _of_row(found: Unusable, name: str) -> Rejection:
    suggestion = found.suggestion or SUGGESTIONS.get(found.reason, "")
    return Rejection(found.reason, Example("", "", name), found.detail, f"{name} {found.place}", suggestion)


def _counted(unusable: Counter[str], tally: Tally, name: str) -> Iterator[Rejection]:
    """What is told only as a number."""
    nothing = Example("", "", name)
    for reason, count in unusable.items():
        if count > SHOWN:
            yield Rejection(reason, nothing, f"{count - SHOWN:,} more rows", name, SUGGESTIONS.get(reason, ""))
    for verb, count in tally.refused.most_common():
        times = "once" if count == 1 else f"{count:,} times"
        yield Rejection("statement", Example("", verb, name), f"{verb}, seen {times}", name, NOT_TAUGHT)
    if tally.too_long:
        yield Rejection("sql too long", nothing, f"seen {tally.too_long:,} times", name, SUGGESTIONS["sql too long"])
    if tally.rare:
        what = f"{tally.rare:,} statements, seen {tally.rare_calls:,} times together: more than are kept at a time"
        yield Rejection("rare", nothing, what, name, SUGGESTIONS["rare"])
