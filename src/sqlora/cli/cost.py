"""``sqlora cost``: a month of questions, training, break-even, and what was used so far."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_table, warn
from sqlora.errors import ConfigError

if TYPE_CHECKING:
    from sqlora.cost.model import Line, MonthlyCost
    from sqlora.cost.usage import Projection

CHARACTERS_A_TOKEN = 3.5  # of SQL and schema text; only to estimate a training whose tokens nobody counted


class Hours(click.ParamType[Decimal]):
    """A number of hours, kept exact."""

    name = "hours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Decimal of the text."""
        try:
            hours = Decimal(str(value))
        except InvalidOperation:
            hours = Decimal(-1)
        if not hours.is_finite() or hours < 0:
            self.fail(f"{value!r} is not a number of hours", param, ctx)
        return hours


@make(
    name="cost",
    examples={
        "sqlora cost": "100 users × 10 questions × 22 days = 22,000 questions a month",
        "sqlora cost --queries 500000 --input-tokens 1200": "another month",
        "sqlora cost --training-tokens 2000000 --epochs 2": "with the training",
    },
)
@click.option("--queries", type=click.IntRange(min=0), default=22_000, show_default=True, help="Questions a month.")
@click.option("--input-tokens", type=click.IntRange(min=0), default=800, show_default=True, help="Of each question.")
@click.option("--output-tokens", type=click.IntRange(min=0), default=60, show_default=True, help="Of each answer.")
@click.option("--models", type=click.IntRange(min=0), default=1, show_default=True, help="Custom models stored.")
@click.option("--training-tokens", type=click.IntRange(min=0), help="Tokens of the training data (default: estimated).")
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True, help="Times they are seen.")
@click.option("--training-hours", type=Hours(), help="Hours of a SageMaker training job.")
@click.pass_context
def command(
    ctx: click.Context,
    queries: int,
    input_tokens: int,
    output_tokens: int,
    models: int,
    training_tokens: int | None,
    epochs: int,
    training_hours: Decimal | None,
    as_json: bool,
) -> None:
    """What a month of questions costs on Bedrock on demand and by hosting, and from how many on hosting is cheaper.

    In a project, also what its usage so far would have cost, and a month at that pace. Prices are dated; each is named
    with its source in sqlora/cost/prices.toml.
    """
    from sqlora.cost.model import bedrock_training_cost, monthly_cost, sagemaker_training_cost
    from sqlora.cost.prices import load_prices

    table = load_prices()
    month = monthly_cost(queries, input_tokens, output_tokens, models, table)
    tokens, how = (training_tokens, "") if training_tokens is not None else _training_tokens(ctx)
    training: list[Line] = [bedrock_training_cost(tokens, epochs, table)] if tokens is not None else []
    training += sagemaker_training_cost(training_hours, table) if training_hours is not None else ()
    usage = _usage(ctx, models)
    for text in table.warnings(dt.date.today()):
        warn(text)
    if as_json:
        print_json(
            {
                **month.as_dict(),
                "training": [line.as_dict() for line in training],
                "usage": usage.as_dict() if usage else None,
                "prices": {"checked": table.checked.isoformat(), "currency": table.currency, "region": table.region},
            }
        )
        return
    _print_month(month)
    _print_training(training, how)
    if usage:
        _print_usage(usage)
    click.echo(f"prices of {table.region} in {table.currency}, checked {table.checked}")


def _training_tokens(ctx: click.Context) -> tuple[int | None, str]:
    """An estimate from the newest dataset's size, and how it was made; None outside a project or without one."""
    from sqlora.prepare import list_datasets
    from sqlora.project import find_project_file

    try:
        state = find_project_file(ctx.obj).parent / ".sqlora"
    except ConfigError:
        return None, ""
    datasets = list_datasets(state)
    if not datasets:
        return None, ""
    size = datasets[0].path("train").stat().st_size
    return round(size / CHARACTERS_A_TOKEN), f"dataset {datasets[0].id}: {size:,} bytes / {CHARACTERS_A_TOKEN}"


def _usage(ctx: click.Context, models: int) -> Projection | None:
    """What this project's deployments have used; None outside a project or before the first question."""
    from sqlora.cost.usage import project_usage
    from sqlora.project import StateFolder, find_project_file

    try:
        paths = StateFolder(find_project_file(ctx.obj).parent / ".sqlora")
    except ConfigError:
        return None
    if not paths.database.exists():
        return None
    from sqlora.platform.state import State

    with State(paths.database) as state:
        rows = state.usage.list(limit=10_000_000)
    return project_usage(rows, dt.datetime.now(dt.UTC), models) if rows else None


def _print_month(month: MonthlyCost) -> None:
    from sqlora.cost.model import dollars

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
        if found.queries is not None:
            click.echo(f"{found.hosting} costs less from {found.queries:,} questions a month on")


def _print_training(lines: list[Line], how: str) -> None:
    from sqlora.cost.model import dollars

    if lines:
        rows = [[line.name, dollars(line.amount), line.formula] for line in lines]
        print_table(["training, once", "costs", "because"], rows)
        if how:
            click.echo(f"tokens estimated from {how}; --training-tokens gives them exactly")


def _print_usage(usage: Projection) -> None:
    from sqlora.cost.model import dollars

    print_fields(
        {
            "used so far": f"{usage.queries:,} questions, "
            f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out",
            "since": usage.since,
            "would have cost": f"{dollars(usage.so_far)} on Bedrock on demand",
            "a month so": f"{dollars(usage.month.on_demand.total)} {usage.note}".strip() if usage.month else None,
        }
    )
