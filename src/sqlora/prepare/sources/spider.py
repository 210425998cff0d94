"""Source ``spider``: questions on many databases, each with its schema and, mostly, its rows (Yu et al., 2018).

    train_spider.json    [{"db_id": "concert_singer", "question": …, "query": …}, …]

with `tables.json` and the folder `database` beside it. The queries are SQLite's: they are rewritten into the
project's dialect, and where the database is there, both have to return the same rows.
"""

from __future__ import annotations

from pathlib import Path

from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.collection import Collection, lay_out
from sqlora.prepare.sources.files import Row, read_rows

FIELDS = ("question", "query", "db_id")
SHAPE = 'each example is {"db_id": …, "question": …, "query": …}'


def read_spider(
    path: Path,
    name: str,
    split: Split | None = None,
    databases: Path | None = None,
    tables: Path | None = None,
    written_in: str | None = None,
) -> Found:
    """The questions of ``path``, a JSON array, gzipped or not.

    ``databases`` is the folder of databases and ``tables`` the file of schemas; default: as Spider lays them out
    beside ``path``. DatasetError as for `read_candidates`.
    """
    collection = Collection(*lay_out(path, databases, tables))

    def question(row: Row) -> Candidate:
        example = Example(row.text("question"), row.text("query"), name, split, database=row.text("db_id"))
        return on_database(example, f"{name} {row.place}", collection, written_in)

    return read_candidates(path, name, read_rows(path, FIELDS), question, SHAPE)


def on_database(example: Example, origin: str, collection: Collection, written_in: str | None) -> Candidate:
    """A candidate on the database that the example names: proven by its rows, or checked by its schema alone."""
    dialect = written_in or "sqlite"
    if url := collection.url(example.database):
        return Candidate(example, origin, database=url, written_in=dialect, prove=True)
    return Candidate(example, origin, ddl=collection.ddl(example.database), written_in=dialect, run=False)
