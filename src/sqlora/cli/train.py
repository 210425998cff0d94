"""``sqlora train``: dataset + base model → custom model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_next
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import find_dataset, open_backend, open_project
from sqlora.cli.watch import watch

if TYPE_CHECKING:
    from sqlora.backends.base import TrainingRequest
    from sqlora.backends.local import LocalBackend
    from sqlora.platform.jobs import Job


@make(
    name="train",
    examples={
        "sqlora train --recipe demo": "minutes instead of an hour",
        "sqlora train --name larkspur-2 --recipe thorough": "name the custom model",
        "sqlora train --detach": "go on when this terminal is closed; sqlora jobs watch shows it",
    },
)
@click.option("--backend", type=click.Choice(["local", "bedrock", "sagemaker"]), help="Where to train.")
@click.option("--recipe", metavar="NAME", help="Hyperparameters: demo, standard or thorough.")
@click.option("--base-model", metavar="NAME", help="A known name, a folder, a .gguf file or a hub id.")
@click.option("--dataset", metavar="ID", help="Train on this dataset instead of the newest.")
@click.option("--name", metavar="NAME", help="Name of the custom model (default: the project's).")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the adapter's start and of the data's order.")
@click.option("--detach", is_flag=True, help="Return at once; the training outlives this terminal.")
@click.option("--again", is_flag=True, help="Train anew even if this very model was trained before.")
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
    as_json: bool,
) -> None:
    """Train a custom model on the newest dataset, with a progress that says the time left.

    Stopped or killed, the same command goes on from the last checkpoint. What was trained before from the same data
    with the same recipe is not trained again.
    """
    project = open_project(
        ctx,
        {"train.backend": backend, "train.recipe": recipe, "train.base_model": base_model, "train.seed": seed},
    )
    with open_backend(project) as place, ProgressLine() as line:
        from sqlora.backends.base import TrainingRequest
        from sqlora.models.base import resolve_base_model
        from sqlora.train.recipe import load_recipe

        request = TrainingRequest(
            find_dataset(project, dataset).id,
            load_recipe(project.train.recipe_name, project.train.overrides),
            model_name=name,
            detach=detach,
        )
        known = None if again else _known_job(place, request)
        if known is None or known.status != "Completed":
            # Fetched here, where its progress and errors are seen, not by the worker.
            resolve_base_model(project.train.base_model, line.message)
        job = _begin(place, request, known, line)
        if not detach:
            job = watch(place, job, line)
        answer = _answer(place, job)
    if as_json:
        print_json(answer)
        return
    print_fields(answer)
    print_next(f"sqlora deploy {job.model_name}" if job.status == "Completed" else f"sqlora jobs watch {job.id}")


def _known_job(place: LocalBackend, request: TrainingRequest) -> Job | None:
    job = place.matching_job(request)
    return job if job is not None and request.model_name in (None, job.model_name) else None


def _begin(place: LocalBackend, request: TrainingRequest, known: Job | None, line: ProgressLine) -> Job:
    """Submit, go on with, or find done."""
    from sqlora.platform.worker import alive

    if known is None:
        job = place.submit_training(request)
        line.message(f"job {job.id} trains {job.model_name} on dataset {job.dataset_id}, recipe {job.recipe}")
        return job
    if known.status == "Completed":
        line.message(f"{known.model_name} was trained from this data with this recipe already (--again trains anew)")
        return known
    if alive(known) and known.status == "Stopping":
        line.message(f"job {known.id} is stopping; it goes on when it has")
        known = place.wait(known.id)
    if alive(known) and not known.ended:
        line.message(f"job {known.id} is being trained already")
        return known
    line.message(f"job {known.id} goes on from its last checkpoint")
    return place.resume(known.id, request.detach)


def _answer(place: LocalBackend, job: Job) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": job.model_name,
        "model_id": job.model_id,
        "job": job.id,
        "status": job.status,
        "base_model": job.base_model,
        "dataset": job.dataset_id,
        "recipe": job.recipe,
    }
    if job.model_id:
        model = place.state.models.get(job.model_id)
        fields |= {
            "train_loss": model.train_loss,
            "validation_loss": model.validation_loss,
            "folder": place.paths.path / model.folder,
        }
    return fields
