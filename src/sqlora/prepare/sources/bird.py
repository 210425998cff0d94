"""Source ``bird``: questions on large, untidy databases, each with the knowledge that it takes (Li et al., 2023).

    train.json    [{"db_id": "movie_platform", "question": …, "evidence": …, "SQL": …, "difficulty": …}, …]

with `train_tables.json` and the folder `train_databases` beside it (of the dev set: `dev_…`).
"""

from __future__ import annotations

from pathlib import Path

from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.collection import Collection, lay_out
from sqlora.prepare.sources.files import Row, read_rows
from sqlora.prepare.sources.spider import on_database

FIELDS = ("question", "SQL", "db_id")
SHAPE = 'each example is {"db_id": …, "question": …, "evidence": …, "SQL": …}'


def read_bird(
    path: Path,
    name: str,
    split: Split | None = None,
    databases: Path | None = None,
    tables: Path | None = None,
    written_in: str | None = None,
    evidence: bool = True,
) -> Found:
    """The questions of ``path``, a JSON array or JSON lines; with ``evidence``, each has it on a line of its own.

    ``databases``, ``tables``, ``written_in`` and the errors are those of `read_spider`.
    """
    collection = Collection(*lay_out(path, databases, tables))

    def question(row: Row) -> Candidate:
        text, known = row.text("question"), row.optional("evidence") if evidence else ""
        difficulty = row.optional("difficulty")
        example = Example(
            question=f"{text}\n{known}" if known else text,
            sql=row.text("SQL"),
            source=name,
            split=split,
            tags=(f"difficulty={difficulty}",) if difficulty else (),
            database=row.text("db_id"),
        )
        return on_database(example, f"{name} {row.place}", collection, written_in)

    return read_candidates(path, name, read_rows(path, FIELDS), question, SHAPE)
