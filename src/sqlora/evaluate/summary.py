"""Everything measured → `Report`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version

from sqlora.cost.model import dollars, monthly_cost
from sqlora.engines.base import Sampling
from sqlora.evaluate import breakdown
from sqlora.evaluate.answers import Answer
from sqlora.evaluate.judge import Judge, rows_of
from sqlora.evaluate.models import is_base
from sqlora.evaluate.questions import Question
from sqlora.evaluate.report import contents
from sqlora.evaluate.report.contents import Cost, Judged, Latency, ModelResult, QuestionResult, Report
from sqlora.evaluate.statistics import RESAMPLES
from sqlora.prepare.dataset import Dataset
from sqlora.project import Project

QUERIES = 22_000  # a month, the reference workload


@dataclass(frozen=True)
class Measured:
    """What the run hands over; answers and latencies by name of the model."""

    id: str
    project: Project
    dataset: Dataset
    judge: Judge
    questions: Sequence[Question]
    identities: Mapping[str, str]
    answers: Mapping[str, Sequence[tuple[Answer, Judged]]]
    latencies: Mapping[str, Latency | None]
    sampling: Sampling


def summarize(measured: Measured, created: str) -> Report:
    """Count, compare and describe."""
    seed = measured.project.evaluate.seed
    names = list(measured.identities)
    questions = [_question(measured, place, question) for place, question in enumerate(measured.questions)]
    models = [_model(measured, place, name, questions, seed) for place, name in enumerate(names)]
    others = range(1, len(names))
    sampling, schema = measured.sampling, measured.judge.schema
    return Report(
        id=measured.id,
        project=measured.project.name,
        dataset=measured.dataset.id,
        dialect=measured.judge.dialect.name,
        schema_hash=schema.hash if schema else None,
        created=created,
        sqlora_version=_version(),
        machine=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} processors",
        sampling=contents.Sampling(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=sampling.seed,
            beams=sampling.beams,
        ),
        seed=seed,
        resamples=RESAMPLES,
        golds=breakdown.count_golds(questions),
        models=models,
        differences=[breakdown.difference(questions, names, 0, place, seed) for place in others],
        breakdown=breakdown.breakdown(questions, names, seed),
        questions=questions,
        notes=_notes(measured, questions, models),
    )


def _question(measured: Measured, place: int, question: Question) -> QuestionResult:
    gold = measured.judge.gold(question)
    return QuestionResult(
        index=question.index,
        question=question.question,
        expected=question.sql,
        source=question.source,
        tags=list(question.tags),
        features=list(question.features),
        template_seen=question.seen,
        gold=gold.status,
        gold_detail=gold.detail,
        result=rows_of(gold.result),
        answers=[answers[place][1] for answers in measured.answers.values()],
    )


def _model(measured: Measured, place: int, name: str, questions: Sequence[QuestionResult], seed: int) -> ModelResult:
    answers = [answer for answer, _ in measured.answers[name]]
    judged = [question.answers[place] for question in questions]
    runnable = [question.answers[place] for question in questions if question.gold not in ("not run", "broken")]
    trivial = [question for question in questions if question.gold in breakdown.TRIVIAL]
    given = Decimal(sum(answer.input_tokens for answer in answers)) / len(answers)
    made = Decimal(sum(answer.output_tokens for answer in answers)) / len(answers)
    return ModelResult(
        name=name,
        identity=measured.identities[name],
        execution_accuracy=breakdown.share(breakdown.correct(breakdown.telling(questions), place), seed),
        trivial=breakdown.share(breakdown.correct(trivial, place), seed),
        valid=breakdown.share((answer.valid for answer in judged), seed),
        runs=breakdown.share((answer.runs for answer in runnable), seed),
        exact=breakdown.share((answer.exact for answer in judged), seed),
        errors=breakdown.count_errors(runnable),
        cut=sum(answer.stop_reason == "max_tokens" for answer in answers),
        revised=sum(answer.revised for answer in answers),
        mean_input_tokens=float(given),
        mean_output_tokens=float(made),
        answering_seconds=sum(answer.seconds for answer in answers),
        latency=measured.latencies.get(name),
        cost=_cost(given, made, models=0 if is_base(measured.project, name) else 1),
    )


def _cost(input_tokens: Decimal, output_tokens: Decimal, models: int) -> Cost:
    """The base model is stored by nobody, a custom model by its owner."""
    month = monthly_cost(QUERIES, input_tokens, output_tokens, models)
    tokens, storage = (line.amount for line in month.on_demand.lines)
    return Cost(
        queries=QUERIES,
        tokens=None if tokens is None else f"{tokens:f}",
        storage=None if storage is None else f"{storage:f}",
        shown=f"{dollars(tokens)} + {dollars(storage)} storage" if models else dollars(tokens),
    )


def _notes(measured: Measured, questions: Sequence[QuestionResult], models: Sequence[ModelResult]) -> list[str]:
    """What a reader has to know to trust the figures."""
    golds = breakdown.count_golds(questions)
    notes = []
    if golds.broken:
        first = next(question for question in questions if question.gold == "broken")
        notes.append(f"{golds.broken} references don't run and are not counted; the first: {first.gold_detail}")
    if golds.empty or golds.null_only:
        notes.append(
            f"{golds.empty} references give no row and {golds.null_only} only NULLs; they are not in the accuracy, "
            "since wrong queries often give the same"
        )
    if golds.not_run:
        notes.append(f"{golds.not_run} questions are about another schema, or there is no database: judged by text")
    if 0 < golds.rows < 100:
        notes.append(f"{golds.rows} questions are few: differences of a few points mean little")
    notes += [
        f"{model.cut} of the answers of {model.name} cut at {measured.sampling.max_tokens} tokens"
        for model in models
        if model.cut
    ]
    if measured.sampling.temperature:
        notes.append("answers were sampled: another run gives other answers")
    return notes


def _version() -> str:
    try:
        return version("sqlora")
    except PackageNotFoundError:
        return "unknown"
