"""The one kind of thing that flows through ``prepare``: a question and its SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlora.sql.schema import Schema

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

ReportProgress = Callable[["PrepareProgress"], None]


@dataclass(frozen=True)
class Example:
    """A question and the SQL that answers it, in the project's dialect.

    ``source`` is the source's name, ``split`` is set where the source fixes it, ``system`` only where the example
    brings its own schema, ``template`` (`sqlora.sql.structure`) once the SQL has been parsed. ``database`` is the name
    of the database that it is about and ``time`` when it was asked (ISO 8601), where a source knows them; ``weight`` is
    how often the query was seen (a query log's).

    The last ones are for the card and no part of the dataset: the SQL ``constructs`` in the query, the tables and
    columns that it ``uses`` (``store.city``), and which share of the needed tables and columns its schema text has,
    where that was cut to what the question seems to need (``recall``). What is missing there is put in to teach by;
    ``asked`` is then the text without, which the question would be asked with, and is tested with. ``origin`` is the
    candidate's, for an example that is left out after all. ``normal`` is the query's normal form where it is taught in
    other words; duplicates are told by it.
    """

    question: str
    sql: str
    source: str
    split: Split | None = None
    system: str | None = None
    tags: tuple[str, ...] = ()
    template: str = ""
    database: str = ""
    time: str = ""
    weight: float = 1.0
    constructs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    recall: tuple[float, float] | None = None
    asked: str | None = None
    origin: str = ""
    normal: str = ""


@dataclass(frozen=True)
class Candidate:
    """An example as a source gives it, before it is checked.

    ``origin`` is where it stands (``questions.jsonl line 3``). Its schema is the project's, unless it brings its own:
    as CREATE TABLE statements (``ddl``) or as the URL of a ``database`` (``sqlite:///…``), which it also runs on.
    ``written_in`` names the sqlglot dialect that its SQL is in where that is not the project's: it is rewritten, and
    with ``prove`` the new query has to return the same rows as the old one.

    ``normal`` is true where the SQL is in the dialect's normal form already. ``run`` is false where there is no data to
    run it on; ``needs_rows`` is true where an empty answer shows that the pair is poor, as it does when nobody meant
    it.

    A candidate is made of texts, so that it is cheap to make and to send to the process that checks it.
    """

    example: Example
    origin: str = ""
    schema: Schema | None = None
    run: bool = True
    needs_rows: bool = False
    normal: bool = False
    ddl: str | None = None
    database: str | None = None
    written_in: str | None = None
    prove: bool = False


@dataclass(frozen=True)
class Rejection:
    """An example that will not be taught.

    ``reason`` is one of few words, to be counted; ``detail`` says more; ``suggestion`` is what to do about it.
    """

    reason: str
    example: Example
    detail: str = ""
    origin: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        what = f"{self.reason}: {self.detail}" if self.detail else self.reason
        return f"{what}{where}: {self.example.question!r} → {self.example.sql!r}"


@dataclass(frozen=True)
class PrepareProgress:
    """How far ``prepare`` is: ``phase`` in words, ``done`` of ``total`` examples (None: not known)."""

    phase: str
    done: int
    total: int | None = None
