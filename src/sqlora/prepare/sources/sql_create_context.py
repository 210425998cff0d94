"""Source ``sql-create-context``: public pairs where each example brings its own CREATE TABLE statements.

The format of b-mc2/sql-create-context (and its likes): ``{"question", "context", "answer"}``, JSON or JSON lines,
gzipped or not. The answers are standard SQL: they are read in the base of the project's dialect, written in the
dialect, and checked against their context. There is no data to run them on.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DatasetError, SqloraError
from sqlora.prepare.examples import Candidate, Example, Rejection, Split
from sqlora.prepare.sources.pairs import unreadable
from sqlora.prompting import system_text
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema, Style

FIELDS = ("question", "context", "answer")


def read_sql_create_context(
    path: Path,
    name: str,
    dialect: Dialect,
    split: Split | None = None,
    count: int | None = None,
    seed: int = 0,
    schema_style: Style = "compact",
) -> Iterator[Candidate | Rejection]:
    """The examples of ``path`` in ``dialect``; with ``count``, a sample of so many drawn by ``seed``.

    Yields a `Rejection` for an example whose context or answer can't be read; DatasetError for a malformed file.
    """
    rows = list(_rows(path))
    if count is not None and count < len(rows):
        rows = [rows[index] for index in sorted(random.Random(seed).sample(range(len(rows)), count))]
    schemas: dict[str, tuple[Schema, str]] = {}
    for line, row in rows:
        for field in FIELDS:
            if not isinstance(row.get(field), str) or not row[field].strip():
                _fail(path, line, f"needs a text named {field!r}")
        example = Example(row["question"].strip(), row["answer"].strip(), name, split)
        origin = f"{name} line {line}"
        try:
            context = row["context"]
            if context not in schemas:
                schema = Schema.from_ddl(context, dialect.base)
                schemas[context] = schema, system_text(dialect.name, schema.to_prompt(schema_style, dialect))
            schema, system = schemas[context]
            sql = dialect.generate(_in_schema(row["answer"], dialect.base, schema))
        except (SqloraError, SqlglotError) as error:
            reason = getattr(error, "message", str(error)).splitlines()[0]
            yield Rejection("syntax", example, reason, origin)
            continue
        yield Candidate(
            Example(example.question, sql, name, split, system), origin, schema=schema, run=False
        )


def _in_schema(sql: str, base: str, schema: Schema) -> exp.Expr:
    """The answer's tree, with names spelt as in the context and "…" read as a string where it names no column.

    The public set writes strings in double quotes, which in standard SQL quote a name.
    """
    tree = sqlglot.parse_one(sql, dialect=base)
    tables = {table.name.lower(): table.name for table in schema.tables}
    columns = {column.name.lower(): column.name for table in schema.tables for column in table.columns}
    known = {*columns, *tables, *(alias.alias.lower() for alias in tree.find_all(exp.Alias, exp.TableAlias, exp.Table))}
    for table in tree.find_all(exp.Table):
        if spelling := tables.get(table.name.lower()):
            table.this.set("this", spelling)
    for column in list(tree.find_all(exp.Column)):
        name = column.name.lower()
        if isinstance(column.this, exp.Identifier) and column.this.quoted and not column.table and name not in known:
            column.replace(exp.Literal.string(column.name))
        elif name in columns:
            column.this.set("this", columns[name])
    return tree


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _text(path)
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except json.JSONDecodeError as error:
            _fail(path, error.lineno, f"is not JSON: {error.msg} at column {error.colno}")
        numbered = list(enumerate(rows, start=1))
    else:
        numbered = []
        for number, line in enumerate(io.StringIO(text), start=1):
            if line.strip():
                try:
                    numbered.append((number, json.loads(line)))
                except json.JSONDecodeError as error:
                    _fail(path, number, f"is not JSON: {error.msg} at column {error.colno}")
    for number, row in numbered:
        if not isinstance(row, dict):
            _fail(path, number, "is not a JSON object")
        yield number, row


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError) as error:
        raise DatasetError(f"{path} is not a whole gzip file: {error}", "fetch the file again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def _fail(path: Path, line: int, problem: str) -> NoReturn:
    raise DatasetError(f"{path}:{line}: {problem}", 'each example is {"question": …, "context": …, "answer": …}')
