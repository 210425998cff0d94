"""Where examples come from: one file for each ``kind`` of ``[[sources]]``, behind `read_source`.

Sources do as little as they can: they yield texts, one candidate at a time, and leave parsing, rewriting and running
to the checker, which has more than one processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlora.errors import ConfigError
from sqlora.prepare.sources.bedrock_conversation import read_bedrock_conversation
from sqlora.prepare.sources.bird import read_bird
from sqlora.prepare.sources.candidates import Found, sample
from sqlora.prepare.sources.collection import lay_out
from sqlora.prepare.sources.openai_chat import read_openai_chat
from sqlora.prepare.sources.pairs import read_pairs
from sqlora.prepare.sources.rewrite import read_rewrites
from sqlora.prepare.sources.spider import read_spider
from sqlora.prepare.sources.sql_create_context import read_sql_create_context
from sqlora.prepare.sources.wikisql import read_wikisql, tables_of

if TYPE_CHECKING:
    from sqlora.prepare.examples import Candidate, Rejection, ReportProgress
    from sqlora.project import Project
    from sqlora.settings import SourceSection
    from sqlora.sql.execute import Database
    from sqlora.sql.schema import Schema

__all__ = ["ENDLESS", "inputs", "read_source"]

ENDLESS = ("synthesize", "schema-only")  # kinds that go on until nobody asks them for more


def read_source(
    source: SourceSection,
    project: Project,
    name: str,
    schema: Schema | None = None,
    database: Database | None = None,
    report: ReportProgress | None = None,
) -> Iterator[Candidate | Rejection]:
    """The candidates of one source, which is called ``name``, in the order of its file.

    ``schema`` and ``database`` are the project's. With ``source.count``, so many rows of a file are drawn by the
    source's seed; of an `ENDLESS` kind, the caller takes as many as it likes. A row that can't be used is a Rejection;
    DatasetError names file and line of a file that can't. ConfigError where a kind needs what the project lacks.
    ``report`` is told how far a source is that gives nothing before it has read all of its file.
    """
    from sqlora.prepare.questions import with_written_questions

    return with_written_questions(_read(source, project, name, schema, database, report), project, source)


def inputs(source: SourceSection) -> tuple[Path, ...]:
    """Every file and folder that a source reads, those too that it finds beside its path."""
    found: list[Path | None] = [*source.files(), source.databases]
    if source.path is not None and source.kind in ("spider", "bird"):
        found += lay_out(source.path, source.databases, source.tables)
    elif source.path is not None and source.kind == "wikisql":
        found.append(source.tables or tables_of(source.path))
    elif source.path is not None and source.kind == "schema-only":
        found += [each for each in [source.path.with_name("catalog.json")] if each.exists()]
    return tuple(dict.fromkeys(path for path in found if path is not None))


def _read(
    source: SourceSection,
    project: Project,
    name: str,
    schema: Schema | None,
    database: Database | None,
    report: ReportProgress | None,
) -> Found:
    if source.kind == "synthesize":
        return _synthesize(source, project, name, schema, database)
    if source.kind == "schema-only":
        from sqlora.prepare.sources.schema_only import read_schema_only

        return read_schema_only(source, project, name, schema)
    if source.kind == "query-log":
        from sqlora.prepare.sources.query_log import read_query_log

        return read_query_log(source, project, name, report)
    read = partial(_read_file, source, project, name)
    return read() if source.count is None else sample(read, source.count, source.seed)


def _read_file(source: SourceSection, project: Project, name: str) -> Found:
    assert source.path is not None  # `SourceSection` has checked it
    path: Path = source.path
    match source.kind:
        case "pairs":
            return read_pairs(path, name, source.split, source.fields)
        case "rewrite":
            return read_rewrites(path, name, _written_in(source, project), source.split, source.fields)
        case "sql-create-context":
            return read_sql_create_context(path, name, _written_in(source, project), source.split, source.fields)
        case "spider":
            return read_spider(path, name, source.split, source.databases, source.tables, source.written_in)
        case "bird":
            databases, tables = source.databases, source.tables
            return read_bird(path, name, source.split, databases, tables, source.written_in, source.evidence)
        case "wikisql":
            return read_wikisql(path, name, source.split, source.tables, source.written_in)
        case "bedrock-conversation":
            return read_bedrock_conversation(path, name, source.split, source.written_in)
        case "openai-chat":
            return read_openai_chat(path, name, source.split, source.written_in)
    raise AssertionError(source.kind)


def _written_in(source: SourceSection, project: Project) -> str:
    """What plain SQL is read as: the dialect that the project's builds on."""
    return source.written_in or project.dialect().base


def _synthesize(
    source: SourceSection, project: Project, name: str, schema: Schema | None, database: Database | None
) -> Found:
    from sqlora.prepare.sources.synthesize import synthesize

    if schema is None or database is None:
        raise ConfigError("a synthesize source reads a database", "add [database] with a url to sqlora.toml")
    return synthesize(
        schema,
        database,
        project.dialect(),
        glossary=source.glossary,
        seed=source.seed,
        split=source.split,
        name=name,
    )
