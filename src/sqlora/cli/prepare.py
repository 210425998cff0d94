"""``sqlora prepare``: sources → dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_next, print_table
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_project

if TYPE_CHECKING:
    from sqlora.prepare import Dataset


@make(
    name="prepare",
    examples={
        "sqlora prepare": "at once if nothing changed since last time",
        "sqlora prepare --again": "look at everything anew, after the database's data changed",
        "sqlora prepare --json | jq .splits": "how many examples each split has",
    },
)
@click.option("--again", is_flag=True, help="Make it anew even if nothing seems to have changed.")
@click.pass_context
def command(ctx: click.Context, again: bool, as_json: bool) -> None:
    """Make the dataset out of the database and the sources in sqlora.toml.

    Every example is parsed in the dialect, checked against the schema and run; what fails is left out and counted.
    Questions about the same query structure stay in one split, so that nothing tested was taught.
    """
    from sqlora.prepare import prepare

    project = open_project(ctx)
    with ProgressLine() as line:
        dataset = prepare(
            project, lambda step: line.update(f"preparing {step.phase}:", step.done, step.total), again=again
        )
    if as_json:
        print_json({"id": dataset.id, "folder": dataset.folder, **dataset.card})
        return
    print_dataset(dataset)
    print_next("sqlora train")


def print_dataset(dataset: Dataset) -> None:
    """The card, for people."""
    card = dataset.card
    splits = card.get("splits", {})
    print_fields(
        {
            "dataset": dataset.id,
            "dialect": card.get("dialect"),
            "created": card.get("created"),
            "examples": ", ".join(f"{count:,} {split}" for split, count in splits.items()),
            "rejected": ", ".join(f"{count:,} {reason}" for reason, count in card.get("rejected", {}).items()),
            "folder": dataset.folder,
        }
    )
    sources: dict[str, Any] = card.get("sources", {})
    keys = ("seen", "kept", "train", "validation", "test")
    print_table(["source", *keys], [[name, *(counts.get(key) for key in keys)] for name, counts in sources.items()])
