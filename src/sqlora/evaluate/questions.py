"""The test questions of a dataset, each with what is to be known of it before any model answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from sqlora.engines.base import Sampling
from sqlora.errors import DatasetError, DialectError
from sqlora.evaluate.features import features
from sqlora.prepare.dataset import Dataset
from sqlora.prompting import parts, record
from sqlora.sql.compare import is_ordered
from sqlora.sql.dialect import Dialect


@dataclass(frozen=True)
class Question:
    """A test question; ``record`` is what a model is asked, the very prompt of training without its answer.

    ``ordered``: whether the reference asks for an order. ``seen``: whether a training query has its template.
    ``own_schema``: it is not about the project's database, so that its answer can't be run.
    """

    index: int
    question: str
    sql: str
    record: dict[str, Any]
    source: str = ""
    tags: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    ordered: bool = False
    seen: bool = False
    own_schema: bool = False


def read_questions(dataset: Dataset, dialect: Dialect, limit: int | None = None) -> list[Question]:
    """The first ``limit`` test questions; DatasetError when there are none, or the files don't belong together."""
    examples = dataset.examples("test")
    records = list(dataset.records("test"))
    if not examples:
        raise DatasetError(
            f"the dataset {dataset.id} has no test questions",
            'give a source of sqlora.toml split = "test", or raise [prepare] test_share, then: sqlora prepare',
        )
    if len(examples) != len(records):
        raise DatasetError(
            f"{dataset.folder}: test.jsonl has {len(records)} records, examples.jsonl {len(examples)} for the test",
            "sqlora prepare",
        )
    taught = {example.template for example in dataset.examples("train") if example.template}
    questions: list[Question] = []
    for index, (example, conversation) in enumerate(zip(examples[:limit], records, strict=False)):
        system, asked, _ = parts(conversation)
        if asked != example.question:
            raise DatasetError(
                f"{dataset.folder}: test.jsonl line {index + 1} asks {asked!r}, examples.jsonl {example.question!r}",
                "sqlora prepare",
            )
        found, ordered = _look(example.sql, dialect)
        questions.append(
            Question(
                index, asked, example.sql, record(system, asked), example.source, example.tags, found, ordered,
                seen=example.template in taught, own_schema=example.system is not None,
            )
        )  # fmt: skip
    return questions


def prompt_hash(question: Question, sampling: Sampling) -> str:
    """16 hexadecimal digits over all that decides the answer, the model aside."""
    text = json.dumps([question.record, asdict(sampling)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def spread(questions: Sequence[Question], count: int) -> list[Question]:
    """``count`` questions evenly over all, the same each time; fewer when there are fewer."""
    count = min(count, len(questions))
    return [questions[place * len(questions) // count] for place in range(count)]


def _look(sql: str, dialect: Dialect) -> tuple[tuple[str, ...], bool]:
    try:
        tree = dialect.parse(sql)
    except DialectError:  # a broken reference is reported when it is run
        return (), False
    return features(tree), is_ordered(cast(Any, tree))
