"""What a project knows of its own costs: its training data, its last training here, its usage, its pace."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlora.cost.prices import PriceTable, billed_model, family_of
from sqlora.cost.spend import Books, Spend, spending
from sqlora.cost.training import count_tokens_estimate
from sqlora.cost.usage import Projection, moment, project_usage
from sqlora.errors import NotFoundError
from sqlora.prepare.dataset import Dataset, list_datasets, load_dataset
from sqlora.project import Project

if TYPE_CHECKING:
    from sqlora.platform.state import State

# An evaluation asks many questions at a time, and each of them counts the seconds of them all.
EVALUATE = "evaluate"


@dataclass(frozen=True)
class TrainingData:
    """The newest dataset's, to be trained on: ``tokens`` as `count_tokens_estimate` has them."""

    dataset: str
    records: int
    tokens: int


@dataclass(frozen=True)
class LocalTraining:
    """The last training on this machine that was completed: from its beginning to its end."""

    job: str
    hours: Decimal


@dataclass(frozen=True)
class Measured:
    """``seconds`` of a question on this machine, the mean of ``questions`` of them, each with its waiting."""

    seconds: Decimal
    questions: int


@dataclass(frozen=True)
class Figures:
    """All that there is; None or empty for what has not happened yet."""

    data: TrainingData | None
    training: LocalTraining | None
    measured: Measured | None
    spent: tuple[Spend, ...]
    pace: Projection | None


def project_figures(project: Project, table: PriceTable, now: dt.datetime, models: int = 1) -> Figures:
    """Read them all; nothing is written, and no state is made where there is none."""
    with _state(project) as state:
        if state is None:
            return Figures(_data(project), None, None, (), None)
        model_id = billed_model(project.aws.model)
        books = Books(
            state.usage.summary(("backend", "deployment")), state.ledger.list(deleted=True), table,
            model_id, now, lambda id: _tokens_of(project, id),
        )  # fmt: skip
        used = state.usage.summary(())
        pace = project_usage(used[0], now, models, table, family_of(model_id)) if used else None
        return Figures(_data(project), _training(state), _measured(state), tuple(spending(books)), pace)


@contextmanager
def _state(project: Project) -> Iterator[State | None]:
    if not project.paths.database.exists():
        yield None
        return
    from sqlora.platform.state import State

    with State(project.paths.database) as state:
        yield state


def _data(project: Project) -> TrainingData | None:
    datasets = list_datasets(project.state)
    return _data_of(datasets[0]) if datasets else None


def _data_of(dataset: Dataset) -> TrainingData:
    file = dataset.path("train")
    with file.open("rb") as lines:
        records = sum(1 for _ in lines)
    return TrainingData(dataset.id, records, count_tokens_estimate(file))


def _tokens_of(project: Project, id: str) -> int | None:
    try:
        return _data_of(load_dataset(project.paths.dataset(id))).tokens
    except NotFoundError:
        return None


def _training(state: State) -> LocalTraining | None:
    for job in state.jobs.list(status="Completed"):
        if job.backend == "local" and job.ended_at is not None:
            seconds = (moment(job.ended_at) - moment(job.created_at)).total_seconds()
            return LocalTraining(job.name, round(Decimal(str(seconds)) / 3600, 4))
    return None


def _measured(state: State) -> Measured | None:
    rows = [
        row
        for row in state.usage.summary(("backend", "caller"))
        if row.backend == "local" and row.caller != EVALUATE and row.seconds > 0
    ]
    questions = sum(row.requests for row in rows)
    if not questions:
        return None
    return Measured(Decimal(f"{sum(row.seconds for row in rows) / questions:.3g}"), questions)
