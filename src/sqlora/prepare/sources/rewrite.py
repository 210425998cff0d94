"""Source ``rewrite``: pairs in another dialect, rewritten into the project's and proven to return the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sqlora.prepare.examples import Candidate, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.files import Row, read_rows
from sqlora.prepare.sources.pairs import FIELDS, KNOWN, SHAPE, pair_of


def read_rewrites(
    path: Path, name: str, written_in: str, split: Split | None = None, fields: Mapping[str, str] | None = None
) -> Found:
    """The pairs of ``path``, as `read_pairs` reads them; their SQL is in the dialect ``written_in``.

    The checker rewrites each and runs both on the database.
    """

    def pair(row: Row) -> Candidate:
        return replace(pair_of(row, name, split), written_in=written_in, prove=True)

    return read_candidates(path, name, read_rows(path, FIELDS, fields, KNOWN), pair, SHAPE)
