"""``sqlora evaluate``: test questions × models → report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import percent, print_fields, print_json, print_table, warn
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import find_dataset, open_backend, open_project
from sqlora.errors import NotFoundError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.evaluate.report.contents import ModelResult, Report, Share, Spread
    from sqlora.evaluate.run import EvaluateProgress
    from sqlora.project import Project


@make(
    name="evaluate",
    examples={
        "sqlora evaluate": "the base model against the newest deployment",
        "sqlora evaluate --model base --model larkspur --limit 50": "the first 50 questions, to look quickly",
        "sqlora evaluate --no-latency --json > result.json": "accuracy only, for a script",
        "sqlora evaluate --backend bedrock --cold-idle 600": "Nova, untuned and tuned; cold starts as AWS times them",
    },
)
@click.option("--model", "models", multiple=True, metavar="NAME", help="A deployment, or base; give it several times.")
@click.option("--dataset", metavar="ID", help="Its test questions instead of the newest dataset's.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask only the first so many questions.")
@click.option("--backend", type=click.Choice(["local", "bedrock", "sagemaker"]), help="Whose base model base is.")
@click.option("--no-latency", is_flag=True, help="Leave out the timed questions.")
@click.option(
    "--cold-idle", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True),
    help="Wait so long before each cold start where a model cannot be unloaded (AWS: 600).",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    models: tuple[str, ...],
    dataset: str | None,
    limit: int | None,
    backend: str | None,
    no_latency: bool,
    cold_idle: float | None,
    as_json: bool,
) -> None:
    """Ask the dataset's test questions and compare the rows of each answer with the reference's.

    The first model is the baseline of the others. Answers are kept as they come: a run that was stopped goes on.
    """
    from sqlora.evaluate.latency import LatencyPlan
    from sqlora.evaluate.run import evaluate

    project = open_project(ctx, {"evaluate.limit": limit, "train.backend": backend})
    data = find_dataset(project, dataset)
    with open_backend(project) as place, ProgressLine() as line:
        report = evaluate(
            project,
            data,
            place,
            models or project.evaluate.models or _default_models(place),
            progress=lambda step: _show(line, step),
            limit=project.evaluate.limit,
            latency=None if no_latency else LatencyPlan(cold_idle=cold_idle),
        )
    folder = project.paths.evaluation(report.id)
    if as_json:
        print_json({**report.model_dump(mode="json", exclude={"questions"}), "folder": str(folder)})
        return
    _print(report, project)


def _default_models(place: Everywhere) -> tuple[str, ...]:
    """The base model and the newest deployment, on the backend that trains if it has one."""
    active = [deployment for deployment in place.deployments() if deployment.status == "Active"]
    if not active:
        models = place.models()
        raise NotFoundError(
            "nothing is deployed to compare with the base model",
            f"sqlora deploy {models[0].name}" if models else "sqlora train (or --model base measures the base alone)",
        )
    same = [deployment for deployment in active if deployment.backend == place.project.train.backend]
    return ("base", (same or active)[0].name)


def _show(line: ProgressLine, step: EvaluateProgress) -> None:
    about = f"{step.phase}{f' of {step.model}' if step.model else ''}"
    right = f"{step.correct} right" if step.phase == "questions" else ""
    line.update(about, step.done, step.total, right, step.seconds_left)


def _print(report: Report, project: Project) -> None:
    print_table(
        ["model", "right", "95 % interval", "valid", "runs", "exact", "first token", "tokens/s"],
        [_row(model) for model in report.models],
    )
    for pair in report.differences:
        sure = "significant" if pair.significant else "not significant"
        click.echo(
            f"{pair.model} against {pair.baseline}: {100 * pair.difference:+.1f} points "
            f"({100 * pair.low:+.1f} to {100 * pair.high:+.1f}; {sure}, p = {pair.p_value:.2g}); "
            f"{pair.fixed} fixed, {pair.regressions} broken, of {pair.n}"
        )
    for note in report.notes:
        warn(note)
    folder = project.paths.evaluation(report.id)
    print_fields({"questions": len(report.questions), "report": folder / "report.html"})


def _row(model: ModelResult) -> list[Any]:
    accuracy, latency = model.execution_accuracy, model.latency
    first = (latency.warm_first_token or latency.cold_first_token) if latency else None
    return [
        model.name,
        f"{percent(accuracy.value)} of {accuracy.n}",
        f"{percent(accuracy.low)} to {percent(accuracy.high)}",
        _share(model.valid),
        _share(model.runs),
        _share(model.exact),
        _median(first, "s"),
        _median(latency.tokens_per_second if latency else None),
    ]


def _share(share: Share) -> str:
    return percent(share.value)


def _median(spread: Spread | None, unit: str = "") -> str:
    return "–" if spread is None else f"{spread.median:.3g} {unit}".strip()
