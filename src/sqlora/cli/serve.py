"""``sqlora serve``: the on-demand server of this project, until it is stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.command import command as command_
from sqlora.cli.output import print_json
from sqlora.cli.project import open_project
from sqlora.errors import ConfigError

if TYPE_CHECKING:
    from sqlora.serve.server import Listening


@command_(
    examples={
        "sqlora serve": "on this machine only, port 8080",
        "sqlora serve --aws": "with S3, IAM, STS and logs behind the same port, for whole notebooks",
        "sqlora serve --host 0.0.0.0 --tls-cert c.pem --tls-key k.pem": "for others; first: sqlora keys create",
    }
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1); others need keys.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port (default: 8080); 0: any that is free.")
@click.option("--aws/--no-aws", default=None, help="Serve S3, IAM, STS and logs too, in memory.")
@click.option("--tls-cert", metavar="FILE", type=click.Path(path_type=Path), help="Certificate chain: HTTPS only.")
@click.option("--tls-key", metavar="FILE", type=click.Path(path_type=Path), help="Its private key.")
@click.option("--idle-minutes", type=click.FloatRange(min=0, min_open=True), help="Unload adapters idle for so long.")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory for adapters, MiB.")
@click.pass_context
def command(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    aws: bool | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    idle_minutes: float | None,
    memory_mb: int | None,
    as_json: bool,
) -> None:
    """Answer clients of Bedrock, SageMaker and OpenAI: train, deploy and ask by their APIs, unchanged.

    Stop it with Ctrl-C: answers under way are finished, training goes on from its checkpoint at the next start.
    """
    options = {
        "host": host,
        "port": port,
        "aws": aws,
        "tls_cert": _absolute(tls_cert),
        "tls_key": _absolute(tls_key),
        "idle_minutes": idle_minutes,
        "memory_mb": memory_mb,
    }
    project = open_project(ctx, {f"serve.{key}": value for key, value in options.items()})
    # Threads of OpenMP that spin while they wait for each other starve every neighbour, and a server trains beside its
    # answers: a short spin, then sleep (docs/LOG.md). Read when torch is loaded, and inherited by workers.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        from sqlora.serve.server import run
    except ModuleNotFoundError as error:
        raise ConfigError(f"the server needs the package {error.name}", "pip install 'sqlora[serve]'") from error
    run(project, _print_json if as_json else _print)


def _absolute(path: Path | None) -> str | None:
    """A path on the command line is relative to where it is typed, not to the project."""
    return None if path is None else str(path.absolute())


def _print_json(listening: Listening) -> None:
    print_json({"url": listening.url, "environment": dict(listening.environment), "keys": listening.keys})


def _print(listening: Listening) -> None:
    click.echo(f"{click.style('ready', bold=True)}  {listening.url}  (Ctrl-C stops it)\n")
    for name, value in listening.environment.items():
        click.echo(f"  export {name}={value}")
    if listening.keys:
        click.echo("\n  with the secrets of a key: sqlora keys create NAME --scope invoke")
    click.echo("")
