"""``sqlora usage``: every token that was used. Nothing here is ever removed: it is a bill."""

from __future__ import annotations

from typing import Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_json, print_table
from sqlora.cli.project import open_backend, open_project, open_state
from sqlora.errors import NotFoundError


@nouns(
    examples={
        "sqlora usage show": "sums by deployment",
        "sqlora usage show --by day --since 2026-11-01": "a month, day by day",
        "sqlora usage list --limit 20": "the last twenty requests",
    }
)
def command() -> None:
    """Tokens used, by deployment, caller, day and backend; nothing is ever removed from it."""


@verb(
    command,
    "list",
    examples={
        "sqlora usage list": "the last 100 requests",
        "sqlora usage list --deployment larkspur --limit 1000": "of one deployment",
        "sqlora usage list --json | jq 'map(.output_tokens) | add'": "for a script",
    },
)
@click.option("--deployment", metavar="NAME", help="Only of this one (base: the untuned model).")
@click.option("--since", metavar="DATE", help="From this day or moment on, as in 2026-11-01 (UTC).")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@click.pass_context
def list_(ctx: click.Context, deployment: str | None, since: str | None, limit: int, as_json: bool) -> None:
    """List requests, newest first."""
    with open_state(open_project(ctx)) as state:
        rows = state.usage.list(deployment=deployment, since=since, limit=limit)
    if as_json:
        print_json([vars(row) for row in rows])
        return
    keys = ("at", "deployment", "backend", "caller", "input_tokens", "output_tokens", "cached_tokens")
    print_table(
        [*(key.replace("_", " ") for key in keys), "first token s", "seconds", "request"],
        [[*(getattr(row, key) for key in keys), row.first_token_seconds, row.seconds, row.request_id] for row in rows],
    )


@verb(
    command,
    "show",
    examples={
        "sqlora usage show": "sums by deployment",
        "sqlora usage show larkspur --by caller": "who asks one deployment how much",
        "sqlora usage show --by day --since 2026-11-01 --json": "for a chart",
    },
)
@click.argument("deployment", required=False)
@click.option(
    "--by", type=click.Choice(["deployment", "caller", "day", "backend"]), multiple=True, default=("deployment",),
    help="What to sum up by; give it several times.",
)  # fmt: skip
@click.option("--since", metavar="DATE", help="From this day or moment on, as in 2026-11-01 (UTC).")
@click.pass_context
def show(ctx: click.Context, deployment: str | None, by: tuple[Any, ...], since: str | None, as_json: bool) -> None:
    """Sum up the usage, of all deployments or of DEPLOYMENT."""
    with open_backend(open_project(ctx)) as place:
        usage = place.state.usage
        rows = usage.summary(by, deployment=deployment, since=since)
        if deployment and not rows and not usage.summary((), deployment=deployment):
            _require_known(deployment, {found.name for found in place.deployments()} | {"base"})
    if as_json:
        print_json([vars(row) for row in rows])
        return
    keys = ("requests", "input_tokens", "output_tokens", "cached_tokens", "seconds")
    print_table(
        [*by, *(key.replace("_", " ") for key in keys)],
        [[getattr(row, key) for key in (*by, *keys)] for row in rows],
    )


def _require_known(name: str, known: set[str]) -> None:
    if name not in known:
        raise NotFoundError(f"no deployment {name!r}, and none of that name was ever used", "sqlora deployments list")
