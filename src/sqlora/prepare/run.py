"""The way from a project's sources to its dataset, step by step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlora.errors import ConfigError, DatasetError
from sqlora.prepare.check import Checker, forbidden_in
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.dedupe import Deduplicator
from sqlora.prepare.examples import SPLITS, Candidate, Example, PrepareProgress, Rejection, ReportProgress
from sqlora.prepare.fingerprint import fingerprint
from sqlora.prepare.sources.pairs import read_pairs
from sqlora.prepare.sources.sql_create_context import read_sql_create_context
from sqlora.prepare.split import split_examples
from sqlora.prepare.write import recall_inputs, remember_inputs, write_dataset
from sqlora.prompting import system_text
from sqlora.sql.schema import Schema

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import SourceSection

# Bedrock's quota for Nova Micro, Lite and Pro, training and validation together.
FEWEST, MOST = 8, 20_000
DEFAULT_COUNT = 2_000  # synthesized where a source doesn't say
PATIENCE = 400  # synthesized candidates in a row that add nothing: the schema has no more to ask
SHOWN = 5  # examples of each reason in the card
REPORT_EVERY = 50


def prepare_dataset(project: Project, progress: ReportProgress | None = None, *, again: bool = False) -> Dataset:
    """See `sqlora.prepare.prepare`."""
    if not project.sources:
        raise ConfigError(f"{project.file} names no [[sources]]", 'add [[sources]] with kind = "synthesize"')
    inputs = fingerprint(project)
    if not again and (known := recall_inputs(project.state, inputs)):
        return known
    report = progress or (lambda _: None)
    with ExitStack() as stack:
        dialect = project.dialect()
        database = stack.enter_context(project.open_database()) if project.database.url else None
        schema = database.schema() if database else None
        system = _system(project, schema)
        gathering = Gathering(Checker(dialect, schema, database), report)
        for index, candidates in _in_order(project, gathering.checker):
            gathering.gather(_name(project, index), candidates, project.sources[index])
    section = project.prepare
    examples, leaks = split_examples(gathering.examples, section.validation_share, section.test_share, section.seed)
    gathering.rejections += leaks
    _require_enough(examples, gathering)
    report(PrepareProgress("writing", len(examples), len(examples)))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    dataset = write_dataset(project.state, examples, system, _card(project, schema, examples, gathering), created)
    remember_inputs(project.state, inputs, dataset.id)
    return dataset


def _system(project: Project, schema: Schema | None) -> str:
    if schema is None:
        return ""
    dialect = project.dialect()
    system = system_text(dialect.name, schema.to_prompt(project.prepare.schema_style, dialect))
    if word := forbidden_in(system):
        raise DatasetError(
            f"the schema has {word!r} in a name or comment, which Bedrock refuses in training data",
            "rename or reword it, or set schema_style = \"compact\" in [prepare], which leaves out comments",
        )
    return system


def _name(project: Project, index: int) -> str:
    """The source's file as the project file writes it, or what makes the examples and its place among the sources."""
    source = project.sources[index]
    if source.path is None:
        return f"{source.kind} {index + 1}"
    inside = source.path.is_relative_to(project.folder)
    return str(source.path.relative_to(project.folder) if inside else source.path)


def _in_order(project: Project, checker: Checker) -> Iterator[tuple[int, Iterable[Candidate | Rejection]]]:
    """The sources' candidates. Those of a test come first: where two examples clash, the first stays."""
    ranks = {"test": 0, "validation": 1, "train": 2, None: 2}
    for index, source in sorted(enumerate(project.sources), key=lambda item: (ranks[item[1].split], item[0])):
        yield index, _candidates(project, index, source, checker)


def _candidates(
    project: Project, index: int, source: SourceSection, checker: Checker
) -> Iterable[Candidate | Rejection]:
    name = _name(project, index)
    if source.kind == "synthesize":
        from sqlora.prepare.sources.synthesize import synthesize

        if checker.database is None or checker.schema is None:
            raise ConfigError("a synthesize source reads a database", "add [database] with a url to sqlora.toml")
        return synthesize(
            checker.schema,
            checker.database,
            checker.dialect,
            glossary=source.glossary,
            seed=source.seed,
            split=source.split,
            name=name,
        )
    assert source.path is not None  # `SourceSection` has checked it
    if source.kind == "pairs":
        return read_pairs(source.path, name, source.split)
    style = project.prepare.schema_style
    return read_sql_create_context(source.path, name, checker.dialect, source.split, source.count, source.seed, style)


