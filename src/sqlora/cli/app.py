"""The ``sqlora`` command. A command's module is imported when it runs, so that help comes at once.

Exit codes: 0 the command did what it says, 1 it did not (``error:`` and ``next:`` on stderr say why and what to do),
2 it was called wrongly, 130 it was interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sqlora import __version__
from sqlora.cli.command import Nouns
from sqlora.errors import SqloraError

# name → its line in the help; the module sqlora.cli.<name> has it as `command`.
COMMANDS = {
    "init": "Write a project: sqlora.toml, or a whole example.",
    "prepare": "Make the dataset out of the project's sources.",
    "train": "Train a custom model on the dataset.",
    "deploy": "Make a custom model answer questions.",
    "serve": "Serve Bedrock's, SageMaker's and OpenAI's API.",
    "ps": "What the running server has in memory.",
    "ask": "Turn a question into SQL, and run it if asked to.",
    "evaluate": "Measure models on the test questions.",
    "cost": "What a month of questions costs, and training.",
    "doctor": "Check everything a run needs, and say the fix.",
    "destroy": "Remove what this project created.",
    "dialect": "SQL dialects: check, convert, and your own.",
    "datasets": "Prepared datasets.",
    "jobs": "Training jobs.",
    "models": "Custom models.",
    "deployments": "Deployments of custom models.",
    "usage": "Tokens used, by deployment and caller.",
    "keys": "Keys of the server.",
    "aws": "The AWS account's bucket and roles, as a template.",
}

_DISK = {
    errno.ENOSPC: "free some space and run the command again",
    errno.EDQUOT: "free some space and run the command again",
    errno.EACCES: "change the permissions, or work in another folder",
    errno.EPERM: "change the permissions, or work in another folder",
    errno.EROFS: "work in a folder that can be written",
}


class App(Nouns):
    """The group of all commands, which knows their names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"sqlora.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and turn errors into messages and exit codes."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except (Exception, KeyboardInterrupt) as error:
            failed = report(error, given) if standalone_mode else None
            if failed is None:
                raise
            code = failed
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


# What is not installed with sqlora alone → the extra that has it.
_EXTRAS = {
    "boto3": "aws", "botocore": "aws", "torch": "train", "transformers": "train", "tokenizers": "train",
    "safetensors": "train", "gguf": "train", "huggingface_hub": "train",
}  # fmt: skip


def report(error: BaseException, arguments: Sequence[str]) -> int | None:
    """Print what went wrong and the next step on stderr; the exit code, or None for a fault in sqlora itself."""
    again = f"sqlora {shlex.join(arguments)}"
    if _was_interrupted(error):
        _say("error", str(getattr(error, "message", "interrupted")), f"{again}    (goes on from here)")
        return 130
    if isinstance(error, SqloraError):
        _say("error", error.message, error.next_step)
        return 1
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):  # `sqlora … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f": {error.filename}" if error.filename else ""
        _say("error", f"{error.strerror}{where}", _DISK[error.errno])
        return 1
    if isinstance(error, ModuleNotFoundError) and (name := (error.name or "").split(".")[0]) in _EXTRAS:
        _say("error", f"this needs the package {name}", f"pip install 'sqlora[{_EXTRAS[name]}]'")
        return 1
    if isinstance(error, MemoryError):
        _say("error", "out of memory", "close other programs, or choose a smaller base_model or pack_tokens")
        return 1
    return None


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: some stages say in their own words where they stopped."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt | click.Abort):
            return True
        error = error.__cause__ or error.__context__
    return False


def _say(kind: str, message: str, next_step: str | None) -> None:
    click.echo(f"{click.style(f'{kind}:', fg='red', bold=True)} {message}", err=True)
    if next_step:
        click.echo(f"{click.style('next:', bold=True)} {next_step}", err=True)


@click.group(
    cls=App,
    examples={
        "sqlora init demo --example retail": "write the example project into the folder demo",
        "sqlora -C demo train --recipe demo": "work on the project in another folder",
        'sqlora ask "How many stores are open?" --run': "a question, its SQL and its rows",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="sqlora %(version)s")
@click.option(
    "-C", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Work on the project in DIR instead of the current folder's.",
)  # fmt: skip
@click.pass_context
def app(ctx: click.Context, folder: Path | None) -> None:
    """Teach a small language model your SQL dialect and schema, and serve it on demand.

    The four steps: prepare, train, deploy, evaluate. Then ask.
    """
    ctx.obj = folder


def main() -> None:
    """The entry point of the ``sqlora`` script."""
    app(prog_name="sqlora")
