"""The tables above the questions: all measures, error kinds, breakdown."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from sqlora.evaluate.report.contents import KINDS, BreakdownRow, ModelResult, Report, Share, Spread
from sqlora.evaluate.report.figures import bar, duration, percent, seconds, whole_interval
from sqlora.evaluate.report.questions import group_token, kind_token
from sqlora.pages.element import Html, element, join


def measures(report: Report) -> Html:
    """One column a model, one row a measure."""
    rows: list[tuple[str, str, Callable[[ModelResult], Html]]] = [
        ("valid", "parses, and names only what the schema has", lambda model: _share(model.valid)),
        ("runs", "within the limits of time and memory", lambda model: _share(model.runs)),
        ("revised", f"not the first answer, which failed, but the best of {report.sampling.beams} beams",
         lambda model: join(str(model.revised or "–"))),
        ("exact match", "the reference's very query, normalized", lambda model: _share(model.exact)),
    ]
    if report.golds.empty or report.golds.null_only:
        rows.append(("accuracy apart", "where the reference gives no row or only NULLs", lambda m: _share(m.trivial)))
    longest = max((model.latency.max_tokens for model in report.models if model.latency), default=0)
    if longest:
        rows += [
            ("first token, cold", "adapter and prefix not in memory", lambda m: _time(_timed(m, "cold_first_token"))),
            ("first token, warm", "", lambda m: _time(_timed(m, "warm_first_token"))),
            ("whole answer, warm", f"of at most {longest} tokens", lambda m: _time(_timed(m, "warm_total"))),
            ("tokens/s", "after the first", lambda m: _rate(_timed(m, "tokens_per_second"))),
        ]
    rows += [
        ("tokens", "in and out of a question, mean", _tokens),
        (f"{report.models[0].cost.queries:,} questions a month" if report.models[0].cost else "a month",
         "on Bedrock on demand, at these tokens", lambda model: join(model.cost.shown if model.cost else "–")),
    ]  # fmt: skip
    head = element("tr", element("th"), [element("th", model.name) for model in report.models])
    body = [
        element(
            "tr", element("th", name, " ", element("small", meaning)), [element("td", cell(m)) for m in report.models]
        )
        for name, meaning, cell in rows
    ]
    table = element("table", element("thead", head), element("tbody", body))
    return element("section", element("h2", "All measures"), element("div", table, class_="card wide"))


def errors(report: Report) -> Html:
    """How wrong answers are wrong, in the order in which an answer can fail."""
    kinds = [kind for kind in KINDS if any(model.errors.get(kind) for model in report.models)]
    if not kinds:
        return join("")
    names = [element("th", model.name, class_="n") for model in report.models]
    body = [
        element(
            "tr",
            element("th", element("a", kind, href=f"#{kind_token(kind)}"), " ", element("small", KINDS[kind])),
            [element("td", model.errors.get(kind, 0), class_="n") for model in report.models],
        )
        for kind in kinds
    ]
    table = element("table", element("thead", element("tr", element("th"), names)), element("tbody", body))
    return element("section", element("h2", "Wrong answers by kind"), element("div", table, class_="card wide"))


def breakdown(report: Report) -> Html:
    """Execution accuracy on parts of the questions, one table a dimension."""
    if not report.breakdown:
        return join("")
    tables = [
        _dimension(dimension, list(rows), report)
        for dimension, rows in groupby(report.breakdown, key=lambda row: row.dimension)
    ]
    return element("section", element("h2", "Accuracy by part"), element("div", tables, class_="columns"))


def _dimension(dimension: str, rows: list[BreakdownRow], report: Report) -> Html:
    names = [model.name for model in report.models]
    head = element(
        "tr", element("th", dimension), element("th", "n", class_="n"), [element("th", name) for name in names]
    )
    body = [
        element(
            "tr",
            element("th", element("a", row.group, href=f"#{group_token(dimension, row.group)}")),
            element("td", row.n, class_="n"),
            [element("td", _pair(row.shares[name], focus=name == names[-1])) for name in names],
        )
        for row in rows
    ]
    table = element("table", element("thead", head), element("tbody", body))
    return element("div", table, class_="card wide")


def _pair(share: Share, focus: bool) -> Html:
    value = "–" if share.value is None else f"{share.value:.0%}".replace("%", " %")
    span = "" if share.low is None or share.high is None else f"{share.low * 100:.0f}–{share.high * 100:.0f} %"
    figures = element("b", value), element("small", span)
    return element("div", bar(share, focus=focus, small=True), figures, class_="pair")


def _share(share: Share) -> Html:
    if not share.n:
        return join("–")
    return join((percent(share.value), " ", element("small", f"{share.count} of {share.n}, {whole_interval(share)}")))


def _timed(model: ModelResult, field: str) -> Spread | None:
    found: Spread | None = getattr(model.latency, field, None)
    return found


def _time(spread: Spread | None) -> Html:
    if spread is None:
        return join("–")
    span = f"{duration(spread.low)}–{duration(spread.high)}, n = {spread.n}"
    return join((seconds(spread), " ", element("small", span)))


def _rate(spread: Spread | None) -> Html:
    if spread is None:
        return join("–")
    figures = (spread.median, spread.low, spread.high)
    median, low, high = (f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" for rate in figures)
    return join((f"{median} ", element("small", f"{low}–{high}, n = {spread.n}")))


def _tokens(model: ModelResult) -> Html:
    return join(f"{model.mean_input_tokens:.0f} + {model.mean_output_tokens:.0f}")
