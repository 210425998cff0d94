"""Examples that passed, and why the others did not, over all sources of a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlora.prepare.card import CardBuilder
from sqlora.prepare.dedupe import Deduplicator
from sqlora.prepare.examples import Candidate, Example, PrepareProgress, Rejection, ReportProgress
from sqlora.prepare.reasons import presented
from sqlora.prepare.spool import ExampleSpool, Spool
from sqlora.prepare.workers import ParallelChecker, Result

PATIENCE = 400  # candidates in a row of an endless source that add nothing: the schema has no more to ask
REPORT_EVERY = 50


@dataclass
class Gathering:
    """Takes sources one after the other; what is kept and what is rejected goes to disk."""

    checking: ParallelChecker
    kept: ExampleSpool
    rejected: Spool[Rejection]
    card: CardBuilder
    report: ReportProgress
    seen: int = 0
    duplicates: Deduplicator = field(default_factory=Deduplicator)

    def gather(
        self, name: str, candidates: Iterable[Candidate | Rejection], wanted: int | None = None, endless: bool = False
    ) -> None:
        """Take a source's good candidates, up to ``wanted``; an ``endless`` one ends when nothing new comes of it."""
        seen = done = in_vain = 0
        for result in self.checking.check(candidates):
            seen += 1
            if self._take(result):
                done, in_vain = done + 1, 0
            else:
                in_vain += 1
            if seen % REPORT_EVERY == 0:
                self.report(PrepareProgress(name, done, wanted))
            if done == wanted or (endless and in_vain >= PATIENCE):
                break
        self.seen += seen
        self.card.seen(name, seen)
        self.report(PrepareProgress(name, done, wanted))

    def _take(self, result: Result) -> bool:
        origin, checked, keys = result
        if isinstance(checked, Example):
            found = self.duplicates.add(checked, origin, keys)
            if found is None:
                self.kept.add(replace(checked, origin=origin))
                return True
            checked = presented(found)
        self.reject(checked)
        return False

    def reject(self, rejection: Rejection) -> None:
        """Count it, and keep it for the report."""
        self.rejected.add(rejection)
        self.card.reject(rejection)

    def placed(self) -> Iterator[Example]:
        """The examples that are in a split, each counted as it passes."""
        for example in self.kept.placed():
            self.card.keep(example)
            yield example
