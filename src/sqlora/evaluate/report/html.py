"""report.html: the report as one file that opens offline, in light or dark, with nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlora.evaluate.report import questions, tables
from sqlora.evaluate.report.contents import Difference, ModelResult, Report, Share
from sqlora.evaluate.report.figures import bar, p_value, percent, points, whole_interval
from sqlora.evaluate.report.json import write_aside
from sqlora.pages.document import document, read_asset
from sqlora.pages.element import Html, element, join

FILE = "report.html"


def write_html(report: Report, folder: Path) -> Path:
    """Write ``report.html`` into ``folder``; its path."""
    return write_aside(folder / FILE, render(report))


def render(report: Report) -> str:
    """The whole page."""
    main = element(
        "main", _header(report), _headline(report), tables.measures(report), tables.errors(report),
        tables.breakdown(report), questions.section(report), _method(report),
    )  # fmt: skip
    style, script = (read_asset("sqlora.evaluate.report", name) for name in ("page.css", "page.js"))
    return document(f"{report.project}: evaluation {report.id}", main, style, script)


def _header(report: Report) -> Html:
    facts = {
        "dialect": report.dialect,
        "test questions": str(report.golds.total),
        "dataset": report.dataset,
        "evaluation": report.id,
        "made": report.created.replace("T", " ").replace("+00:00", " UTC"),
    }
    return element(
        "header",
        element("h1", f"{report.project}: does it write the right SQL?"),
        element("p", [element("span", f"{key} ", element("b", value)) for key, value in facts.items()], class_="facts"),
    )


def _headline(report: Report) -> Html:
    focus = report.models[-1]
    return element(
        "section",
        element("h3", f"Execution accuracy: the same rows as the reference, {report.golds.rows} questions"),
        [_model(model, model is focus) for model in report.models],
        [_difference(found) for found in report.differences],
        element("div", [element("p", note, class_="note") for note in report.notes]) if report.notes else None,
        class_="card headline",
    )


def _model(model: ModelResult, focus: bool) -> Html:
    share: Share = model.execution_accuracy
    detail = f"{share.count} of {share.n}, {whole_interval(share)}" if share.n else "no question could be run"
    return element(
        "div",
        element("div", model.name, class_="name"),
        bar(share, focus=focus),
        element("div", percent(share.value), element("small", detail), class_="score"),
        class_="model",
    )


def _difference(found: Difference) -> Html:
    if found.n == 0:
        return join("")
    certain = "" if found.significant else ": too little to tell the two apart"
    return element(
        "p",
        element("b", found.model), " against ", element("b", found.baseline), ": ",
        element("b", points(found.difference)), f" points ({points(found.low)} to {points(found.high)}), ",
        f"{found.fixed} fixed, {found.regressions} broken, {p_value(found.p_value)}{certain}.",
        class_="verdict",
    )  # fmt: skip


def _method(report: Report) -> Html:
    return element(
        "section",
        element("h2", "How it was measured"),
        element("div", [element("p", line) for line in _lines(report)], class_="soft"),
    )


def _lines(report: Report) -> Iterator[str]:
    sampling = report.sampling
    yield (
        "Execution accuracy: answer and reference are run, read-only and within limits, and their rows compared as "
        "bags, in order where the reference orders; columns may come in another order, floats may differ by 1e-6."
    )
    yield (
        f"Intervals: 95 %, percentile bootstrap of {report.resamples:,} resamples, seed {report.seed}; exact where "
        "all or none are right. Differences: paired; p by McNemar's exact test."
    )
    yield (
        "Time to first token: streamed calls one at a time, median and quartiles; cold: the deployment's "
        "adapter and prefix are not in memory (the base model is). Tokens/s: output tokens by the time after the first."
    )
    chosen = f"temperature {sampling.temperature:g}" if sampling.temperature else "greedily"
    yield f"Answers of at most {sampling.max_tokens} tokens, chosen {chosen}."
    yield f"Made by sqlora {report.sqlora_version} on {report.machine}."
