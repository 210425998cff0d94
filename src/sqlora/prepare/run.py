"""The way from a project's sources to its dataset, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlora.errors import ConfigError, DatasetError
from sqlora.platform.conversations import FEWEST
from sqlora.prepare.card import CardBuilder
from sqlora.prepare.check import Checker
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.examples import PrepareProgress, Rejection, ReportProgress
from sqlora.prepare.fingerprint import fingerprint
from sqlora.prepare.gather import Gathering
from sqlora.prepare.reasons import can_be_mended, presented
from sqlora.prepare.sources import ENDLESS, read_source
from sqlora.prepare.split import place
from sqlora.prepare.spool import ExampleSpool, Spool
from sqlora.prepare.texts import forbidden_in
from sqlora.prepare.workers import ParallelChecker, cores, make_checker
from sqlora.prepare.write import recall_inputs, remember_inputs, write_dataset
from sqlora.sql.schema import Schema

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import SourceSection

DEFAULT_COUNT = 2_000  # synthesized where a source doesn't say


def prepare_dataset(project: Project, progress: ReportProgress | None = None, *, again: bool = False) -> Dataset:
    """See `sqlora.prepare.prepare`."""
    if not project.sources:
        raise ConfigError(f"{project.file} names no [[sources]]", 'add [[sources]] with kind = "synthesize"')
    inputs = fingerprint(project)
    if not again and (known := recall_inputs(project.state, inputs)):
        return known
    report = progress or (lambda _: None)
    with ExitStack() as stack:
        database = stack.enter_context(project.open_database(isolated=True)) if project.database.url else None
        schema = project.read_schema(database) if database else None
        system = _system(project, schema)
        here = stack.enter_context(make_checker(project, database, schema))
        checking = stack.enter_context(ParallelChecker(here, project, project.prepare.processes or cores()))
        kept = stack.enter_context(ExampleSpool(project.state))
        rejected = stack.enter_context(Spool[Rejection](project.state))
        card = CardBuilder(project, here.dialect, schema, system)
        gathering = Gathering(checking, kept, rejected, card, report)
        for index, source in _in_order(project):
            _gather(project, index, source, gathering, here)
        checking.close()
        _place(project, gathering)
        report(PrepareProgress("writing", len(kept), len(kept)))
        dataset = _write(project, gathering, system)
    remember_inputs(project.state, inputs, dataset.id)
    return dataset


def _system(project: Project, schema: Schema | None) -> str:
    if schema is None:
        return ""
    system = project.schema_prompt(schema).system()
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


def _in_order(project: Project) -> Iterator[tuple[int, SourceSection]]:
    """The sources with their places. Those of a test come first: where two examples clash, the first stays."""
    ranks = {"test": 0, "validation": 1, "train": 2, None: 2}
    yield from sorted(enumerate(project.sources), key=lambda item: (ranks[item[1].split], item[0]))


def _gather(project: Project, index: int, source: SourceSection, gathering: Gathering, here: Checker) -> None:
    """Take all that a file's source has, or up to the count of an endless one."""
    endless = source.kind in ENDLESS
    wanted = (source.count or DEFAULT_COUNT) if endless else None
    name = _name(project, index)
    candidates = read_source(source, project, name, here.schema, here.database, gathering.report)
    gathering.gather(name, candidates, wanted, endless)


def _place(project: Project, gathering: Gathering) -> None:
    """Give each example its split, and take out what would leak; DatasetError when too little is left."""
    kept = gathering.kept
    placement = place(kept, project.prepare)
    kept.place(placement.splits)
    for leak in placement.leaks(kept):
        gathering.reject(presented(leak))
    if kept.count("train") < FEWEST:
        raise _too_few(project, gathering)


def _too_few(project: Project, gathering: Gathering) -> DatasetError:
    kept, card = gathering.kept, gathering.card
    lines = [f"{kept.count('train')} of {gathering.seen} examples are left to train on; at least {FEWEST} are needed"]
    counts = ", ".join(f"{count} {reason}" for reason, count in card.rejected.most_common())
    if counts:
        lines.append(f"  rejected: {counts}")
        lines += [f"  {rejection}" for rejection in _two_of_each(gathering.rejected)]
    lines.append(f"  validation has {kept.count('validation')}, test {kept.count('test')}")
    return DatasetError("\n".join(lines), _what_helps(project, gathering))


def _what_helps(project: Project, gathering: Gathering) -> str:
    """The next step: correcting helps only where there is something to correct."""
    names = " or ".join(dict.fromkeys(_name(project, index) for index in range(min(3, len(project.sources)))))
    if not gathering.seen:
        return f"put examples into {names}, which has none, or add a source to sqlora.toml"
    if any(can_be_mended(reason) for reason in gathering.card.rejected):
        return "correct the rejected examples, or add a source to sqlora.toml"
    others = " that need other queries" if gathering.card.rejected else ""
    return f"put more examples{others} into {names}, or add a source to sqlora.toml"


def _two_of_each(rejections: Iterable[Rejection]) -> list[Rejection]:
    shown: dict[str, list[Rejection]] = {}
    for rejection in rejections:
        if len(found := shown.setdefault(rejection.reason, [])) < 2:
            found.append(rejection)
    return [rejection for found in shown.values() for rejection in found]


def _write(project: Project, gathering: Gathering, system: str) -> Dataset:
    card, duplicates = gathering.card, gathering.duplicates
    return write_dataset(
        project.state,
        gathering.placed(),
        system,
        lambda: card.as_dict(duplicates.look_alikes, duplicates.look_alike_count),
        datetime.now(UTC).isoformat(timespec="seconds"),
        rejections=gathering.rejected,
        beside=card.beside,
    )