@dataclass
class Gathering:
    """Examples that passed, and why the others did not, over all sources."""

    checker: Checker
    report: ReportProgress
    examples: list[Example] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    duplicates: Deduplicator = field(default_factory=Deduplicator)

    def gather(self, name: str, candidates: Iterable[Candidate | Rejection], source: SourceSection) -> None:
        """Take a source's good candidates: all of a file's, or up to the count of an endless one."""
        endless = source.kind == "synthesize"
        wanted = source.count or (DEFAULT_COUNT if endless else None)
        done = in_vain = 0
        for candidate in candidates:
            if done == wanted or (endless and in_vain >= PATIENCE):
                break
            self.seen[name] += 1
            if self._take(candidate):
                done, in_vain = done + 1, 0
            else:
                in_vain += 1
            if self.seen[name] % REPORT_EVERY == 0:
                self.report(PrepareProgress(name, done, wanted))
        self.report(PrepareProgress(name, done, wanted))

    def _take(self, candidate: Candidate | Rejection) -> bool:
        checked = candidate if isinstance(candidate, Rejection) else self.checker.check(candidate)
        if isinstance(checked, Example):
            origin = candidate.origin if isinstance(candidate, Candidate) else ""
            rejection = self.duplicates.add(checked, origin)
            if rejection is None:
                self.examples.append(checked)
                return True
            checked = rejection
        self.rejections.append(checked)
        return False

    def reasons(self) -> dict[str, int]:
        """How many examples were rejected for each reason, most first."""
        return dict(Counter(rejection.reason for rejection in self.rejections).most_common())

    def shown(self) -> dict[str, list[str]]:
        """A few rejections of each reason, in words."""
        shown: defaultdict[str, list[str]] = defaultdict(list)
        for rejection in self.rejections:
            if len(shown[rejection.reason]) < SHOWN:
                shown[rejection.reason].append(str(rejection))
        return dict(shown)


def _require_enough(examples: Sequence[Example], gathering: Gathering) -> None:
    train = sum(example.split == "train" for example in examples)
    if train >= FEWEST:
        return
    seen = gathering.seen.total()
    counts = ", ".join(f"{count} {reason}" for reason, count in gathering.reasons().items())
    lines = [f"{train} of {seen} examples are left to train on; at least {FEWEST} are needed"]
    if counts:
        lines.append(f"  rejected: {counts}")
        lines += [f"  {text}" for texts in gathering.shown().values() for text in texts[:2]]
    others = {split: sum(example.split == split for example in examples) for split in SPLITS[1:]}
    lines.append(f"  validation has {others['validation']}, test {others['test']}")
    raise DatasetError("\n".join(lines), "correct the rejected examples, or add a source to sqlora.toml")


def _card(
    project: Project, schema: Schema | None, examples: Sequence[Example], gathering: Gathering
) -> dict[str, Any]:
    """What `card.json` says; nothing in it depends on time or place, since it is part of the dataset's id."""
    splits = {split: [example for example in examples if example.split == split] for split in SPLITS}
    records = len(splits["train"]) + len(splits["validation"])
    return {
        "project": project.name,
        "dialect": project.dialect().name,
        "schema": schema.hash if schema else None,
        "schema_style": project.prepare.schema_style,
        "seed": project.prepare.seed,
        "splits": {split: len(members) for split, members in splits.items()},
        "sources": {
            name: {
                "seen": seen,
                "kept": sum(example.source == name for example in examples),
                **{split: sum(example.source == name for example in members) for split, members in splits.items()},
            }
            for name, seen in gathering.seen.items()
        },
        "rejected": gathering.reasons(),
        "rejected_examples": gathering.shown(),
        "templates": {split: len({example.template for example in members}) for split, members in splits.items()},
        "characters": {split: _characters(members) for split, members in splits.items()},
        "bedrock": {"records": records, "fewest": FEWEST, "most": MOST, "fits": FEWEST <= records <= MOST},
    }


def _characters(examples: Sequence[Example]) -> dict[str, int]:
    return {
        "longest_question": max((len(example.question) for example in examples), default=0),
        "longest_sql": max((len(example.sql) for example in examples), default=0),
        "questions": sum(len(example.question) for example in examples),
        "sql": sum(len(example.sql) for example in examples),
    }
