"""``sqlora cost``: a month of questions, training, break-even, and what was spent so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import print_json, warn
from sqlora.errors import ConfigError

if TYPE_CHECKING:
    from sqlora.cost.figures import Figures
    from sqlora.cost.model import Line, MonthlyCost, Option
    from sqlora.cost.prices import PriceTable
    from sqlora.project import Project


class Amount(click.ParamType[Decimal]):
    """A number of hours or dollars, kept exact."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Decimal of the text."""
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is not a number of {self.name}", param, ctx)
        return amount


G5_48XLARGE = "ml.g5.48xlarge"


@dataclass(frozen=True)
class _Plan:
    """A training as the command line has it; None: to be estimated, or not to be told."""

    model_id: str
    tokens: int | None
    epochs: int
    hours: Decimal | None
    instance: str
    price_per_hour: Decimal | None


@make(
    name="cost",
    examples={
        "sqlora cost": "100 users × 10 questions × 22 days = 22,000 questions a month",
        "sqlora cost --price-per-hour 0.10 --chart cost.svg": "against this machine, as a chart",
        "sqlora cost --training-tokens 2000000 --epochs 2": "with the training",
        "sqlora cost --refresh": "today's prices from AWS's price list, kept until deleted",
    },
)
@click.option("--queries", type=click.IntRange(min=0), default=22_000, show_default=True, help="Questions a month.")
@click.option("--input-tokens", type=click.IntRange(min=0), default=800, show_default=True, help="Of each question.")
@click.option("--output-tokens", type=click.IntRange(min=0), default=60, show_default=True, help="Of each answer.")
@click.option("--models", type=click.IntRange(min=0), default=1, show_default=True, help="Custom models stored.")
@click.option("--nova", type=click.Choice(["micro", "lite", "pro"]), help="Size of the model (default: [aws] model).")
@click.option("--training-tokens", type=click.IntRange(min=0), help="Tokens of the training data (default: estimated).")
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True, help="Times they are seen.")
@click.option("--training-hours", type=Amount("hours"), help="Hours of a SageMaker training job (default: estimated).")
@click.option("--price-per-hour", type=Amount("dollars"), help="Dollars an hour of this machine costs (or [cost]).")
@click.option(
    "--prices", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="A price table that goes before sqlora's, price by price (or [cost] prices).",
)  # fmt: skip
@click.option(
    "--chart", "drawing", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a chart, SVG."
)
@click.option("--refresh", is_flag=True, help="Ask AWS's price list, keep today's prices, say what changed.")
@click.pass_context
def command(
    ctx: click.Context,
    queries: int,
    input_tokens: int,
    output_tokens: int,
    models: int,
    nova: str | None,
    training_tokens: int | None,
    epochs: int,
    training_hours: Decimal | None,
    price_per_hour: Decimal | None,
    prices: Path | None,
    drawing: Path | None,
    refresh: bool,
    as_json: bool,
) -> None:
    """What a month of questions costs on Bedrock on demand, by hosting and here, and where the break-even is.

    In a project, also what was really spent so far, by backend, and a month at that pace. Prices are dated; each is
    named with its source in the price table.
    """
    from sqlora.cost.figures import project_figures
    from sqlora.cost.model import monthly_cost
    from sqlora.cost.prices import billed_model, family_of, load_prices

    if drawing is not None and drawing.suffix.lower() != ".svg":
        raise ConfigError(f"--chart {drawing}: the chart is an SVG file", f"--chart {drawing.with_suffix('.svg')}")
    project = _project(ctx)
    if refresh:
        _refresh(project, as_json)
        return
    table = load_prices(prices or (project.cost.prices if project else None))
    for text in table.warnings(dt.date.today()):
        warn(text)
    if price_per_hour is None and project is not None:
        price_per_hour = project.cost.price_per_hour
    model_id = f"amazon.nova-{nova}-v1:0" if nova else billed_model(project.aws.model if project else "")
    figures = project_figures(project, table, dt.datetime.now(dt.UTC), models) if project else None
    here = _machine(figures, price_per_hour, queries)
    month = monthly_cost(queries, input_tokens, output_tokens, models, table, family_of(model_id), here)
    instance = project.aws.instance if project else G5_48XLARGE
    plan = _Plan(model_id, training_tokens, epochs, training_hours, instance, price_per_hour)
    training = _training(plan, figures, table)
    if drawing is not None:
        _draw(month, table, drawing)
    if as_json:
        print_json(_answer(month, training, figures, table, drawing))
        return
    from sqlora.cli.cost_view import show

    show(month, training, figures, table, price_per_hour, drawing)


