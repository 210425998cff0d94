"""``sqlora deploy``: custom model → something to ask."""

from __future__ import annotations

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_next
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_backend, open_project


@make(
    name="deploy",
    examples={
        "sqlora deploy larkspur": "as the deployment named in sqlora.toml, or larkspur",
        "sqlora deploy larkspur-2 --name staging": "beside another one, over the same base model",
        "sqlora deploy larkspur --json | jq -r .id": "for a script",
    },
)
@click.argument("model")
@click.option("--name", metavar="NAME", help="Name of the deployment ([deploy] name, else the model's).")
@click.option("--backend", type=click.Choice(["vllm"]), help="Elsewhere than where it was trained: a vLLM server.")
@click.pass_context
def command(ctx: click.Context, model: str, name: str | None, backend: str | None, as_json: bool) -> None:
    """Make the custom model MODEL (name or id) answer questions, where it was trained.

    Nothing runs and nothing is paid by the hour while nobody asks: the first question loads the adapter.
    """
    with open_backend(open_project(ctx)) as place, ProgressLine() as line:
        custom = place.model(model)
        if custom.backend != "local":
            line.message(f"{custom.backend} makes the deployment; that takes some minutes")
        deployment = place.create_deployment(model, name, backend=backend)
    fields = {
        "deployment": deployment.name,
        "id": deployment.id,
        "status": deployment.status,
        "backend": deployment.backend,
        "arn": deployment.arn,
        "model": custom.name,
        "base_model": custom.base_model,
    }
    if as_json:
        print_json(fields)
        return
    print_fields(fields)
    print_next(f'sqlora ask "…" --deployment {deployment.name} --run')
