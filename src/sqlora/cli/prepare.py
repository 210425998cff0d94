"""``sqlora prepare``: sources → dataset."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import percent, print_fields, print_json, print_next, print_table, shown_path, warn
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_project

if TYPE_CHECKING:
    from sqlora.prepare import Dataset
    from sqlora.prepare.validate import Validation

SHOWN = 20  # problems of a checked file that are listed


@make(
    name="prepare",
    examples={
        "sqlora prepare": "at once if nothing changed since last time",
        "sqlora prepare --again": "look at everything anew, after the database's data changed",
        "sqlora prepare --json | jq .splits": "how many examples each split has",
        "sqlora prepare --check train.jsonl --backend bedrock": "would Bedrock take this file? Needs no project",
    },
)
@click.option("--again", is_flag=True, help="Make it anew even if nothing seems to have changed.")
@click.option(
    "--check", "file", metavar="FILE", type=click.Path(path_type=Path),
    help="Make nothing; check a JSONL file of training records against a backend's rules.",
)  # fmt: skip
@click.option(
    "--backend", type=click.Choice(["bedrock", "sagemaker", "local"]), help="With --check: whose rules (bedrock)."
)
@click.pass_context
def command(
    ctx: click.Context,
    again: bool,
    file: Path | None,
    backend: Literal["bedrock", "sagemaker", "local"] | None,
    as_json: bool,
) -> None:
    """Make the dataset out of the database and the sources in sqlora.toml.

    Every example is parsed in the dialect, checked against the schema and run; what fails is left out and counted.
    Questions about the same query structure stay in one split, so that nothing tested was taught: [prepare] split has
    other ways. The dataset's card says what is in it, what was left out, and what it can teach.
    """
    if file is not None:
        _check(ctx, file, backend or "bedrock", as_json)
        return
    if backend is not None:
        raise click.UsageError("--backend goes with --check FILE; sqlora train --backend trains elsewhere")
    from sqlora.prepare import prepare

    project = open_project(ctx)
    with ProgressLine() as line:
        dataset = prepare(
            project, lambda step: line.update(f"preparing {step.phase}:", step.done, step.total), again=again
        )
    for note in dataset.card.get("notes", ()):
        warn(note)
    if as_json:
        print_json({"id": dataset.id, "folder": dataset.folder, **dataset.card})
        return
    print_dataset(dataset)
    print_next("sqlora train")


def _check(ctx: click.Context, file: Path, backend: Literal["bedrock", "sagemaker", "local"], as_json: bool) -> None:
    """Every line of a file that a backend would refuse; exit code 1 when there is one."""
    from sqlora.prepare.validate import validate

    checked = validate(file, backend)
    if as_json:
        print_json(_as_dict(checked))
    else:
        _show(checked)
    ctx.exit(0 if checked.passed else 1)


def _as_dict(checked: Validation) -> dict[str, Any]:
    problems = [{"line": each.line, "problem": each.message, "next": each.next_step} for each in checked.problems]
    return {
        "file": str(checked.file),
        "backend": checked.backend,
        "records": checked.records,
        "passed": checked.passed,
        "count": checked.count,
        "problems": problems,
    }


def _show(checked: Validation) -> None:
    name = shown_path(checked.file)
    if checked.passed:
        click.echo(f"{name}: {_count(checked.records, 'record')}; {checked.backend} takes them")
        return
    print_table(
        ["line", "problem", "next"],
        [[each.line or "all", each.message, each.next_step] for each in checked.problems[:SHOWN]],
    )
    more = checked.count - min(len(checked.problems), SHOWN)
    rest = f" ({more:,} more than are listed; --json lists them)" if more else ""
    found = f"{_count(checked.records, 'record')}, {_count(checked.count, 'problem')}{rest}"
    click.echo(f"{name}: {found}; {checked.backend} does not take it")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def print_dataset(dataset: Dataset) -> None:
    """The card, for people: its main facts, and where the rest is."""
    card = dataset.card
    splits = card.get("splits", {})
    print_fields(
        {
            "dataset": dataset.id,
            "dialect": card.get("dialect"),
            "created": card.get("created"),
            "split": card.get("split"),
            "examples": ", ".join(f"{count:,} {split}" for split, count in splits.items()),
            "structures": ", ".join(f"{count:,} {split}" for split, count in card.get("templates", {}).items()),
            "rejected": ", ".join(f"{count:,} {reason}" for reason, count in card.get("rejected", {}).items()),
            **_coverage(card),
            "look-alikes": card.get("look_alikes", {}).get("count") or None,
            "training": _cost(card),
            "folder": dataset.folder,
            "card": dataset.page,
        }
    )
    sources: dict[str, Any] = card.get("sources", {})
    keys = ("seen", "kept", "train", "validation", "test")
    print_table(["source", *keys], [[name, *(counts.get(key) for key in keys)] for name, counts in sources.items()])


def _coverage(card: dict[str, Any]) -> dict[str, str]:
    """What the training examples use of SQL, of the dialect's own words and of the schema; what is missing, by name."""
    found = card.get("coverage", {})
    taught = Counter[str]()
    for group in found.get("constructs", {}).values():
        taught.update({name: counts["train"] for name, counts in group.items()})
    fields: dict[str, str] = {}
    if any(taught.values()):
        never = [name for name, count in taught.items() if not count]
        fields["SQL taught"] = f"{len(taught) - len(never)} of {len(taught)} constructs{_without(never)}"
    words = {word: count for kind in found.get("dialect", {}).values() for word, count in kind.items()}
    if words:
        never = [word for word, count in words.items() if not count]
        fields["dialect taught"] = f"{len(words) - len(never)} of {len(words)} words of its own{_without(never)}"
    if schema := found.get("schema"):
        tables = f"{schema['tables_used']:,} of {schema['tables']:,} tables"
        columns = f"{schema['columns_used']:,} of {schema['columns']:,} columns"
        fields["schema taught"] = f"{tables}, {columns}{_without(schema['unused_tables'])}"
    if pruning := card.get("pruning"):
        tables, columns = percent(pruning["tables"]), percent(pruning["columns"])
        fields["pruned schemas"] = f"have {tables} of the needed tables and {columns} of the needed columns"
    if untaught := found.get("untaught"):
        fields["tested, never taught"] = ", ".join(untaught)
    return fields


def _without(names: list[str]) -> str:
    if not names:
        return ""
    more = f", {len(names) - 8:,} more" if len(names) > 8 else ""
    return f"; without {', '.join(names[:8])}{more}"


def _cost(card: dict[str, Any]) -> str | None:
    """``$8.00 on bedrock, …``: of the backends that send a bill."""
    backends = card.get("cost", {}).get("backends", {})
    known = [f"{option['shown']} on {name}" for name, option in backends.items() if name != "local"]
    return f"{', '.join(known)}, estimated" if known else None
