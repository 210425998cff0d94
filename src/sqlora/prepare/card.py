"""card.json: what a dataset holds, where it comes from, what was left out, what it can teach.

Nothing in it depends on time or place, since it is part of the dataset's id; what does (`beside`) is kept apart.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlora.errors import ConfigError
from sqlora.platform.conversations import FEWEST, MOST
from sqlora.prepare.coverage import Coverage
from sqlora.prepare.dedupe import LookAlike
from sqlora.prepare.examples import SPLITS, Example, Rejection
from sqlora.prepare.lengths import Lengths
from sqlora.prepare.notes import empty_splits
from sqlora.prepare.write import rejected

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.schema import Schema

SHOWN = 5  # examples of each reason


class CardBuilder:
    """Counts examples and rejections while they pass; memory is that of the names, lengths and structures in them."""

    def __init__(self, project: Project, dialect: Dialect, schema: Schema | None, system: str = "") -> None:
        """``system`` is the system text of the examples that bring none."""
        self.rejected: Counter[str] = Counter()
        self._project, self._dialect, self._schema, self._system = project, dialect, schema, system
        self._seen: Counter[str] = Counter()
        self._shown: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self._kept: Counter[tuple[str, str]] = Counter()
        self._templates: dict[str, set[int]] = {split: set() for split in SPLITS}
        self._lengths = {name: Lengths() for name in ("question", "sql", "tokens")}
        self._characters = {split: Counter[str]() for split in SPLITS}
        self._schemas: set[int] = set()
        self._recall = _Recall()
        self._coverage = Coverage(dialect, schema)
        self._weight = 0.0

    def seen(self, source: str, count: int = 1) -> None:
        """So many candidates of that source were looked at."""
        self._seen[source] += count

    def reject(self, rejection: Rejection) -> None:
        """An example that was left out."""
        self.rejected[rejection.reason] += 1
        if len(self._shown[rejection.reason]) < SHOWN:
            self._shown[rejection.reason].append(rejected(rejection))

    def shown(self, reason: str) -> Sequence[dict[str, str]]:
        """A few that were left out for this reason, as `sqlora.prepare.write.rejected` has them."""
        return self._shown.get(reason, ())

    def keep(self, example: Example) -> None:
        """An example of the dataset, its split set."""
        assert example.split is not None
        self._kept[example.source, example.split] += 1
        self._templates[example.split].add(hash(example.template))
        self._schemas.add(hash(_schema(example)))
        self._weight += example.weight
        system = self._system if example.system is None else example.system
        self._measure(example, len(system))
        if example.recall is not None:
            self._recall.add(*example.recall)
        self._coverage.add(example)

    def _measure(self, example: Example, system: int) -> None:
        question, sql = len(example.question), len(example.sql)
        assert example.split is not None
        counts = self._characters[example.split]
        counts["longest_question"] = max(counts["longest_question"], question)
        counts["longest_sql"] = max(counts["longest_sql"], sql)
        counts["questions"] += question
        counts["sql"] += sql
        counts["system"] += system
        self._lengths["question"].add(question)
        self._lengths["sql"].add(sql)
        self._lengths["tokens"].add(tokens(system + question + sql))

    def as_dict(self, look_alikes: Sequence[LookAlike] = (), look_alike_count: int = 0) -> dict[str, Any]:
        """The card, without what `beside` has."""
        splits = {split: self._total(split) for split in SPLITS}
        records = splits["train"] + splits["validation"]
        section = self._project.prepare
        card: dict[str, Any] = {
            "project": self._project.name,
            "dialect": self._dialect.name,
            "base": self._dialect.base,
            "schema": self._schema.hash if self._schema else None,
            "schema_style": section.schema_style,
            "split": section.split,
            "seed": section.seed,
            "splits": splits,
            "sources": {name: self._source(name) for name in self._seen},
            "rejected": dict(self.rejected.most_common()),
            "rejected_examples": {reason: self._shown[reason] for reason, _ in self.rejected.most_common()},
            "look_alikes": {"count": look_alike_count, "shown": [asdict(each) for each in look_alikes]},
            "templates": {split: len(members) for split, members in self._templates.items()},
            "schemas": len(self._schemas),
            "characters": {split: _in_order(counts) for split, counts in self._characters.items()},
            "lengths": {name: lengths.as_dict() for name, lengths in self._lengths.items()},
            "coverage": self._coverage.as_dict(),
            "bedrock": {"records": records, "fewest": FEWEST, "most": MOST, "fits": FEWEST <= records <= MOST},
        }
        if self._recall.examples:
            card["pruning"] = self._recall.as_dict()
        structures = len(set[int]().union(*self._templates.values()))
        fixed = {source.split for source in self._project.sources}
        if notes := empty_splits(splits, structures, section, fixed):
            card["notes"] = notes
        if self._weight != sum(splits.values()):
            card["queries"] = round(self._weight)
        return card

    def beside(self) -> dict[str, Any]:
        """What goes into card.json but not into the dataset's id: what training on it costs, at today's prices."""
        from sqlora.prepare.bill import training_costs

        characters = self._characters["train"]
        train = sum(characters[key] for key in ("questions", "sql", "system"))
        try:
            return {"cost": training_costs(self._project, self._total("train"), tokens(train))}
        except ConfigError:  # a mistake in [train] or [cost], which `sqlora train` will tell: the data is good
            return {}

    def _total(self, split: str) -> int:
        return sum(count for (_, other), count in self._kept.items() if other == split)

    def _source(self, name: str) -> dict[str, int]:
        counts: dict[str, int] = {split: self._kept[name, split] for split in SPLITS}
        return {"seen": self._seen[name], "kept": sum(counts.values()), **counts}


def _schema(example: Example) -> str:
    """What tells the example's schema from others: empty for the project's, whatever a log calls its database.

    Where the project's is cut to what a question needs, its text differs with the question.
    """
    return "" if example.system is None or example.uses else example.database or example.system


class _Recall:
    """How much of what the queries need their pruned schema has, over the examples that had one."""

    def __init__(self) -> None:
        self.examples = self.whole = 0
        self._tables = self._columns = 0.0

    def add(self, tables: float, columns: float) -> None:
        self.examples += 1
        self.whole += tables == columns == 1.0
        self._tables += tables
        self._columns += columns

    def as_dict(self) -> dict[str, Any]:
        return {
            "examples": self.examples,
            "whole": self.whole,
            "tables": round(self._tables / self.examples, 4),
            "columns": round(self._columns / self.examples, 4),
        }


def tokens(characters: int) -> int:
    """About how many tokens so many characters are, as `sqlora.cost.training` reckons."""
    from sqlora.cost.training import CHARACTERS_A_TOKEN

    return math.ceil(characters / CHARACTERS_A_TOKEN)


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {key: counts[key] for key in ("longest_question", "longest_sql", "questions", "sql", "system")}
