"""``sqlora keys``: who may use the server. A key's secrets are shown once, when it is made or rotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_json, print_next, print_table, warn
from sqlora.cli.project import open_project, open_state

if TYPE_CHECKING:
    from sqlora.platform.keys import ApiKey, NewKey

DAY = 24 * 3600.0


@nouns(
    examples={
        "sqlora keys create app --scope invoke": "for a program that asks",
        "sqlora keys rotate app": "other secrets for the same key",
        "sqlora keys revoke app": "it opens nothing any more",
    }
)
def command() -> None:
    """Keys of the server. While none was ever made, it serves this machine only, with any credentials."""


@verb(
    command,
    "create",
    examples={
        "sqlora keys create app --scope invoke": "may ask, and nothing else",
        "sqlora keys create notebook --scope train --days 30": "may ask, train and deploy, for a month",
        "sqlora keys create operator --scope admin --json": "may do everything; for a script",
    },
)
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(["invoke", "train", "admin"]), multiple=True, required=True,
    help="What it opens; give it several times.",
)  # fmt: skip
@click.option("--days", type=click.IntRange(min=1, max=36_500), help="Until it expires (default: never).")
@click.pass_context
def create(ctx: click.Context, name: str, scopes: tuple[Any, ...], days: int | None, as_json: bool) -> None:
    """Make a key called NAME and print its secrets: they are kept nowhere and cannot be shown again."""
    from sqlora.platform.names import now

    with open_state(open_project(ctx)) as state:
        made = state.keys.create(name, frozenset(scopes), None if days is None else now(days * DAY))
    _print_secrets(made, as_json)


@verb(
    command,
    "list",
    examples={
        "sqlora keys list": "newest first, those revoked too",
        "sqlora keys list --json": "for a script",
        "sqlora keys list --json | jq -r '.[] | select(.last_used_at == null).name'": "those never used",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the keys, newest first, without their secrets."""
    with open_state(open_project(ctx)) as state:
        found = state.keys.list()
    if as_json:
        print_json([_as_json(key) for key in found])
        return
    print_table(
        ["id", "name", "scopes", "status", "created", "expires", "last used"],
        [
            [
                key.id, key.name, " ".join(sorted(key.scopes)), key.status, key.created_at, key.expires_at or "never",
                key.last_used_at or "never",
            ]
            for key in found
        ],
    )  # fmt: skip


@verb(
    command,
    "rotate",
    examples={
        "sqlora keys rotate app": "by name",
        "sqlora keys rotate SQLAMZ2Q4J5XKD7RTYWB": "by id",
        "sqlora keys rotate app --json | jq -r .bearer_token": "into a secret store",
    },
)
@click.argument("id")
@click.pass_context
def rotate(ctx: click.Context, id: str, as_json: bool) -> None:
    """Give the key ID (or name) other secrets and print them; the old ones open nothing from now on."""
    with open_state(open_project(ctx)) as state:
        made = state.keys.rotate(id)
    _print_secrets(made, as_json)


@verb(
    command,
    "revoke",
    examples={
        "sqlora keys revoke app": "by name",
        "sqlora keys revoke SQLAMZ2Q4J5XKD7RTYWB": "by id",
        "sqlora keys revoke app --json": "for a script",
    },
)
@click.argument("id")
@click.pass_context
def revoke(ctx: click.Context, id: str, as_json: bool) -> None:
    """Close the key ID (or name) for ever; a running server refuses it from the next request on."""
    with open_state(open_project(ctx)) as state:
        key = state.keys.revoke(id)
        alone = all(other.status != "Active" for other in state.keys.list())
    if as_json:
        print_json(_as_json(key))
    else:
        click.echo(f"revoked key {key.name}")
    if alone:
        warn("no key opens the server any more")
        print_next("sqlora keys create NAME --scope invoke")


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {**vars(key), "scopes": sorted(key.scopes), "status": key.status}


def _print_secrets(made: NewKey, as_json: bool) -> None:
    if as_json:
        print_json(vars(made))
        return
    click.echo(f"key {made.name}")
    for variable, value in {
        "AWS_ACCESS_KEY_ID": made.id,
        "AWS_SECRET_ACCESS_KEY": made.secret_access_key,
        "AWS_BEARER_TOKEN_BEDROCK": made.bearer_token,
        "OPENAI_API_KEY": made.bearer_token,
    }.items():
        click.echo(f"{variable}={value}")
    warn("these secrets are not shown again")
