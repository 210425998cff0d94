"""``sqlora train``: dataset + base model → custom model."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.bill import confirm_bill, show_bill
from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_next
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import find_dataset, open_backend, open_project
from sqlora.cli.watch import watch

if TYPE_CHECKING:
    from sqlora.backends.base import TrainingRequest
    from sqlora.backends.everywhere import Everywhere
    from sqlora.platform.jobs import Job
    from sqlora.project import Project


@make(
    name="train",
    examples={
        "sqlora train --recipe demo": "minutes instead of an hour",
        "sqlora train --name larkspur-2 --recipe thorough": "name the custom model",
        "sqlora train --detach": "go on when this terminal is closed; sqlora jobs watch shows it",
        "sqlora train --backend bedrock": "Amazon Nova Micro, on AWS; the bill is shown first",
    },
)
@click.option("--backend", type=click.Choice(["local", "bedrock", "sagemaker"]), help="Where to train.")
@click.option("--recipe", metavar="NAME", help="Hyperparameters: demo, standard, thorough, or nova (AWS's default).")
@click.option("--base-model", metavar="NAME", help="A known name, a folder, a .gguf file, a hub id; on AWS a Nova id.")
@click.option("--dataset", metavar="ID", help="Train on this dataset instead of the newest.")
@click.option("--name", metavar="NAME", help="Name of the custom model (default: the project's).")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the adapter's start and of the data's order.")
@click.option("--detach", is_flag=True, help="Return at once; the training outlives this terminal.")
@click.option("--again", is_flag=True, help="Train anew even if this very model was trained before.")
@click.option("--yes", is_flag=True, help="Spend what the bill says, without asking.")
@click.option("--no-input", is_flag=True, help="Never ask: a bill above [aws] confirm_above is refused without --yes.")
@click.pass_context
def command(
    ctx: click.Context,
    backend: str | None,
    recipe: str | None,
    base_model: str | None,
    dataset: str | None,
    name: str | None,
    seed: int | None,
    detach: bool,
    again: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> None:
    """Train a custom model on the newest dataset, with a progress that says the time left.

    Stopped or killed, the same command goes on: here from the last checkpoint, on AWS by watching the job again. What
    was trained before from the same data with the same recipe is not trained again. What costs money is shown first.
    """
    project = _open_project(ctx, {"backend": backend, "recipe": recipe, "seed": seed}, base_model)
    with open_backend(project) as place, ProgressLine() as line:
        from sqlora.backends.base import TrainingRequest
        from sqlora.train.recipe import load_recipe

        data = find_dataset(project, dataset)
        request = TrainingRequest(
            data.id, load_recipe(project.recipe_name, project.train.overrides), model_name=name, detach=detach
        )
        place.capabilities.check(request, sum(1 for _ in data.records("train")), place.base_model)
        known = None if again else _known_job(place, request)
        if known is None or known.status != "Completed":
            _make_ready(place, line)
        if known is None and (bill := place.estimate(request)) is not None:
            show_bill(bill)
            confirm_bill(bill, Decimal(str(project.aws.confirm_above)), yes, not (no_input or as_json))
        job = _begin(place, request, known, line)
        if not detach:
            job = watch(place, job, line)
        answer = _answer(place, job)
    if as_json:
        print_json(answer)
        return
    print_fields(answer)
    print_next(f"sqlora deploy {job.model_name}" if job.status == "Completed" else f"sqlora jobs watch {job.id}")


def _open_project(ctx: click.Context, train: dict[str, object], base_model: str | None) -> Project:
    """The project with the command line's settings; which of them the base model is, the backend tells."""
    options = {f"train.{key}": value for key, value in train.items()}
    project = open_project(ctx, options)
    if base_model is None:
        return project
    key = "train.base_model" if project.train.backend == "local" else "aws.model"
    return open_project(ctx, {**options, key: base_model})


def _make_ready(place: Everywhere, line: ProgressLine) -> None:
    """Fetch the base model here, where progress and errors are seen, not in the worker."""
    if place.project.train.backend == "local":
        from sqlora.models.base import resolve_base_model

        resolve_base_model(place.project.train.base_model, line.message)


def _known_job(place: Everywhere, request: TrainingRequest) -> Job | None:
    """The job that makes a new one needless, or can go on; None when it has to be made (and paid) anew."""
    job = place.matching_job(request)
    if job is None or request.model_name not in (None, job.model_name):
        return None
    if not job.ended:
        job = place.job(job.id)  # elsewhere it may have ended since it was last seen
    resumable = place.capabilities.resumable or job.status in ("InProgress", "Stopping", "Completed")
    return job if resumable else None


def _begin(place: Everywhere, request: TrainingRequest, known: Job | None, line: ProgressLine) -> Job:
    """Submit, go on with, or find done."""
    if known is None:
        job = place.submit_training(request)
        line.message(f"job {job.id} trains {job.model_name} on dataset {job.dataset_id}, recipe {job.recipe}")
        return job
    if known.status == "Completed":
        line.message(f"{known.model_name} was trained from this data with this recipe already (--again trains anew)")
        return known
    if _at_work(known) and known.status == "Stopping":
        line.message(f"job {known.id} is stopping; it goes on when it has")
        known = place.wait(known.id)
    if _at_work(known):
        planned = known.backend != "local" and known.arn is None  # its command died before the service heard of it
        how = "not submitted yet; watching it does that" if planned else "being trained already"
        line.message(f"job {known.id} is {how}")
        return known
    line.message(f"job {known.id} goes on from its last checkpoint")
    return place.resume(known.id, request.detach)


def _at_work(job: Job) -> bool:
    """Whether somebody trains it: its worker here, the service elsewhere."""
    from sqlora.platform.worker import alive

    return not job.ended and (job.backend != "local" or alive(job))


def _answer(place: Everywhere, job: Job) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": job.model_name,
        "model_id": job.model_id,
        "job": job.id,
        "status": job.status,
        "backend": job.backend,
        "base_model": job.base_model,
        "dataset": job.dataset_id,
        "recipe": job.recipe,
    }
    if job.model_id:
        model = place.model(job.model_id)
        fields |= {
            "train_loss": model.train_loss,
            "validation_loss": model.validation_loss,
            "folder": place.project.state / model.folder if model.folder else None,
            "arn": model.arn,
        }
    return fields
