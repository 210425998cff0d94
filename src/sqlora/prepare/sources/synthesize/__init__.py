"""Source ``synthesize``: questions and queries drawn from a grammar over any schema, database and dialect.

The grammar knows shapes of questions (`shapes`), the schema's joins (`graph`), the data (`profile`), the words for both
(`lexicon`, from names, comments and a `glossary`), and how people type (`frames`). Each example is drawn from a seed
of its own, so that the first 500 of 10,000 are the same as 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError, SqloraError
from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.synthesize.frames import finish
from sqlora.prepare.sources.synthesize.glossary import load_glossary
from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar, NothingToAskError
from sqlora.prepare.sources.synthesize.lexicon import Lexicon, build_lexicon
from sqlora.prepare.sources.synthesize.query import Select, folded_names, with_quotes
from sqlora.prepare.sources.synthesize.shapes import SHAPES
from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database, Limits
from sqlora.sql.schema import Schema

LONGEST_QUESTION = 220  # characters: beyond that, what was put together reads like no question
EMPTY_DRAWS = 1_000  # draws in a row without a question: there is nothing to ask


def synthesize(
    schema: Schema,
    database: Database,
    dialect: Dialect,
    glossary: Path | None = None,
    seed: int = 0,
    split: Split | None = None,
    name: str = "synthesize",
    rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Iterator[Candidate]:
    """Draw candidates without end, or until nothing comes of it. Equal arguments give equal candidates.

    ``rows``: see `build_lexicon`.
    """
    lexicon = build_lexicon(schema, database, dialect, load_glossary(glossary, schema), rows)
    spread = _Spread(lexicon, database)
    number = in_vain = 0
    while in_vain < EMPTY_DRAWS:
        drawn = draw(lexicon, Random(f"{seed}:{number}"), spread)
        if drawn is None:
            in_vain += 1
        else:
            in_vain = 0
            question, sql, tags = drawn
            example = Example(question, sql, name, split, tags=tags)
            yield Candidate(example, f"draw {number} of seed {seed}", needs_rows=True, normal=True)
        number += 1


def draw(
    lexicon: Lexicon, random: Random, spread: Callable[[Select], list[float]]
) -> tuple[str, str, tuple[str, ...]] | None:
    """One question with its SQL in the lexicon's dialect and its tags; None where the draw leads nowhere."""
    shape = random.choices([shape for shape, _ in SHAPES], [weight for _, weight in SHAPES])[0]
    try:
        drawn = shape(Grammar(lexicon, random, spread))
    except NothingToAskError:
        return None
    if drawn is None:
        return None
    question = finish(drawn.question, random)
    if len(question) > LONGEST_QUESTION:
        return None
    sql = _render(lexicon, drawn)
    return None if sql is None else (question, sql, drawn.tags)


def _render(lexicon: Lexicon, drawn: Draft) -> str | None:
    tree = drawn.query.build(lexicon.graph) if isinstance(drawn.query, Select) else drawn.query
    if tree is None:
        return None
    try:
        return lexicon.dialect.generate(with_quotes(tree, lexicon.folded))
    except (DialectError, SqlglotError):
        return None


class _Spread:
    """Runs the queries that show where to draw a line ("more than 500"), each once."""

    def __init__(self, lexicon: Lexicon, database: Database) -> None:
        self.lexicon = lexicon
        self.database = database
        self.folded = folded_names(lexicon.schema, database.dialect_name)
        self.known: dict[str, list[float]] = {}

    def __call__(self, select: Select) -> list[float]:
        tree = select.build(self.lexicon.graph)
        if tree is None:
            return []
        sql = with_quotes(tree, self.folded).sql(self.database.dialect_name)
        if sql not in self.known:
            try:
                rows = self.database.run(sql, Limits(seconds=5.0)).rows
            except SqloraError:
                rows = []
            self.known[sql] = sorted(float(row[0]) for row in rows if row[0] is not None)
        return self.known[sql]