def _project(ctx: click.Context) -> Project | None:
    """The project, if we are in one; its mistakes are errors all the same."""
    from sqlora.project import find_project_file, load_project

    try:
        find_project_file(ctx.obj)
    except ConfigError:
        return None
    return load_project(ctx.obj)


def _machine(figures: Figures | None, price: Decimal | None, queries: int) -> tuple[Option, ...]:
    """This machine as a way to answer; nothing without a price, or before it has answered."""
    from sqlora.cost.machine import Machine, machine_options

    if price is None or figures is None or figures.measured is None:
        return ()
    return machine_options(Machine(figures.measured.seconds, figures.measured.questions, price), queries)


def _training(plan: _Plan, figures: Figures | None, table: PriceTable) -> list[Line]:
    """What a training costs on each backend, as far as it can be said: from the command line, else estimated."""
    from sqlora.cost.model import bedrock_training_cost
    from sqlora.cost.training import local_training

    lines: list[Line] = []
    data = figures.data if figures else None
    tokens = plan.tokens if plan.tokens is not None else data.tokens if data else None
    if tokens is not None:
        lines.append(bedrock_training_cost(tokens, plan.epochs, table, plan.model_id))
    lines += _by_the_hour(plan, data.records if data else None, table)
    if plan.price_per_hour is not None and figures and figures.training:
        lines += local_training(figures.training.hours, plan.price_per_hour).lines
    return lines


def _by_the_hour(plan: _Plan, records: int | None, table: PriceTable) -> list[Line]:
    """SageMaker's; a pace to estimate the hours by is known of one instance only."""
    from sqlora.cost.model import sagemaker_training_cost
    from sqlora.cost.training import nova_hours_estimate, sagemaker_training

    if plan.hours is not None:
        if plan.instance == G5_48XLARGE:
            return list(sagemaker_training_cost(plan.hours, table))
        return list(sagemaker_training(plan.hours, plan.instance, table).lines)
    if records is None or plan.instance != G5_48XLARGE:
        return []
    estimate = sagemaker_training(nova_hours_estimate(records, plan.epochs), plan.instance, table)
    return [replace(line, formula=f"about {line.formula}") for line in estimate.lines]


def _draw(month: MonthlyCost, table: PriceTable, file: Path) -> None:
    from sqlora.cost.chart import chart
    from sqlora.cost.svg import svg

    found = chart(month)
    if found is None:
        raise ConfigError("nothing to draw: the price table has no price of on demand", "sqlora cost --refresh")
    work = month.workload
    subtitle = (
        f"{work.input_tokens:,} tokens in and {work.output_tokens:,} out of each question; "
        f"prices of {table.region} in {table.currency}, checked {table.checked}"
    )
    try:
        file.write_text(svg(found, subtitle), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the chart {file} can't be written: {error.strerror}", "--chart FILE elsewhere") from None


def _answer(
    month: MonthlyCost, training: list[Line], figures: Figures | None, table: PriceTable, drawing: Path | None
) -> dict[str, Any]:
    return {
        **month.as_dict(),
        "training": [line.as_dict() for line in training],
        "usage": figures.pace.as_dict() if figures and figures.pace else None,
        "spent": [each.as_dict() for each in figures.spent] if figures else [],
        "chart": str(drawing) if drawing else None,
        "prices": {
            "checked": table.checked.isoformat(),
            "currency": table.currency,
            "region": table.region,
            "origin": table.origin,
        },
    }


def _refresh(project: Project | None, as_json: bool) -> None:
    """Ask, keep, and say what changed; nothing is kept unless all was read."""
    from sqlora.cost.prices import load_prices
    from sqlora.cost.refresh import API_REGION, keep, refresh
    from sqlora.settings import AwsSection

    settings = (project.aws if project else AwsSection()).model_copy(update={"region": API_REGION})
    click.echo(f"asking AWS's price list (Pricing API, {API_REGION}) for today's prices", err=True)
    try:
        from sqlora.backends.aws.account import Account
        from sqlora.backends.aws.errors import aws_errors

        with aws_errors("read AWS's price list", "allow the action pricing:GetProducts"):
            found = refresh(load_prices(), Account(settings).client("pricing"), dt.datetime.now(dt.UTC).date())
    except ImportError as error:
        raise ConfigError(f"AWS needs the package {error.name}", "pip install 'sqlora[aws]'") from error
    path = keep(found.table)
    if as_json:
        print_json(found.as_dict() | {"written": str(path)})
        return
    from sqlora.cli.cost_view import show_refreshed

    show_refreshed(found, path)
