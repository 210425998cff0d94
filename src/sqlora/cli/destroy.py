"""``sqlora destroy``: remove what the project created, in the right order, after showing the plan.

    jobs that run ─stopped─> what is on other backends ─gone─> what is here ─> the state folder, ledger and all

The ledger outlives everything that it names: killed or refused at any point, the same command goes on.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_json, print_table
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_backend, open_project
from sqlora.errors import BusyError, ConflictError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.platform.ledger import Resource
    from sqlora.project import Project

STOP_SECONDS, STOP_SECONDS_ELSEWHERE = 120.0, 1800.0  # a service may take many minutes
FIRST_WAIT, LONGEST_WAIT = 0.1, 15.0  # seconds between looks at a job that is to stop


@dataclass(frozen=True)
class Step:
    """One thing to remove, and on which backend it is. ``bytes`` of disk it takes here."""

    action: str
    kind: str
    name: str
    id: str
    bytes: int = 0
    backend: str = "local"


@make(
    name="destroy",
    examples={
        "sqlora destroy": "show the plan, then ask",
        "sqlora destroy --yes": "show the plan and do it",
        "sqlora destroy --plan --json": "only the plan, for a script",
    },
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be removed.")
@click.pass_context
def command(ctx: click.Context, yes: bool, only_plan: bool, as_json: bool) -> None:
    """Remove deployments, models, jobs, evaluations and datasets of this project, with their files.

    On AWS too: whatever this project created there, as its ledger has it, and nothing else. sqlora.toml, the dialect,
    the questions and the database stay; so does the cached base model, which other projects use too.
    """
    project = open_project(ctx)
    if not project.state.exists():
        _show([], as_json)
        return
    with open_backend(project) as place, ProgressLine() as line:
        steps = plan(project, place)
        _show(steps, as_json)
        if only_plan:
            return
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise ConflictError("nothing was removed: it was not confirmed", "sqlora destroy --yes")
            click.confirm(f"Remove all of it from {_places(project, steps)}?", abort=True)
        carry_out(place, steps, line)
        _require_nothing_left(place)
    shutil.rmtree(project.state)
    if not as_json:
        click.echo(f"removed {project.state}")


def plan(project: Project, place: Everywhere) -> list[Step]:
    """What there is, in the order in which it can go: whatever uses a thing before the thing."""
    from sqlora.prepare import list_datasets

    paths, local = project.paths, place.local
    steps = [Step("stop", "job", job.name, job.id, backend=job.backend) for job in place.jobs() if not job.ended]
    steps += [_of_resource(resource) for resource in place.resources()]
    steps += [
        Step("remove", "deployment", found.name, found.id, _size(paths.deployment(found.id)))
        for found in local.deployments()
    ]
    steps += [
        Step("remove", "model", model.name, model.id, _size(paths.path / model.folder)) for model in local.models()
    ]
    steps += [Step("remove", "job", job.name, job.id, _size(paths.job(job.id))) for job in local.jobs()]
    evaluations = paths.path / "evaluations"
    if evaluations.is_dir():
        steps += [
            Step("remove", "evaluation", folder.name, folder.name, _size(folder))
            for folder in sorted(evaluations.iterdir())
            if folder.is_dir()
        ]
    steps += [
        Step("remove", "dataset", dataset.id, dataset.id, _size(dataset.folder))
        for dataset in list_datasets(project.state)
    ]
    steps += [Step("remove", "key", key.name, key.id) for key in place.state.keys.list()]
    requests = sum(row.requests for row in place.state.usage.summary(()))
    return [*steps, Step("remove", "usage", f"{requests:,} requests", "", _size(paths.database))]


def _of_resource(resource: Resource) -> Step:
    return Step("remove", resource.kind, resource.arn or resource.name, resource.id, backend=resource.backend)


def _places(project: Project, steps: list[Step]) -> str:
    """Where things will be gone from: the state folder, and other backends by name."""
    others = dict.fromkeys(step.backend for step in steps if step.backend != "local")
    return " and ".join([str(project.state), *others])


def carry_out(place: Everywhere, steps: list[Step], line: ProgressLine) -> None:
    """Stop what runs, then what is elsewhere, then what is here; files that nobody uses go with the folder."""
    for step in steps:
        if step.action == "stop":
            _stop(place, step, line)
    elsewhere = place.resources()  # anew: a job that was stopped late may have made its model
    for number, resource in enumerate(elsewhere):
        line.update("removing", number, len(elsewhere), f"{resource.kind} {resource.name} ({resource.backend})")
        place.remove(resource)
    for step in steps:
        if step.backend == "local" and step.kind == "deployment":
            place.delete_deployment(step.id)
        elif step.backend == "local" and step.kind == "model":
            place.delete_model(step.id)


def _require_nothing_left(place: Everywhere) -> None:
    """The ledger must not go before what it names."""
    if left := place.state.ledger.list():
        names = ", ".join(f"{resource.kind} {resource.name} ({resource.backend})" for resource in left)
        raise BusyError(f"not everything is gone: {names}", "sqlora destroy goes on")


def _stop(place: Everywhere, step: Step, line: ProgressLine, sleep: Callable[[float], None] = time.sleep) -> None:
    """Ask the job to stop unless it has ended by now, and wait until it has."""
    if place.job(step.id).ended:
        return
    try:
        place.stop(step.id)
    except ConflictError:  # it ended meanwhile
        if not place.job(step.id).ended:
            raise
    deadline = time.monotonic() + (STOP_SECONDS if step.backend == "local" else STOP_SECONDS_ELSEWHERE)
    wait = FIRST_WAIT
    while not place.job(step.id).ended:
        if time.monotonic() > deadline:
            raise BusyError(f"job {step.id} does not stop; nothing was removed", f"sqlora jobs show {step.id}")
        line.update(f"waiting for job {step.name} to stop")
        sleep(wait)
        wait = min(wait * 1.5, LONGEST_WAIT)


def _show(steps: list[Step], as_json: bool) -> None:
    if as_json:
        print_json([vars(step) for step in steps])
    elif not steps:
        click.echo("nothing to remove")
    else:
        print_table(["", "what", "name", "id", "backend", "size"], [_row(step) for step in steps])


def _row(step: Step) -> list[str]:
    size = f"{step.bytes / 1e6:,.1f} MB" if step.backend == "local" else ""
    return [step.action, step.kind, step.name, step.id, step.backend, size]


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
