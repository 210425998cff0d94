"""``sqlora aws template``: bucket, roles and policies as CloudFormation or Terraform."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_json, print_next
from sqlora.cli.project import open_project
from sqlora.errors import ConfigError


@nouns(
    examples={
        "sqlora aws template": "what the project needs in its account, as CloudFormation",
        "sqlora aws template --format terraform --out .": "the same for Terraform, in a file",
        "sqlora doctor --backend bedrock": "whether all of it is there",
    }
)
def command() -> None:
    """The account of the bedrock and sagemaker backends; sqlora doctor checks it."""


@verb(
    command,
    "template",
    examples={
        "sqlora aws template > sqlora.template.json": "CloudFormation, for aws cloudformation deploy",
        "sqlora aws template --format terraform --out .": "sqlora.tf.json here, for terraform apply",
        "sqlora aws template --backend sagemaker": "with the roles that SageMaker takes",
    },
)
@click.option("--format", type=click.Choice(["cloudformation", "terraform"]), default="cloudformation",
              show_default=True, help="Which tool reads it.")  # fmt: skip
@click.option("--backend", type=click.Choice(["bedrock", "sagemaker"]), help="[default: the project's, else bedrock]")
@click.option("--existing-bucket", is_flag=True, help="The bucket of [aws] is there already; leave it as it is.")
@click.option("--out", type=click.Path(path_type=Path), help="Write this file, or into this folder.")
@click.pass_context
def template(
    ctx: click.Context, format: str, backend: str | None, existing_bucket: bool, out: Path | None, as_json: bool
) -> None:
    """Print what sqlora doctor --fix would make: bucket, roles, and policies of least privilege.

    For who may not make roles, or wants them in code. One policy more says what whoever runs sqlora has to be allowed.
    The outputs are the keys to write into [aws] of sqlora.toml. The quota of SageMaker is not in it.
    """
    from sqlora.backends.aws.needs import purposes_of
    from sqlora.backends.aws.template import FORMATS, Wanted
    from sqlora.backends.aws.template import template as write

    project = open_project(ctx)
    chosen = backend or (project.train.backend if project.train.backend != "local" else "bedrock")
    purposes = purposes_of(chosen, project.aws)
    made = write(format, Wanted(project.name, chosen, project.aws, purposes, not existing_bucket))
    if out is None:
        print_json(made)
        return
    file = out / FORMATS[format] if out.is_dir() else out
    _write(file, json.dumps(made, indent=2) + "\n")
    if as_json:
        print_json({"file": str(file), "format": format, "backend": chosen})
    else:
        click.echo(f"wrote {file}")
        print_next(_next(format, file, project.aws.region))


def _write(file: Path, text: str) -> None:
    """All of it or nothing."""
    if not file.parent.is_dir():
        raise ConfigError(f"there is no folder {file.parent}", f"mkdir -p {file.parent}")
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _next(format: str, file: Path, region: str) -> str:
    if format == "terraform":
        return f"terraform -chdir={file.parent} init && terraform -chdir={file.parent} apply"
    return (
        f"aws cloudformation deploy --region {region} --stack-name sqlora --template-file {file} "
        "--capabilities CAPABILITY_IAM"
    )
