"""The list of questions: expected and got side by side, with their rows; filtered by a few lines of script.

A question has tokens (``failure``, ``fixed``, ``regression``, its kind of error, its groups); the address's fragment
is the token shown, so that a view can be linked to. Failures are the last model's, fixed and regressions are the last
model against the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlora.evaluate.breakdown import GroupsOf, dimensions
from sqlora.evaluate.report.contents import Judged, QuestionResult, Report, Rows
from sqlora.pages.element import Html, element, join, sql


def section(report: Report) -> Html:
    """Filters and questions."""
    groups = dimensions(report.questions)
    tokens = {question.index: list(_tokens(question, groups)) for question in report.questions}
    return element(
        "section",
        element("h2", "Questions", id="questions"),
        _filters(report, tokens),
        [_question(question, tokens[question.index]) for question in report.questions],
    )


def kind_token(kind: str) -> str:
    """The filter for a kind of error."""
    return _slug(f"error {kind}")


def group_token(dimension: str, group: str) -> str:
    """The filter for a row of the breakdown."""
    return _slug(f"{dimension} {group}")


def _slug(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text.lower()).strip("-")


def _tokens(question: QuestionResult, groups: dict[str, GroupsOf]) -> Iterator[str]:
    first, last = question.answers[0], question.answers[-1]
    if question.gold in ("rows", "empty", "null only"):
        if not last.correct:
            yield "failure"
        if last.correct and not first.correct:
            yield "fixed"
        if first.correct and not last.correct:
            yield "regression"
    if last.kind:
        yield kind_token(last.kind)
    for dimension, groups_of in groups.items():
        yield from (group_token(dimension, group) for group in groups_of(question))


def _filters(report: Report, tokens: dict[int, list[str]]) -> Html:
    labels = {"all": "all", "failure": "failures"}
    if len(report.models) > 1:
        labels |= {"fixed": "fixed by tuning", "regression": "regressions"}
    counts = {name: sum(name in found for found in tokens.values()) for name in labels}
    counts["all"] = len(tokens)
    buttons = [
        element("button", f"{label} {counts[name]}", type="button", data_filter=name, aria_pressed="false")
        for name, label in labels.items()
    ]
    search = element("input", id="search", type="search", placeholder="search", aria_label="search the questions")
    return element("div", buttons, search, element("span", id="shown", class_="soft"), class_="filters")


def _question(question: QuestionResult, tokens: list[str]) -> Html:
    badges = [_badge(answer, question) for answer in question.answers]
    if question.gold != "rows":
        badges.insert(0, element("span", f"reference: {question.gold}", class_="badge"))
    summary = element(
        "summary",
        element("span", question.index + 1, class_="number"),
        element("span", question.question, class_="asked"),
        element("span", badges, class_="badges"),
    )
    about = [
        question.source,
        *question.tags,
        *question.features,
        *(["taught template"] if question.template_seen else []),
    ]
    body = element(
        "div",
        element("p", " · ".join(filter(None, about)), class_="tags"),
        element("div", _expected(question), [_answer(each, question) for each in question.answers], class_="sides"),
        class_="body",
    )
    return element("details", summary, body, class_="question", data_groups=" ".join(tokens))


def _badge(answer: Judged, question: QuestionResult) -> Html:
    if answer.correct:
        return element("span", f"✓ {answer.model}", class_="badge good")
    if question.gold in ("broken", "not run") and not answer.kind:
        return element("span", f"? {answer.model}", class_="badge")
    return element("span", f"✗ {answer.model}: {answer.kind}", class_="badge bad")


def _expected(question: QuestionResult) -> Html:
    return element(
        "div",
        element("h3", "expected"),
        element("pre", sql(question.expected)),
        element("p", question.gold_detail, class_="why") if question.gold_detail else None,
        _rows(question.result),
        class_="side",
    )


def _answer(answer: Judged, question: QuestionResult) -> Html:
    said = answer.detail or ("columns in another order" if answer.columns_permuted else "")
    return element(
        "div",
        element("h3", f"{answer.model}: {'correct' if answer.correct else answer.kind or 'not judged'}"),
        element(
            "pre", sql(answer.sql, question.expected) if answer.sql else element("i", "(no SQL)", class_="comment")
        ),
        element("p", said, class_="why" if not answer.correct else "soft") if said else None,
        _rows(answer.result),
        class_="side",
    )


def _rows(result: Rows | None) -> Html:
    if result is None:
        return join("")
    head = element("tr", [element("th", name) for name in result.columns])
    body = [element("tr", [_cell(cell) for cell in row]) for row in result.rows]
    table = element("table", element("thead", head), element("tbody", body))
    more = result.count - len(result.rows)
    rest = f"and {more:,} more{' at least' if result.truncated else ''}" if more else "" if result.rows else "no rows"
    return element("div", table, element("p", rest, class_="soft") if rest else None, class_="rows")


def _cell(cell: str | None) -> Html:
    return element("td", "NULL", class_="null") if cell is None else element("td", cell)
