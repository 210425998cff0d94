"""``sqlora ps``: what the running server has in memory."""

from __future__ import annotations

from typing import Any

import click

from sqlora.cli.command import command as command_
from sqlora.cli.output import print_json, print_table
from sqlora.cli.project import open_project


@command_(
    examples={
        "sqlora ps": "adapters in memory, their size and how long they have been idle",
        "sqlora -C demo ps": "of the server of another project",
        "sqlora ps --json | jq '.adapters | length'": "for a script",
    }
)
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what the project's running server has in memory; the rest sleeps on disk and costs nothing."""
    from sqlora.serve.running import ask_server

    found = ask_server(open_project(ctx).paths, "/sqlora/residency")
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['url']}  base model {found['base_model']}  {found['running']} running, {found['waiting']} waiting  "
        f"{found['loads']} loads, {found['evictions']} evictions"
    )
    print_table(
        ["model", "deployments", "MiB", "in use", "idle s", "loads"],
        [_row(adapter) for adapter in found["adapters"]],
    )


def _row(adapter: dict[str, Any]) -> list[Any]:
    return [
        adapter["model"],
        ", ".join(adapter["deployments"]),
        round(adapter["bytes"] / 2**20, 1),
        "pinned" if adapter["pinned"] else adapter["leases"],
        round(adapter["idle_seconds"]),
        adapter["loads"],
    ]
