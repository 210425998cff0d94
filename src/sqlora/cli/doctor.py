"""``sqlora doctor``: is everything there that a run needs; on AWS, ``--fix`` makes what can be made."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_json, printable
from sqlora.errors import ConfigError, ConflictError

if TYPE_CHECKING:
    from sqlora.backends.aws.prerequisites import Step
    from sqlora.cli.checks import Check

COLOURS = {"pass": "green", "warn": "yellow", "unknown": "yellow", "fail": "red"}
STATUS_WIDTH, NAME_WIDTH = 7, 18


@make(
    name="doctor",
    examples={
        "sqlora doctor": "this machine, and the project here if there is one",
        "sqlora doctor --backend bedrock": "the AWS account: access, bucket, role, rights, data, the bill",
        "sqlora doctor --backend bedrock --fix": "show what would be made there, ask, and make it",
        "sqlora doctor --json | jq '.[] | select(.status == \"fail\")'": "what is missing, for a script",
    },
)
@click.option(
    "--backend",
    type=click.Choice(["local", "bedrock", "sagemaker"]),
    help="Where the run is to be.  [default: of the project]",
)
@click.option("--fix", is_flag=True, help="Make bucket, roles and policies on AWS, and ask for the quota.")
@click.option("--yes", is_flag=True, help="With --fix: do it without asking.")
@click.option("--no-input", is_flag=True, help="Never ask; --fix needs --yes then.")
@click.pass_context
def command(ctx: click.Context, backend: str | None, fix: bool, yes: bool, no_input: bool, as_json: bool) -> None:
    """Check what a run needs, and say the fix for what is wrong: machine, base model, database, dialect and data.

    For bedrock and sagemaker: credentials, model access, bucket, roles, permissions, quota, limits and the bill. Each
    check passes, fails or is unknown (with the reason). --fix makes what is missing in the account, least privilege,
    after showing it; all of it is in the ledger, and sqlora destroy takes it away.

    Ends with exit code 1 if something would make a run fail.
    """
    from sqlora.cli.checks import run_checks

    if fix:
        _fix(ctx.obj, backend, yes, asking=not (no_input or as_json or not sys.stdin.isatty()))
    found = []
    for check in run_checks(ctx.obj, backend):
        found.append(check)
        if not as_json:
            _show(check)
    if as_json:
        print_json([vars(check) for check in found])
    failed = sum(check.status == "fail" for check in found)
    if failed:
        if not as_json:
            click.echo(f"{failed} of {len(found)} checks failed", err=True)
        ctx.exit(1)


def _show(check: Check) -> None:
    mark = click.style(check.status.ljust(STATUS_WIDTH), fg=COLOURS[check.status])
    indent = " " * (STATUS_WIDTH + NAME_WIDTH + 4)
    click.echo(f"{mark}  {check.name.ljust(NAME_WIDTH)}  {printable(check.message).replace(chr(10), chr(10) + indent)}")
    if check.fix and check.status != "pass":
        click.echo(f"{indent}fix: {check.fix}")


def _fix(folder: Path | None, backend: str | None, yes: bool, asking: bool) -> None:
    """Show the steps, ask, and take them. ConflictError when nobody could be asked and --yes was not given."""
    from sqlora.backends.aws.prerequisites import alone, plan
    from sqlora.cli.checks import open_site
    from sqlora.project import load_project

    project = load_project(folder, {"train.backend": backend})
    if project.train.backend == "local":
        raise ConfigError("--fix makes things in an AWS account; this is about the local backend", "--backend bedrock")
    with open_site(project, write=True) as site, alone(site):
        steps = plan(site)
        _show_steps(steps, site.account.id, site.account.region)
        if not steps:
            return
        if not yes:
            if not asking:
                again = f"sqlora doctor --backend {site.backend} --fix --yes"
                raise ConflictError("nothing was made: it was not confirmed", again)
            click.confirm(f"Do this in account {site.account.id}?", abort=True, err=True)
        for step in steps:
            step.do()
            click.echo(f"done: {step.what}", err=True)
        if any("role" in step.what for step in steps):
            click.echo("the services see new roles and policies after some seconds: wait as long", err=True)


def _show_steps(steps: list[Step], account: str, region: str) -> None:
    """On standard error, so that --json prints the checks alone."""
    if not steps:
        click.echo(f"nothing to make in account {account}, {region}", err=True)
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. {step.what}", err=True)
        for title, document in step.documents.items():
            text = json.dumps(document, indent=2).replace("\n", "\n     ")
            click.echo(f"   {title}:\n     {text}", err=True)
