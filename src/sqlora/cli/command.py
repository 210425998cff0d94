"""What a command looks like: its help ends with examples, and ``--json`` prints for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


class Examples(click.Command):
    """A command whose help shows ``examples``: command line → what it does."""

    def __init__(self, *args: Any, examples: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = dict(examples or {})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one a line."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(list(self.examples.items()), col_max=64)


class Nouns(Examples, click.Group):
    """A group of commands with examples in its help."""


def command(examples: Mapping[str, str], name: str | None = None) -> Callable[[Function], Examples]:
    """A command with examples and ``--json`` (the function's ``as_json``)."""

    def decorate(function: Function) -> Examples:
        made: Examples = click.command(name=name, cls=Examples, examples=examples)(function)
        made.params.append(click.Option(["--json", "as_json"], is_flag=True, help="Print JSON on standard output."))
        return made

    return decorate


def nouns(examples: Mapping[str, str]) -> Callable[[Function], Nouns]:
    """A group such as ``sqlora models``."""

    def decorate(function: Function) -> Nouns:
        made: Nouns = click.group(cls=Nouns, examples=examples)(function)
        return made

    return decorate


def verb(group: Nouns, name: str, examples: Mapping[str, str]) -> Callable[[Function], Examples]:
    """A command of a group: ``list``, ``show``, ``rm`` …"""

    def decorate(function: Function) -> Examples:
        made = command(examples, name)(function)
        group.add_command(made)
        return made

    return decorate
