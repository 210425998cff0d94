"""Source ``sql-create-context``: public pairs where each example brings its own CREATE TABLE statements.

    {"question": "How many are older than 56?", "context": "CREATE TABLE head (age INTEGER)", "answer": "SELECT …"}

The format of b-mc2/sql-create-context and its likes, JSON or JSON lines, gzipped or not. The answers are standard SQL:
they are read as the base of the project's dialect, written in the dialect, and checked against their context. There
is no data to run them on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.files import Row, read_rows

FIELDS = ("question", "context", "answer")
KNOWN = (*FIELDS, "db_id", "table_id")
SHAPE = 'each example is {"question": …, "context": …, "answer": …}'


def read_sql_create_context(
    path: Path, name: str, written_in: str, split: Split | None = None, fields: Mapping[str, str] | None = None
) -> Found:
    """The examples of ``path``, whose contexts and answers are in the dialect ``written_in``.

    ``fields``: see `read_rows`; the errors are those of `read_candidates`.
    """

    def example(row: Row) -> Candidate:
        database = row.optional("db_id") or row.optional("table_id")
        pair = Example(row.text("question"), row.text("answer"), name, split, database=database)
        return Candidate(pair, f"{name} {row.place}", ddl=row.text("context"), written_in=written_in, run=False)

    return read_candidates(path, name, read_rows(path, FIELDS, fields, KNOWN), example, SHAPE)
