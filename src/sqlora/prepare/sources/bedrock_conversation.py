"""Source ``bedrock-conversation``: fine-tuning records of Amazon Bedrock, as sqlora itself writes them.

{"schemaVersion": "bedrock-conversation-2024", "system": [{"text": …}],
 "messages": [{"role": "user", "content": [{"text": …}]}, {"role": "assistant", "content": [{"text": "SELECT …"}]}]}
"""

from __future__ import annotations

from pathlib import Path

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.conversation import candidate_of
from sqlora.prepare.sources.files import Row, RowError, read_rows
from sqlora.prompting import SCHEMA_VERSION, parts

SHAPE = 'each line is {"system": [{"text": …}], "messages": [{"role": "user", "content": [{"text": …}]}, …]}'


def read_bedrock_conversation(
    path: Path, name: str, split: Split | None = None, written_in: str | None = None
) -> Found:
    """The first question and answer of each record of ``path``.

    ``written_in`` is the dialect of the answers, default: the project's. See `sqlora.prepare.sources.conversation`.
    """

    def exchange(row: Row) -> Candidate:
        try:
            system, question, sql = parts(row.values)
        except (DatasetError, RecursionError):
            raise RowError(f"is not a {SCHEMA_VERSION} record") from None
        if sql is None:
            raise RowError("has no answer")
        return candidate_of(system, question, sql, row, name, split, written_in)

    return read_candidates(path, name, read_rows(path), exchange, SHAPE)
