"""A small shop in DuckDB, a dataset about it, and a backend that answers by script."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import NotFoundError
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.examples import Example
from sqlora.prepare.write import write_dataset
from sqlora.project import Project, load_project
from sqlora.prompting import parts
from sqlora.sql.dialect import load_dialect
from sqlora.sql.structure import structure

TABLES = """
CREATE TABLE store (store_id INTEGER PRIMARY KEY, store_name TEXT, city TEXT, opened_on DATE);
CREATE TABLE sale (sale_id INTEGER PRIMARY KEY, store_id INTEGER REFERENCES store(store_id), amount DECIMAL(9, 2), day DATE);
INSERT INTO store VALUES (1, 'North', 'Leeds', '2020-01-01'), (2, 'South', 'Bath', '2021-05-01'), (3, 'East', 'Leeds', '2022-02-02');
INSERT INTO sale SELECT i, i % 3 + 1, i * 1.25, DATE '2025-01-01' + i::INTEGER FROM range(60) t(i);
"""

QUESTIONS = {
    "how many stores are there": "SELECT COUNT(*) FROM store",
    "which stores are in Leeds": "SELECT store_name FROM store WHERE city = 'Leeds'",
    "sales by store": "SELECT store_name, SUM(amount) FROM sale JOIN store USING (store_id) GROUP BY store_name",
    "the three largest sales": "SELECT sale_id, amount FROM sale ORDER BY amount DESC LIMIT 3",
    "sales per month": "SELECT DATE_TRUNC('month', day), SUM(amount) FROM sale GROUP BY DATE_TRUNC('month', day)",
    "stores with a sale above average": (
        "SELECT DISTINCT store_name FROM store JOIN sale USING (store_id) WHERE amount > (SELECT AVG(amount) FROM sale)"
    ),
    "rank the sales of each store": (
        "SELECT sale_id, RANK() OVER (PARTITION BY store_id ORDER BY amount DESC) FROM sale WHERE sale_id < 9"
    ),
    "oldest store": "SELECT store_name FROM store ORDER BY opened_on LIMIT 1",
}
# A wrong answer to each, that runs.
MUTATED = {
    "how many stores are there": "SELECT COUNT(*) + 1 FROM store",
    "which stores are in Leeds": "SELECT store_name FROM store WHERE city = 'Bath'",
    "sales by store": "SELECT store_name, MAX(amount) FROM sale JOIN store USING (store_id) GROUP BY store_name",
    "the three largest sales": "SELECT sale_id, amount FROM sale ORDER BY amount LIMIT 3",
    "sales per month": "SELECT DATE_TRUNC('year', day), SUM(amount) FROM sale GROUP BY DATE_TRUNC('year', day)",
    "stores with a sale above average": "SELECT store_name FROM store WHERE store_id = 1",
    "rank the sales of each store": "SELECT sale_id, store_id FROM sale WHERE sale_id < 9",
    "oldest store": "SELECT store_name FROM store ORDER BY opened_on DESC LIMIT 1",
}


def make_project(folder: Path, settings: str = "") -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(TABLES)
    text = '[project]\nname = "shop"\n[database]\nurl = "duckdb:///shop.duckdb"\n'
    (folder / "sqlora.toml").write_text(text + settings)
    return load_project(folder, environ={})


def make_dataset(
    project: Project, questions: Mapping[str, str] = QUESTIONS, tags: Sequence[str] = (), system: str = "shop"
) -> Dataset:
    dialect = load_dialect("duckdb")
    examples = [
        Example(question, sql, "hand.jsonl", "test", tags=(*tags, f"id=q{i}", f"level={'hard' if i % 2 else 'easy'}"))
        for i, (question, sql) in enumerate(questions.items())
    ]
    taught = "SELECT COUNT(*) FROM sale"
    examples.append(Example("how many sales", taught, "hand.jsonl", "train", template=structure(dialect.parse(taught))))
    return write_dataset(project.state, examples, system, {"made": "for tests"}, "2026-01-31")


@dataclass(frozen=True)
class Deployed:
    model_id: str
    backend: str = "local"


@dataclass
class FakeBackend:
    """Answers from ``answers[deployment][question]``; ``kill_at`` dies by SIGKILL at that chunk, ``stop_at`` by Ctrl-C.

    Asked for several beams it has those of ``beams[question]`` beside the plain answer.
    """

    answers: Mapping[str, Mapping[str, str]]
    kill_at: int | None = None
    stop_at: int | None = None
    model_ids: dict[str, str] = field(default_factory=dict)
    beams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    streamed: list[str] = field(default_factory=list)
    chunks: int = 0

    def deployment(self, id: str) -> Deployed:
        if id not in self.answers:
            raise NotFoundError(f"no deployment {id!r}", "sqlora deployments list")
        return Deployed(self.model_ids.get(id, f"model-of-{id}"))

    def converse_batch(
        self, deployment: str, records: Sequence[Mapping[str, Any]], sampling: Sampling, *, caller: str = "local"
    ) -> list[Completion]:
        self.chunks += 1
        if self.chunks == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.chunks == self.stop_at:
            raise KeyboardInterrupt
        plain = [self._complete(deployment, record) for record in records]
        if sampling.beams == 1:
            return plain
        questions = [parts(record)[1] for record in records]
        return [
            replace(done, alternatives=self.beams.get(question, ()))
            for done, question in zip(plain, questions, strict=True)
        ]

    def converse(
        self, deployment: str, record: Mapping[str, Any], sampling: Sampling, *, caller: str = "local"
    ) -> Iterator[Delta | Completion]:
        self.streamed.append(deployment)
        done = self._complete(deployment, record)
        self.asked.pop()
        yield Delta(done.text[:3], 1)
        yield Delta(done.text[3:], 5)
        yield done

    def _complete(self, deployment: str, record: Mapping[str, Any]) -> Completion:
        _, question, sql = parts(record)
        assert sql is None, "a test question must not bring its answer"
        self.asked.append((deployment, question))
        text = self.answers[deployment].get(question, "")
        return Completion(text, 800, 60, 700, "end_turn", 0.1, 0.5)


@dataclass
class ColdBackend(FakeBackend):
    """The same, and it can be made cold."""

    unloaded: list[str] = field(default_factory=list)

    def unload(self, deployment: str) -> None:
        self.unloaded.append(deployment)
