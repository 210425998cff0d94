"""What ``sqlora cost`` shows to people."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from sqlora.cli.output import print_next, print_table, printable, shown_path
from sqlora.cost.chart import chart, draw
from sqlora.cost.figures import Figures
from sqlora.cost.model import Line, MonthlyCost, dollars
from sqlora.cost.prices import NOT_FOUND, PriceTable
from sqlora.cost.refresh import Refreshed


def show(
    month: MonthlyCost,
    training: list[Line],
    figures: Figures | None,
    table: PriceTable,
    price_per_hour: Decimal | None,
    drawing: Path | None,
) -> None:
    """Everything, a month first and the prices' origin last."""
    _show_month(month)
    _show_chart(month)
    _show_training(training, figures)
    if figures is not None:
        _show_spent(figures)
    _show_machine(figures, price_per_hour)
    if drawing is not None:
        click.echo(f"chart: {shown_path(drawing)}")
    click.echo(printable(f"prices of {table.region} in {table.currency}, checked {table.checked}: {table.origin}"))


def show_refreshed(found: Refreshed, path: Path) -> None:
    """Each price before and now, and why the others stay as they were."""
    print_table(
        ["price", "unit", "before", "now", "since"],
        [
            [now.title, now.unit, _amount(before.value), _amount(now.value), str(now.date)]
            for before, now in found.changed
        ],
    )
    if found.kept:
        print_table(["kept as it was", "because"], list(found.kept.items()))
    click.echo(f"written to {shown_path(path)}; used from now on, until it is deleted or sqlora's own table is newer")
    print_next("sqlora cost")


def _amount(value: Decimal | None) -> str:
    return NOT_FOUND if value is None else f"${value.normalize():f}"


def _show_month(month: MonthlyCost) -> None:
    work = month.workload
    click.echo(
        f"{work.queries:,} questions a month, {work.input_tokens:,} tokens in and {work.output_tokens:,} out each"
    )
    rows: list[list[str]] = []
    for option in month.options:
        if len(option.lines) > 1:
            rows.append([option.name, dollars(option.total), "all lines below"])
            rows += [[f"  {line.name}", dollars(line.amount), line.formula] for line in option.lines]
        else:
            rows += [[option.name, dollars(option.total), line.formula] for line in option.lines]
    print_table(["a month", "costs", "because"], rows)
    for found in month.break_even:
        if found.text:
            click.echo(found.text)


def _show_chart(month: MonthlyCost) -> None:
    found = chart(month)
    if found is not None:
        click.echo("\n" + "\n".join(draw(found)) + "\n")


def _show_training(lines: list[Line], figures: Figures | None) -> None:
    if not lines:
        return
    rows = [[line.name, dollars(line.amount), line.formula, line.note] for line in lines]
    print_table(["training, once", "costs", "because", ""], rows)
    if figures and figures.data:
        data = figures.data
        click.echo(
            f"dataset {data.dataset}: {data.records:,} records, about {data.tokens:,} tokens; "
            "--training-tokens and --training-hours say it exactly"
        )


def _show_spent(figures: Figures) -> None:
    for spent in figures.spent:
        total = dollars(spent.total) if spent.total is not None else f"at least {dollars(spent.known)}"
        total = total if spent.billed else "not billed"
        asked = f"{spent.questions:,} questions, {spent.input_tokens:,} tokens in, {spent.output_tokens:,} out"
        rows = [[line.name, dollars(line.amount), line.formula] for line in spent.lines]
        print_table([f"so far: {spent.backend}", total, asked], rows)
    if figures.pace:
        pace, cost = figures.pace, dollars(figures.pace.month.on_demand.total)
        click.echo(
            f"a month at the pace since {pace.since:%Y-%m-%d}: {pace.month.workload.queries:,} questions, {cost} on "
            f"Bedrock on demand{f' ({pace.note})' if pace.note else ''}"
        )


def _show_machine(figures: Figures | None, price: Decimal | None) -> None:
    """How to compare with this machine, if it is not compared yet."""
    measured = figures.measured if figures else None
    if measured is not None and price is None:
        click.echo(
            f"this machine takes {measured.seconds.normalize():f} s a question ({measured.questions:,} asked); "
            "--price-per-hour 0.10 compares it"
        )
    if measured is None and price is not None:
        click.echo("this machine is not compared: it has answered no question of this project yet")
