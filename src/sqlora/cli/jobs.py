"""``sqlora jobs``: training jobs, running and past."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import cell, print_fields, print_json, print_next, print_table, warn
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_backend, open_project
from sqlora.errors import AccountError, RetryableError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.platform.jobs import Job


@nouns(
    examples={
        "sqlora jobs list": "newest first",
        "sqlora jobs watch k3v9q2m1x0aa": "the progress of a detached job",
        "sqlora jobs stop k3v9q2m1x0aa": "after its step; resume goes on from there",
    }
)
def command() -> None:
    """Training jobs: how they stand, watch, stop and go on with them."""


@verb(
    command,
    "list",
    examples={
        "sqlora jobs list": "newest first",
        "sqlora jobs list --status InProgress": "only those that run",
        "sqlora jobs list --json | jq '.[0].progress'": "how far the newest is",
    },
)
@click.option(
    "--status", type=click.Choice(["InProgress", "Completed", "Failed", "Stopping", "Stopped"]), help="Only these."
)
@click.pass_context
def list_(ctx: click.Context, status: Any, as_json: bool) -> None:
    """List the jobs, newest first."""
    with open_backend(open_project(ctx)) as place:
        found = [_now(place, job) for job in place.jobs()]
    found = [job for job in found if status in (None, job.status)]
    if as_json:
        print_json([_public(job) for job in found])
        return
    print_table(
        ["id", "name", "backend", "status", "step", "model", "recipe", "dataset", "created"],
        [
            [
                job.id, job.name, job.backend, _status(job), _step(job), job.model_name, job.recipe, job.dataset_id,
                job.created_at,
            ]
            for job in found
        ],
    )


@verb(
    command,
    "show",
    examples={
        "sqlora jobs show k3v9q2m1x0aa": "by id",
        "sqlora jobs show larkspur-9f2k1c": "by name",
        "sqlora jobs show k3v9q2m1x0aa --json | jq .metrics": "every step's loss",
    },
)
@click.argument("id")
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the job ID (or name)."""
    from sqlora.platform.metrics import read_metrics

    with open_backend(open_project(ctx)) as place:
        job = place.job(id)
        folder = place.project.paths.job(job.id)
    if as_json:
        print_json({**_public(job), "metrics": read_metrics(folder)})
        return
    _print(job)
    print_fields({"log": folder / "worker.log" if job.backend == "local" else None})


@verb(
    command,
    "watch",
    examples={
        "sqlora jobs watch k3v9q2m1x0aa": "until it has ended",
        "sqlora jobs watch larkspur-9f2k1c": "by name",
        "sqlora jobs watch k3v9q2m1x0aa && sqlora deploy larkspur": "deploy as soon as it is trained",
    },
)
@click.argument("id")
@click.pass_context
def watch(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the progress of the job ID until it has ended. Ctrl-C leaves the job running."""
    with open_backend(open_project(ctx)) as place, ProgressLine() as line:
        job = _watch(place, place.job(id), line, stop=False)
    _finish(job, as_json)


@verb(
    command,
    "stop",
    examples={
        "sqlora jobs stop k3v9q2m1x0aa": "it finishes its step and writes a checkpoint",
        "sqlora jobs stop larkspur-9f2k1c": "by name",
        "sqlora jobs stop k3v9q2m1x0aa --json | jq -r .status": "Stopping, or Stopped",
    },
)
@click.argument("id")
@click.pass_context
def stop(ctx: click.Context, id: str, as_json: bool) -> None:
    """Stop the job ID; a local one can be resumed."""
    with open_backend(open_project(ctx)) as place:
        job = place.stop(id)
        resumable = place.backend(job.backend).capabilities.resumable
    if as_json:
        print_json(_public(job))
        return
    click.echo(f"job {job.id} is {job.status}")
    print_next(f"sqlora jobs resume {job.id}" if resumable else f"sqlora jobs show {job.id}")


@verb(
    command,
    "resume",
    examples={
        "sqlora jobs resume k3v9q2m1x0aa": "from its last checkpoint",
        "sqlora jobs resume k3v9q2m1x0aa --detach": "and return at once",
        "sqlora jobs resume larkspur-9f2k1c": "by name",
    },
)
@click.argument("id")
@click.option("--detach", is_flag=True, help="Return at once; the training outlives this terminal.")
@click.pass_context
def resume(ctx: click.Context, id: str, detach: bool, as_json: bool) -> None:
    """Go on with the job ID that was stopped, failed or killed."""
    with open_backend(open_project(ctx)) as place, ProgressLine() as line:
        job = place.resume(id, detach)
        if not detach:
            job = _watch(place, job, line)
    _finish(job, as_json)


@verb(
    command,
    "rm",
    examples={
        "sqlora jobs rm k3v9q2m1x0aa": "a job that has ended, with its checkpoint and log",
        "sqlora jobs rm larkspur-9f2k1c": "by name",
        "sqlora jobs rm k3v9q2m1x0aa --json": "for a script",
    },
)
@click.argument("id")
@click.pass_context
def rm(ctx: click.Context, id: str, as_json: bool) -> None:
    """Remove the job ID, its checkpoint and its log; the model it made stays."""
    with open_backend(open_project(ctx)) as place:
        job = place.delete_job(id)
    if as_json:
        print_json({"removed": job.id})
    else:
        click.echo(f"removed job {job.id}")


def _now(place: Everywhere, job: Job) -> Job:
    """How a job stands that had not ended; as it was last seen where its backend can't be asked."""
    if job.ended:
        return job
    try:
        return place.job(job.id)
    except (RetryableError, AccountError) as error:
        warn(f"job {job.id} as it was last seen: {error.message}")
        return job


def _watch(place: Everywhere, job: Job, line: ProgressLine, stop: bool = True) -> Job:
    from sqlora.cli.watch import watch

    return watch(place, job, line, stop)


def _finish(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(_public(job))
        return
    _print(job)
    print_next(f"sqlora deploy {job.model_name}" if job.status == "Completed" else f"sqlora jobs watch {job.id}")


def _print(job: Job) -> None:
    progress = job.progress
    print_fields(
        {
            "job": job.id,
            "name": job.name,
            "backend": job.backend,
            "arn": job.arn,
            "status": _status(job),
            "failure": job.failure_message,
            "step": _step(job),
            "loss": progress.get("loss"),
            "validation loss": progress.get("validation_loss"),
            "validation exact": progress.get("validation_exact"),
            "model": job.model_name,
            "model id": job.model_id,
            "base model": job.base_model,
            "dataset": job.dataset_id,
            "recipe": job.recipe,
            "created": job.created_at,
            "ended": job.ended_at,
        }
    )


def _public(job: Job) -> dict[str, Any]:
    hidden = ("fingerprint", "reserved_model_id", "pid_started", "served")
    return {key: value for key, value in asdict(job).items() if key not in hidden} | {"status": _status(job)}


def _status(job: Job) -> str:
    """The status, or Interrupted for a job whose worker was killed."""
    from sqlora.platform.worker import interrupted

    return "Interrupted" if interrupted(job) else job.status


def _step(job: Job) -> str:
    steps = job.progress.get("steps")
    return f"{cell(job.progress.get('step') or 0)} of {cell(steps)}" if steps else "–"
