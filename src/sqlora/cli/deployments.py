"""``sqlora deployments``: what can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_fields, print_json, print_table
from sqlora.cli.project import open_backend, open_project

if TYPE_CHECKING:
    from sqlora.platform.deployments import Deployment
    from sqlora.platform.models import CustomModel


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
    with open_backend(open_project(ctx)) as place:
        models = {model.id: model for model in place.models()}
        found = [_with_model(deployment, models.get(deployment.model_id)) for deployment in place.deployments()]
    if as_json:
        print_json(found)
        return
    keys = ("id", "name", "backend", "status", "model", "created_at")
    print_table([*keys[:-1], "created"], [[row[key] for key in keys] for row in found])


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
    with open_backend(open_project(ctx)) as place:
        deployment = place.deployment(id)
        models = {model.id: model for model in place.models()}
        found = _with_model(deployment, models.get(deployment.model_id))
        used = [vars(row) for row in place.state.usage.summary((), deployment=deployment.name)]
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


def _with_model(deployment: Deployment, model: CustomModel | None) -> dict[str, Any]:
    names = (model.name, model.base_model) if model else (None, None)
    return {**vars(deployment), "model": names[0], "base_model": names[1]}
