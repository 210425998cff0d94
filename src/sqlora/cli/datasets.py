"""``sqlora datasets``: what was prepared."""

from __future__ import annotations

import shutil
from itertools import islice
from typing import Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_json, print_table
from sqlora.cli.prepare import print_dataset
from sqlora.cli.project import find_dataset, open_backend, open_project
from sqlora.errors import ConflictError


@nouns(
    examples={
        "sqlora datasets list": "newest first",
        "sqlora datasets show --examples 5": "the newest one's card and some of its examples",
        "sqlora datasets rm 3fa91c": "the beginning of an id is enough",
    }
)
def command() -> None:
    """Prepared datasets: their cards, their examples."""


@verb(
    command,
    "list",
    examples={
        "sqlora datasets list": "newest first",
        "sqlora datasets list --json": "with the whole cards",
        "sqlora datasets list --json | jq -r '.[].id'": "only the ids",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the datasets, newest first."""
    from sqlora.prepare import list_datasets

    found = list_datasets(open_project(ctx).state)
    if as_json:
        print_json([{"id": dataset.id, "folder": dataset.folder, **dataset.card} for dataset in found])
        return
    keys = ("train", "validation", "test")
    print_table(
        ["id", "created", "dialect", *keys],
        [
            [dataset.id, dataset.card.get("created"), dataset.card.get("dialect")]
            + [dataset.card.get("splits", {}).get(key) for key in keys]
            for dataset in found
        ],
    )


@verb(
    command,
    "show",
    examples={
        "sqlora datasets show": "the newest",
        "sqlora datasets show 3fa91c --examples 10": "with its first ten examples of each split",
        "sqlora datasets show --rejects 20": "with the first twenty that were left out, why, and what to do",
        "sqlora datasets show --json | jq .rejected_examples": "some of what was left out, and why",
    },
)
@click.argument("id", required=False)
@click.option("--examples", "count", type=click.IntRange(min=0), default=0, help="Show so many of each split.")
@click.option("--rejects", "most", type=click.IntRange(min=0), default=0, help="Show so many that were left out.")
@click.pass_context
def show(ctx: click.Context, id: str | None, count: int, most: int, as_json: bool) -> None:
    """Show the card of the dataset ID (default: the newest).

    The card is a page as well, card.html in the dataset's folder, and all that was left out is in rejects.jsonl there.
    """
    dataset = find_dataset(open_project(ctx), id)
    rejects = list(islice(dataset.rejects(), most))
    examples: list[Any] = []
    for split in ("train", "validation", "test") if count else ():
        examples += dataset.examples(split)[:count]
    if as_json:
        rows = [{"split": e.split, "question": e.question, "sql": e.sql} for e in examples]
        extra = {"examples": rows} if count else {}
        left_out = {"rejects": rejects} if most else {}
        print_json({"id": dataset.id, "folder": dataset.folder, **dataset.card, **extra, **left_out})
        return
    print_dataset(dataset)
    if examples:
        print_table(["split", "question", "sql"], [[e.split, e.question, e.sql] for e in examples])
    if rejects:
        keys = ("reason", "origin", "question", "detail", "suggestion")
        print_table(keys, [[reject.get(key, "") for key in keys] for reject in rejects])


@verb(
    command,
    "rm",
    examples={
        "sqlora datasets rm 3fa91c07b2de": "by id",
        "sqlora datasets rm 3fa91c": "by the beginning of its id",
        "sqlora datasets rm 3fa91c --json": "for a script",
    },
)
@click.argument("id")
@click.pass_context
def rm(ctx: click.Context, id: str, as_json: bool) -> None:
    """Remove the dataset ID; models trained on it stay."""
    project = open_project(ctx)
    dataset = find_dataset(project, id)
    if project.paths.database.exists():
        with open_backend(project) as place:
            users = [job for job in place.jobs() if job.dataset_id == dataset.id and not job.ended]
        if users:
            raise ConflictError(
                f"dataset {dataset.id} is being trained on by job {users[0].id}", f"sqlora jobs stop {users[0].id}"
            )
    aside = dataset.folder.with_name(f".{dataset.id}.removed")  # gone at once, however long its files take
    dataset.folder.rename(aside)
    shutil.rmtree(aside)
    if as_json:
        print_json({"removed": dataset.id})
    else:
        click.echo(f"removed dataset {dataset.id}")
