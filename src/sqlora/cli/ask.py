"""``sqlora ask``: question → SQL as it is written, then its rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.command import command as make
from sqlora.cli.output import duration, print_json, print_table, printable, warn
from sqlora.cli.project import open_backend, open_project
from sqlora.errors import NotFoundError, SqloraError

if TYPE_CHECKING:
    from sqlora.backends.everywhere import Everywhere
    from sqlora.engines.base import Completion, Sampling
    from sqlora.project import Project
    from sqlora.sql.execute import ResultSet


@make(
    name="ask",
    examples={
        'sqlora ask "Which store sold the most in March 2025?"': "the SQL",
        'sqlora ask "How many customers are walk-ins?" --run': "and its rows, read-only",
        'sqlora ask "Top 5 products" --deployment base --json': "the untuned model, for comparison",
    },
)
@click.argument("question")
@click.option("--deployment", metavar="NAME", help="Who answers: a deployment, or base (default: the project's).")
@click.option("--run", is_flag=True, help="Run the SQL, read-only and within the limits, and show its rows.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer.")
@click.pass_context
def command(
    ctx: click.Context, question: str, deployment: str | None, run: bool, max_tokens: int | None, as_json: bool
) -> None:
    """Turn QUESTION into SQL in the project's dialect.

    The answer is checked before anything is run: one query that reads, naming only what the schema has. Where it is
    not, or with --run does not run, the most probable other answer that is takes its place.
    """
    if not question.strip():
        raise click.BadParameter("the question is empty", param_hint="QUESTION")
    from sqlora.backends.routing import can_search
    from sqlora.engines.base import Sampling
    from sqlora.evaluate.models import is_base
    from sqlora.prompting import record

    project = open_project(ctx)
    with open_backend(project) as place:
        name = deployment or _default_deployment(project, place)
        conversation = record(place.system(name, question), question)
        sampling = Sampling(max_tokens=max_tokens or project.evaluate.max_tokens)
        completion = _answer(place, name, conversation, sampling, not as_json)
        if not is_base(project, name) and can_search(place, name):
            completion = _revise(project, place, name, conversation, completion, sampling, run, not as_json)
    findings, result, error = _look(project, completion.text, run)
    if as_json:
        print_json(_as_json(question, name, completion, findings, result, error))
    elif result is not None:
        _print_result(result)
    if not as_json:
        _print_timing(completion)
        for finding in findings if error is None else ():
            warn(str(finding))
    if error is not None:
        error.next_step = error.next_step or "ask in other words, or train with more examples like this question"
        raise error


def _default_deployment(project: Project, place: Everywhere) -> str:
    """[deploy] name, else the newest deployment."""
    if project.deploy.name:
        return project.deploy.name
    active = [deployment for deployment in place.deployments() if deployment.status == "Active"]
    if not active:
        models = place.models()
        raise NotFoundError(
            f"nothing is deployed in {project.folder}",
            f"sqlora deploy {models[0].name}" if models else "sqlora train (or --deployment base asks the base model)",
        )
    return active[0].name


def _answer(
    place: Everywhere, deployment: str, conversation: dict[str, Any], sampling: Sampling, echo: bool
) -> Completion:
    """Stream the answer to standard output; the whole of it."""
    from sqlora.engines.base import Delta

    completion: Completion | None = None
    for piece in place.converse(deployment, conversation, sampling):
        if not isinstance(piece, Delta):
            completion = piece
        elif echo:
            click.echo(printable(piece.text), nl=False)
    if echo:
        click.echo()
    assert completion is not None  # every stream ends with one
    return completion


def _revise(
    project: Project, place: Everywhere, deployment: str, conversation: dict[str, Any], first: Completion,
    sampling: Sampling, run: bool, echo: bool,
) -> Completion:  # fmt: skip
    """The answer, or where it fails the next best that does not."""
    from sqlora.backends.revise import revise
    from sqlora.prompting import clean_sql

    failures: list[str] = []

    def sound(place: int, text: str) -> bool:
        findings, _, error = _look(project, text, run)
        failures.extend(str(finding) for finding in findings[:1])
        if error is not None and not findings:
            failures.append(error.message.splitlines()[0])
        return not findings and error is None

    beams = project.evaluate.beams
    [answer] = revise(place, deployment, [conversation], [first], sound, sampling, beams, caller="ask")
    if answer.alternatives and echo:
        warn(f"{failures[0]}; the next best answer:")
        click.echo(printable(clean_sql(answer.text)))
    return answer


def _look(project: Project, answer: str, run: bool) -> tuple[list[Any], ResultSet | None, SqloraError | None]:
    """What is wrong with the SQL; its rows, if they are asked for, or why there are none."""
    from sqlora.errors import QueryRejected
    from sqlora.prompting import clean_sql
    from sqlora.sql.check import check
    from sqlora.sql.execute import Limits, run_query

    if project.database.url is None and not run:
        return [], None, None  # without a schema nothing can be told
    sql, dialect = clean_sql(answer), project.dialect()
    with project.open_database(isolated=run) as database:
        schema = database.schema()
        if not run:
            return list(check(sql, dialect, schema)), None, None
        limits = Limits(project.evaluate.seconds, project.evaluate.rows, project.evaluate.memory_mb)
        try:
            return [], run_query(sql, dialect, database, schema, limits), None
        except QueryRejected as error:
            return list(error.findings), None, error
        except SqloraError as error:
            return [], None, error


def _print_result(result: ResultSet) -> None:
    print_table(result.columns, result.rows)
    rows = "1 row" if len(result.rows) == 1 else f"{len(result.rows):,} rows"
    click.echo(f"{rows}{', cut at the limit' if result.truncated else ''} in {result.seconds:.2f} s", err=True)


def _print_timing(completion: Completion) -> None:
    if completion.stop_reason == "max_tokens":
        warn(f"the answer was cut at {completion.output_tokens} tokens (--max-tokens)")
    if sys.stderr.isatty():
        text = f"first token {completion.first_token_seconds:.2f} s, {completion.output_tokens} tokens"
        click.secho(f"{text} in {duration(completion.seconds)}", dim=True, err=True)


def _as_json(
    question: str,
    deployment: str,
    completion: Completion,
    findings: list[Any],
    result: ResultSet | None,
    error: SqloraError | None,
) -> dict[str, Any]:
    from sqlora.prompting import clean_sql

    fields: dict[str, Any] = {
        "question": question,
        "deployment": deployment,
        "sql": clean_sql(completion.text),
        "valid": not findings,
        "revised": bool(completion.alternatives),
        "findings": [vars(finding) for finding in findings],
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "cached_tokens": completion.cached_tokens,
        "stop_reason": completion.stop_reason,
        "first_token_seconds": completion.first_token_seconds,
        "seconds": completion.seconds,
    }
    if result is not None:
        fields |= {"columns": result.columns, "rows": result.rows, "truncated": result.truncated}
    if error is not None:
        fields["error"] = error.message
    return fields
