"""Test questions × models → report. Answers are kept as they come, so a run that was stopped goes on.

questions ─ references run anew ─┐
models ── asked in chunks ─ answers.jsonl ─ validity, execution, exact ─ latency ─ report.json, report.html
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sqlora.backends.revise import revise
from sqlora.backends.routing import can_search
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import BusyError, InterruptedRunError
from sqlora.evaluate.answers import Answer, AnswerStore
from sqlora.evaluate.judge import Judge
from sqlora.evaluate.latency import CALLER, LatencyPlan, measure_latency
from sqlora.evaluate.models import Deployments, identify, is_base
from sqlora.evaluate.questions import Question, prompt_hash, read_questions, spread
from sqlora.evaluate.report.contents import Judged, Latency, Report
from sqlora.evaluate.report.html import write_html
from sqlora.evaluate.report.json import write_aside, write_json
from sqlora.evaluate.summary import Measured, summarize
from sqlora.prepare.dataset import Dataset
from sqlora.project import Project
from sqlora.sql.execute import Limits

CHUNK = 128  # questions asked together; what a kill may lose


class Answering(Deployments, Protocol):
    """What an evaluation asks of a backend (`sqlora.backends.base.Backend` has it)."""

    def converse(
        self, deployment: str, record: Mapping[str, Any], sampling: Sampling, /, *, caller: str
    ) -> Iterator[Delta | Completion]:
        """One answer, streamed."""

    def converse_batch(
        self, deployment: str, records: Sequence[Mapping[str, Any]], sampling: Sampling, /, *, caller: str
    ) -> list[Completion]:
        """Answers to all, in the order of the records."""


@dataclass(frozen=True)
class EvaluateProgress:
    """``done`` of ``total`` in ``phase`` ('references', 'questions', 'latency') of ``model``; ``correct`` so far.

    ``seconds_left`` counts the questions of all models; None while it can't be told.
    """

    phase: str
    model: str
    done: int
    total: int
    correct: int = 0
    seconds_left: float | None = None


ReportProgress = Callable[[EvaluateProgress], None]


def evaluate(
    project: Project,
    dataset: Dataset,
    backend: Answering,
    models: Sequence[str],
    *,
    progress: ReportProgress = lambda progress: None,
    sampling: Sampling | None = None,
    limit: int | None = None,
    latency: LatencyPlan | None = LatencyPlan(),  # noqa: B008 (frozen)
    chunk: int = CHUNK,
) -> Report:
    """Ask ``models`` (deployments, or "base") the dataset's test questions and judge the answers.

    The first model is the baseline of the others. Report and answers are in ``.sqlora/evaluations/<report.id>``.
    An answer of a custom model that is not valid or does not run is revised with ``sampling.beams`` beams, as `ask
    --run` does (`sqlora.backends.revise`); the base model, which is there to compare with, is asked plainly.
    ``latency`` None skips the timed calls. Raises NotFoundError for an unknown deployment and DatasetError for
    a dataset without test questions before anything is asked; InterruptedRunError when stopped by the user.
    """
    identities = identify(project, backend, models)
    sampling = sampling or Sampling(max_tokens=project.evaluate.max_tokens, beams=project.evaluate.beams)
    dialect = project.dialect()
    questions = read_questions(dataset, dialect, limit)
    id = _id(dataset, identities, sampling, limit)
    folder = project.paths.evaluation(id)
    with ExitStack() as opened:
        opened.enter_context(_alone(folder))
        database = opened.enter_context(project.open_database(isolated=True)) if project.database.url else None
        limits = Limits(project.evaluate.seconds, project.evaluate.rows, project.evaluate.memory_mb)
        judge = Judge(dialect, database, limits)
        run = _Run(project, backend, questions, judge, AnswerStore(folder), sampling, chunk, progress)
        run.look_at_references()
        judged = {name: run.ask(name, identity) for name, identity in identities.items()}
        timed = {name: run.time(name, identity, latency, folder) for name, identity in identities.items()}
        report = summarize(
            Measured(id, project, dataset, judge, questions, identities, judged, timed, sampling),
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )
        write_json(report, folder)
        write_html(report, folder)
    return report


class _Run:
    """One evaluation under way."""

    def __init__(
        self, project: Project, backend: Answering, questions: list[Question], judge: Judge, store: AnswerStore,
        sampling: Sampling, chunk: int, progress: ReportProgress,
    ) -> None:  # fmt: skip
        self.project, self.backend, self.questions, self.judge, self.store = project, backend, questions, judge, store
        self.sampling, self.chunk, self.progress = sampling, max(1, chunk), progress
        self._asked = 0
        self._asking = 0.0  # seconds

    def look_at_references(self) -> None:
        """Run all references first: a broken database shows before a model has worked for minutes."""
        for done, question in enumerate(self.questions, start=1):
            self.judge.gold(question)
            if done % self.chunk == 0 or done == len(self.questions):
                self.progress(EvaluateProgress("references", "", done, len(self.questions)))

    def ask(self, name: str, identity: str) -> list[tuple[Answer, Judged]]:
        """All answers of one model, judged: those on disk, and then the others chunk by chunk."""
        prompts = [prompt_hash(question, self.sampling) for question in self.questions]
        missing = [
            (question, prompt)
            for question, prompt in zip(self.questions, prompts, strict=True)
            if self.store.get(identity, prompt) is None
        ]
        done = len(self.questions) - len(missing)
        self._report(name, done, 0, len(missing))
        for start in range(0, len(missing), self.chunk):
            batch = missing[start : start + self.chunk]
            self._ask_chunk(name, identity, batch, done + start)
            self._report(name, done + start + len(batch), 0, len(missing) - start - len(batch))
        judged = []
        for question, prompt in zip(self.questions, prompts, strict=True):
            answer = self.store.get(identity, prompt)
            assert answer is not None  # asked above
            judged.append((answer, self.judge.judge(question, name, answer)))
        self._report(name, len(judged), sum(each.correct for _, each in judged), 0)
        return judged

    def _ask_chunk(self, name: str, identity: str, batch: list[tuple[Question, str]], done: int) -> None:
        started = time.perf_counter()
        try:
            completions = self._complete(name, [question for question, _ in batch])
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"stopped at question {done + 1} of {len(self.questions)} of {name}; the answers so far are kept",
                "sqlora evaluate goes on from there",
            ) from None
        seconds = time.perf_counter() - started
        self.store.add(
            Answer.of(identity, question.index, prompt, completion, seconds / len(batch))
            for (question, prompt), completion in zip(batch, completions, strict=True)
        )
        self._asking += seconds
        self._asked += len(batch)

    def _complete(self, name: str, questions: list[Question]) -> list[Completion]:
        records = [question.record for question in questions]
        plain = replace(self.sampling, beams=1)
        completions = self.backend.converse_batch(name, records, plain, caller=CALLER)
        beams = 1 if is_base(self.project, name) or not can_search(self.backend, name) else self.sampling.beams
        return revise(
            self.backend, name, records, completions, lambda place, text: self.judge.sound(questions[place], text),
            plain, beams, caller=CALLER,
        )  # fmt: skip

    def _report(self, name: str, done: int, correct: int, left: int) -> None:
        seconds = left * self._asking / self._asked if self._asked else None
        self.progress(EvaluateProgress("questions", name, done, len(self.questions), correct, seconds))

    def time(self, name: str, identity: str, plan: LatencyPlan | None, folder: Path) -> Latency | None:
        """Timed calls; those of an earlier run of this evaluation are not made again."""
        if plan is None:
            return None
        path = folder / "latency.json"
        known: dict[str, Any] = _read_object(path)
        key = f"{identity} cold={plan.cold} warm={plan.warm} max_tokens={plan.max_tokens} idle={plan.cold_idle}"
        if key not in known:
            asked = [question.record for question in spread(self.questions, max(plan.cold, plan.warm, 1))]
            found = measure_latency(
                self.backend, name, asked, replace(self.sampling, beams=1), plan,
                report=lambda done, total: self.progress(EvaluateProgress("latency", name, done, total)),
            )  # fmt: skip
            known[key] = found.model_dump()
            write_aside(path, json.dumps(known, indent=1))
        return Latency.model_validate(known[key])


def _id(dataset: Dataset, identities: Mapping[str, str], sampling: Sampling, limit: int | None) -> str:
    text = json.dumps([dataset.id, dict(identities), asdict(sampling), limit])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes on one evaluation would ask everything twice."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"another process is running this evaluation ({folder.name})", "wait for it") from None
    try:
        yield
    finally:
        lock.release()


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
