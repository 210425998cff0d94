"""``sqlora models``: what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_fields, print_json, print_table
from sqlora.cli.project import open_backend, open_project


@nouns(
    examples={
        "sqlora models list": "newest first",
        "sqlora models show larkspur": "what it was trained on, and its losses",
        "sqlora models rm larkspur-old": "and its weights",
    }
)
def command() -> None:
    """Custom models: adapters over a base model."""


@verb(
    command,
    "list",
    examples={
        "sqlora models list": "newest first",
        "sqlora models list --json": "for a script",
        "sqlora models list --json | jq -r '.[0].name'": "the newest one's name",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the custom models, newest first."""
    with open_backend(open_project(ctx)) as place:
        found = place.models()
    if as_json:
        print_json([vars(model) for model in found])
        return
    print_table(
        ["id", "name", "backend", "base model", "train loss", "validation loss", "created"],
        [
            [
                model.id, model.name, model.backend, model.base_model, model.train_loss, model.validation_loss,
                model.created_at,
            ]
            for model in found
        ],
    )


@verb(
    command,
    "show",
    examples={
        "sqlora models show larkspur": "by name",
        "sqlora models show p0d8f6s4a2zz": "by id",
        "sqlora models show larkspur --json | jq .manifest.recipe": "its hyperparameters",
    },
)
@click.argument("id")
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the custom model ID (or name)."""
    project = open_project(ctx)
    with open_backend(project) as place:
        model = place.model(id)
        deployed = [deployment.name for deployment in place.deployments() if deployment.model_id == model.id]
    folder = project.state / model.folder if model.folder else None  # one elsewhere has none
    manifest = _manifest(folder / "manifest.json") if folder else {}
    if as_json:
        print_json({**vars(model), "folder": folder, "deployments": deployed, "manifest": manifest})
        return
    recipe = manifest.get("recipe")
    print_fields(
        {
            "model": model.name,
            "id": model.id,
            "backend": model.backend,
            "arn": model.arn,
            "base model": model.base_model,
            "dataset": manifest.get("dataset_id"),
            "recipe": recipe.get("name") if isinstance(recipe, dict) else recipe,
            "steps": manifest.get("steps"),
            "train loss": model.train_loss,
            "validation loss": model.validation_loss,
            "job": model.job_id,
            "deployed as": deployed or None,
            "created": model.created_at,
            "folder": folder,
            "size": _size(folder / "adapter_model.safetensors") if folder else None,
        }
    )


def _size(weights: Path) -> str:
    return f"{weights.stat().st_size / 1e6:,.1f} MB" if weights.exists() else "its weights are gone"


def _manifest(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@verb(
    command,
    "rm",
    examples={
        "sqlora models rm larkspur-old": "by name",
        "sqlora models rm p0d8f6s4a2zz": "by id",
        "sqlora deployments rm larkspur && sqlora models rm larkspur": "one that is deployed",
    },
)
@click.argument("id")
@click.pass_context
def rm(ctx: click.Context, id: str, as_json: bool) -> None:
    """Remove the custom model ID (or name) and its weights; not while it is deployed."""
    with open_backend(open_project(ctx)) as place:
        model = place.model(id)
        place.delete_model(model.id)
    if as_json:
        print_json({"removed": model.id})
    else:
        click.echo(f"removed model {model.name}")
