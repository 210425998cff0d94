"""One answer, judged by all scorers: valid? runs? the same rows? the same query?"""

from __future__ import annotations

from typing import Any

from sqlora.errors import DialectError, QueryError, QueryLimitError
from sqlora.evaluate.answers import Answer
from sqlora.evaluate.questions import Question
from sqlora.evaluate.report.contents import Judged, Rows
from sqlora.evaluate.scorers.exact import is_exact
from sqlora.evaluate.scorers.execution import Execution, Gold, Runner, execute, run_gold
from sqlora.evaluate.scorers.validity import validity
from sqlora.prompting import clean_sql
from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database, Limits, ResultSet

SHOWN_ROWS = 10
SHOWN_COLUMNS = 20
SHOWN_CHARACTERS = 200  # of one cell
SHOWN_SQL = 4_000  # of an answer that went on and on


class Judge:
    """Knows the dialect, the database and the references; ``database`` None judges by text alone."""

    def __init__(self, dialect: Dialect, database: Database | None, limits: Limits) -> None:
        self.dialect = dialect
        self.schema = database.schema() if database else None
        self.runner = Runner(dialect, database, self.schema, limits) if database and self.schema else None
        self._golds: dict[int, Gold] = {}

    def gold(self, question: Question) -> Gold:
        """What the reference gives; run once."""
        if question.index not in self._golds:
            can_run = self.runner is not None and not question.own_schema
            found = (
                run_gold(question.sql, question.ordered, self.runner) if can_run and self.runner else Gold("not run")
            )
            self._golds[question.index] = found
        return self._golds[question.index]

    def sound(self, question: Question, text: str) -> bool:
        """Whether an answer is one query over the schema that runs within the limits; its rows are not looked at."""
        sql = clean_sql(text)
        runner = None if question.own_schema else self.runner
        if not validity(sql, self.dialect, self.schema if runner else None).valid:
            return False
        try:
            if runner:
                runner.run(sql)
        except (QueryError, QueryLimitError, DialectError):
            return False
        return True

    def judge(self, question: Question, model: str, answer: Answer) -> Judged:
        """The verdict on one answer. What is not one query over the schema is never sent to the database."""
        sql = clean_sql(answer.text)
        gold = self.gold(question)
        runner = None if question.own_schema else self.runner
        checked = validity(sql, self.dialect, self.schema if runner else None)
        done = Execution(False, False, checked.kind, checked.detail)
        if checked.valid and runner:
            done = execute(sql, gold, question.ordered, runner)
        return Judged(
            model=model,
            text=answer.text[:SHOWN_SQL],
            sql=sql[:SHOWN_SQL],
            correct=done.correct,
            valid=checked.valid,
            runs=done.runs,
            exact=checked.valid and is_exact(question.sql, sql, self.dialect),
            kind=done.kind,
            detail=done.detail,
            columns_permuted=done.columns_permuted,
            result=rows_of(done.result),
            revised=answer.revised,
            stop_reason=answer.stop_reason,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )


def rows_of(result: ResultSet | None) -> Rows | None:
    """The first rows of a result, as text."""
    if result is None:
        return None
    return Rows(
        columns=[cell_text(name) or "" for name in result.columns[:SHOWN_COLUMNS]],
        rows=[[cell_text(cell) for cell in row[:SHOWN_COLUMNS]] for row in result.rows[:SHOWN_ROWS]],
        count=len(result.rows),
        truncated=result.truncated,
    )


def cell_text(value: Any) -> str | None:
    """A cell as text of Unicode, at most `SHOWN_CHARACTERS` long; None stays None."""
    if value is None:
        return None
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
