"""Judged answers → the numbers of the report: shares with intervals, differences, and both by part of the questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sqlora.evaluate.features import FEATURES
from sqlora.evaluate.report.contents import (
    KINDS,
    BreakdownRow,
    Difference,
    Golds,
    Judged,
    QuestionResult,
    Share,
)
from sqlora.evaluate.statistics import difference_interval, mcnemar, pair, share_interval

GroupsOf: TypeAlias = Callable[[QuestionResult], Sequence[str]]

SIGNIFICANT = 0.05
TRIVIAL = ("empty", "null only")
# Within one dimension, at most so many groups: tags may be free text.
MOST_GROUPS = 30


def share(outcomes: Iterable[bool], seed: int) -> Share:
    """How many are true, with the interval."""
    counted = Counter(outcomes)
    count, n = counted[True], counted.total()
    if n == 0:
        return Share(count=0, n=0, value=None, low=None, high=None)
    interval = share_interval(count, n, seed)
    return Share(count=count, n=n, value=count / n, low=interval.low, high=interval.high)


def telling(questions: Sequence[QuestionResult]) -> list[QuestionResult]:
    """The questions that execution accuracy is over: those whose reference says something."""
    return [question for question in questions if question.gold == "rows"]


def correct(questions: Sequence[QuestionResult], model: int) -> list[bool]:
    """Whether the answer of the model at that place is correct, question by question."""
    return [question.answers[model].correct for question in questions]


def count_golds(questions: Sequence[QuestionResult]) -> Golds:
    """The references by what they gave."""
    found = Counter(question.gold for question in questions)
    return Golds(
        total=len(questions),
        rows=found["rows"],
        empty=found["empty"],
        null_only=found["null only"],
        broken=found["broken"],
        not_run=found["not run"],
    )


def count_errors(answers: Iterable[Judged]) -> dict[str, int]:
    """Wrong answers by kind, in the order of `KINDS`."""
    found = Counter(answer.kind for answer in answers if answer.kind)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def difference(
    questions: Sequence[QuestionResult], names: Sequence[str], baseline: int, model: int, seed: int
) -> Difference:
    """The model against the baseline (places in ``names``) on the questions that tell."""
    asked = telling(questions)
    paired = pair(correct(asked, baseline), correct(asked, model))
    interval, p_value = difference_interval(paired, seed), mcnemar(paired)
    return Difference(
        baseline=names[baseline],
        model=names[model],
        n=paired.n,
        fixed=paired.only_second,
        regressions=paired.only_first,
        both=paired.both,
        neither=paired.neither,
        difference=paired.difference,
        low=interval.low,
        high=interval.high,
        p_value=p_value,
        significant=p_value < SIGNIFICANT,
    )


def breakdown(questions: Sequence[QuestionResult], names: Sequence[str], seed: int) -> list[BreakdownRow]:
    """Execution accuracy by tag, source, SQL feature and whether the template was taught.

    A dimension in which all questions are in one group, or each is in a group of its own (an ``id=`` tag), says
    nothing and is left out.
    """
    asked = telling(questions)
    rows: list[BreakdownRow] = []
    for dimension, groups_of in dimensions(asked).items():
        groups = Counter(group for question in asked for group in groups_of(question))
        if len(groups) < 2 or max(groups.values()) == 1:
            continue
        for group in _in_order(groups)[:MOST_GROUPS]:
            members = [question for question in asked if group in groups_of(question)]
            shares = {name: share(correct(members, place), seed) for place, name in enumerate(names)}
            rows.append(BreakdownRow(dimension=dimension, group=group, n=len(members), shares=shares))
    return rows


def dimensions(
    questions: Sequence[QuestionResult],
) -> dict[str, GroupsOf]:
    """Dimension → the groups of a question in it. Tags ``level=hard`` make a dimension ``level``."""
    keys = dict.fromkeys(tag.split("=", 1)[0] for question in questions for tag in question.tags if "=" in tag)
    found: dict[str, GroupsOf] = {key: _tagged(key) for key in keys}
    found["tag"] = lambda question: [tag for tag in question.tags if "=" not in tag]
    found["source"] = lambda question: [question.source]
    found["SQL"] = lambda question: question.features
    found["template"] = lambda question: ["taught" if question.template_seen else "not taught"]
    return found


def _tagged(key: str) -> GroupsOf:
    prefix = f"{key}="
    return lambda question: [tag.removeprefix(prefix) for tag in question.tags if tag.startswith(prefix)]


def _in_order(groups: Counter[str]) -> list[str]:
    """SQL features in their own order, others by size."""
    if set(groups) <= set(FEATURES):
        return [feature for feature in FEATURES if feature in groups]
    return sorted(groups, key=lambda group: (-groups[group], group))
