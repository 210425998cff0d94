"""``sqlora destroy``: remove what the project created, in the right order, after showing the plan."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_json, print_table
from sqlora.cli.project import open_backend, open_project
from sqlora.errors import BusyError, ConflictError

if TYPE_CHECKING:
    from sqlora.backends.local import LocalBackend
    from sqlora.project import Project

STOP_SECONDS = 120.0


@dataclass(frozen=True)
class Step:
    """One thing to remove. ``bytes`` of disk it takes."""

    action: str
    kind: str
    name: str
    id: str
    bytes: int = 0


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

    sqlora.toml, the dialect, the questions and the database stay; so does the cached base model, which other projects
    use too.
    """
    project = open_project(ctx)
    if not project.state.exists():
        _show([], as_json)
        return
    with open_backend(project) as place:
        steps = plan(project, place)
        _show(steps, as_json)
        if only_plan:
            return
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise ConflictError("nothing was removed: it was not confirmed", "sqlora destroy --yes")
            click.confirm(f"Remove all of it from {project.state}?", abort=True)
        _carry_out(place, steps)
    shutil.rmtree(project.state)
    if not as_json:
        click.echo(f"removed {project.state}")


def plan(project: Project, place: LocalBackend) -> list[Step]:
    """What there is, in the order in which it can go: whatever uses a thing before the thing."""
    from sqlora.prepare import list_datasets

    paths, state = project.paths, place.state
    steps = [Step("stop", "job", job.name, job.id) for job in state.jobs.list() if not job.ended]
    steps += [
        Step("remove", "deployment", found.name, found.id, _size(paths.deployment(found.id)))
        for found in state.deployments.list()
    ]
    steps += [
        Step("remove", "model", model.name, model.id, _size(paths.path / model.folder)) for model in state.models.list()
    ]
    steps += [Step("remove", "job", job.name, job.id, _size(paths.job(job.id))) for job in state.jobs.list()]
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
    steps += [Step("remove", "key", key.name, key.id) for key in state.keys.list()]
    requests = sum(row.requests for row in state.usage.summary(()))
    return [*steps, Step("remove", "usage", f"{requests:,} requests", "", _size(paths.database))]


def _carry_out(place: LocalBackend, steps: list[Step]) -> None:
    """Through the backend as far as it keeps things that run or are kept elsewhere; files go with the folder."""
    for step in steps:
        if step.action == "stop":
            _stop(place, step.id)
        elif step.kind == "deployment":
            place.delete_deployment(step.id)
        elif step.kind == "model":
            place.delete_model(step.id)


def _stop(place: LocalBackend, id: str) -> None:
    place.stop(id)
    deadline = time.monotonic() + STOP_SECONDS
    while not place.job(id).ended:
        if time.monotonic() > deadline:
            raise BusyError(f"job {id} does not stop; nothing was removed", f"sqlora jobs show {id}")
        time.sleep(0.2)


def _show(steps: list[Step], as_json: bool) -> None:
    if as_json:
        print_json([vars(step) for step in steps])
    elif not steps:
        click.echo("nothing to remove")
    else:
        rows = [[step.action, step.kind, step.name, step.id, f"{step.bytes / 1e6:,.1f} MB"] for step in steps]
        print_table(["", "what", "name", "id", "size"], rows)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
