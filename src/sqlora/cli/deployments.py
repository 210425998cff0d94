"""``sqlora deployments``: what can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_fields, print_json, print_table
from sqlora.cli.project import open_backend, open_project, open_state

if TYPE_CHECKING:
    from sqlora.platform.deployments import Deployment
    from sqlora.platform.state import State


@nouns(
    examples={
        "sqlora deployments list": "newest first",
        "sqlora deployments show larkspur": "its model, and what it has used",
        "sqlora deployments rm larkspur": "the model and the usage stay",
    }
)
def command() -> None:
    """Deployments: custom models that can be asked."""


@verb(
    command,
    "list",
    examples={
        "sqlora deployments list": "newest first",
        "sqlora deployments list --json": "for a script",
        "sqlora deployments list --json | jq -r '.[].name'": "only their names",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the deployments, newest first."""
    with open_state(open_project(ctx)) as state:
        found = [_with_model(deployment, state) for deployment in state.deployments.list()]
    if as_json:
        print_json(found)
        return
    keys = ("id", "name", "status", "model", "created_at")
    print_table(["id", "name", "status", "model", "created"], [[row[key] for key in keys] for row in found])


@verb(
    command,
    "show",
    examples={
        "sqlora deployments show larkspur": "by name",
        "sqlora deployments show t5r3e1w9q7yy": "by id",
        "sqlora deployments show larkspur --json | jq .usage": "what it has used",
    },
)
@click.argument("id")
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the deployment ID (or name) and its usage."""
    with open_state(open_project(ctx)) as state:
        found = _with_model(state.deployments.get(id), state)
        used = [vars(row) for row in state.usage.summary((), deployment=found["name"])]
    usage = used[0] if used else None
    if as_json:
        print_json({**found, "usage": usage})
        return
    print_fields(found)
    if usage:
        print_fields({key: usage[key] for key in ("requests", "input_tokens", "output_tokens", "cached_tokens")})


@verb(
    command,
    "rm",
    examples={
        "sqlora deployments rm larkspur": "by name",
        "sqlora deployments rm t5r3e1w9q7yy": "by id",
        "sqlora deployments rm larkspur --json": "for a script",
    },
)
@click.argument("id")
@click.pass_context
def rm(ctx: click.Context, id: str, as_json: bool) -> None:
    """Remove the deployment ID (or name); its model and its usage stay."""
    with open_backend(open_project(ctx)) as place:
        deployment = place.deployment(id)
        place.delete_deployment(deployment.id)
    if as_json:
        print_json({"removed": deployment.id})
    else:
        click.echo(f"removed deployment {deployment.name}")


def _with_model(deployment: Deployment, state: State) -> dict[str, Any]:
    model = state.models.get(deployment.model_id)
    return {**vars(deployment), "model": model.name, "base_model": model.base_model}
