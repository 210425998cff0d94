"""``sqlora doctor``: is everything there that a run needs."""

from __future__ import annotations

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_json, printable

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@make(
    name="doctor",
    examples={
        "sqlora doctor": "this machine, and the project here if there is one",
        "sqlora -C demo doctor && sqlora -C demo train": "train only where nothing is missing",
        "sqlora doctor --json | jq '.[] | select(.status == \"fail\")'": "what is missing, for a script",
    },
)
@click.option("--backend", type=click.Choice(["local", "bedrock", "sagemaker"]), help="Where the run is to be.")
@click.pass_context
def command(ctx: click.Context, backend: str | None, as_json: bool) -> None:
    """Check versions, machine, base model, database, dialect and data, and say the fix for what is wrong.

    Ends with exit code 1 if something would make a run fail.
    """
    from sqlora.cli.checks import run_checks

    found = []
    for check in run_checks(ctx.obj, backend):
        found.append(check)
        if not as_json:
            mark = click.style(check.status.ljust(4), fg=COLOURS[check.status])
            click.echo(f"{mark}  {check.name.ljust(14)}  {printable(check.message)}")
            if check.fix and check.status != "ok":
                click.echo(f"{'':22}fix: {check.fix}")
    if as_json:
        print_json([vars(check) for check in found])
    failed = sum(check.status == "fail" for check in found)
    if failed:
        if not as_json:
            click.echo(f"{failed} of {len(found)} checks failed", err=True)
        ctx.exit(1)
