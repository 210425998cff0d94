"""The report of an evaluation, field by field; `report.json` is exactly this, and its JSON schema is made from it.

Shares are between 0 and 1, times in seconds, intervals of 95 %. A field that could not be measured is null.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

VERSION = 1

# Error kinds, in the order in which an answer can fail, with what each means.
KINDS = {
    "no answer": "the answer is empty",
    "syntax": "does not parse in the dialect",
    "not a query": "something else than one SELECT; never sent to the database",
    "unknown table": "names a table that the schema does not have",
    "unknown column": "names a column that the schema does not have",
    "ambiguous column": "a column that more than one table has",
    "unknown function": "a function that is unknown or not allowed",
    "refused by the database": "parses and names what exists, but does not run",
    "limit": "stopped at the limit of time or memory",
    "wrong columns": "runs, with another number of columns",
    "row count": "runs, with another number of rows",
    "wrong order": "runs, with the right rows in another order",
    "wrong rows": "runs, with other values",
}


class Part(BaseModel):
    """A part of the report: unchangeable, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Share(Part):
    """``count`` of ``n``, with the interval of the share; value and interval are null when n is 0."""

    count: int
    n: int
    value: float | None
    low: float | None
    high: float | None


class Spread(Part):
    """Of ``n`` measurements the median, the quartiles ``low`` and ``high``, and the extremes."""

    n: int
    median: float
    low: float
    high: float
    minimum: float
    maximum: float


class Latency(Part):
    """Streamed calls, one at a time; null where nothing was measured."""

    cold_first_token: Spread | None
    """Seconds to the first token when adapter and prefix are not in memory."""
    cold_total: Spread | None
    """Seconds of such a whole call."""
    warm_first_token: Spread | None
    """Seconds to the first token otherwise."""
    warm_total: Spread | None
    """Seconds of such a whole call."""
    tokens_per_second: Spread | None
    """Output tokens by the time after the first token."""
    max_tokens: int
    """At which the timed answers were cut."""
    note: str = ""


class Golds(Part):
    """The reference queries, run anew: counts by what they gave."""

    total: int
    rows: int
    """With a result that says something: execution accuracy is over these."""
    empty: int
    """Without a row; counted apart, since many wrong queries would agree."""
    null_only: int
    """With nothing but NULLs; counted apart for the same reason."""
    broken: int
    """That don't run: the test data is at fault."""
    not_run: int
    """About another schema than the project's database."""


class Cost(Part):
    """A month of questions with this model's mean tokens, on Bedrock on demand; exact dollars as text."""

    queries: int
    tokens: str | None
    storage: str | None
    shown: str


class ModelResult(Part):
    """One model over all questions."""

    name: str
    identity: str
    """Name and custom model: what the answers on disk belong to."""
    execution_accuracy: Share
    """Same rows as the reference, of the questions whose reference says something."""
    trivial: Share
    """The same for the questions with an empty or NULL-only reference."""
    valid: Share
    """Parses in the dialect and names only what the schema has, of all questions."""
    runs: Share
    """Runs within the limits, of all questions that can be run."""
    exact: Share
    """The same query as the reference in the dialect's normal form, of all questions."""
    errors: dict[str, int]
    """Wrong answers by kind (`KINDS`), of the questions with a reference that runs."""
    cut: int
    """Answers that reached the limit of tokens."""
    revised: int
    """Answers that are not the first one: that was not valid or did not run, and another beam's is."""
    mean_input_tokens: float
    mean_output_tokens: float
    answering_seconds: float
    """Time spent on the answers, batched; not a latency."""
    latency: Latency | None
    cost: Cost | None


class Difference(Part):
    """A model against the baseline, on the questions of execution accuracy."""

    baseline: str
    model: str
    n: int
    fixed: int
    """Wrong with the baseline, right with the model."""
    regressions: int
    """Right with the baseline, wrong with the model."""
    both: int
    neither: int
    difference: float
    """Share of the model less that of the baseline."""
    low: float
    high: float
    p_value: float
    """McNemar, exact, two-sided."""
    significant: bool
    """p below 0.05."""


class BreakdownRow(Part):
    """Execution accuracy on a part of the questions; ``shares`` by name of the model."""

    dimension: str
    group: str
    n: int
    shares: dict[str, Share]


class Rows(Part):
    """The first rows of a result, each cell as text (null: NULL), sorted unless the reference orders them.

    There were ``count`` rows, and more if ``truncated``.
    """

    columns: list[str]
    rows: list[list[str | None]]
    count: int
    truncated: bool


class Judged(Part):
    """A model's answer to a question, and what became of it."""

    model: str
    text: str
    """As it came from the model: untrusted."""
    sql: str
    """The SQL found in it."""
    correct: bool
    valid: bool
    runs: bool
    exact: bool
    kind: str
    """Why it is wrong (`KINDS`); empty when it is correct or could not be judged."""
    detail: str
    columns_permuted: bool
    """Correct, with its columns in another order."""
    result: Rows | None
    revised: bool
    """Not the first answer: see `ModelResult.revised`."""
    stop_reason: str
    input_tokens: int
    output_tokens: int


class QuestionResult(Part):
    """A test question with its reference and all answers."""

    index: int
    question: str
    expected: str
    source: str
    tags: list[str]
    features: list[str]
    template_seen: bool
    gold: str
    """rows, empty, null only, broken or not run."""
    gold_detail: str
    result: Rows | None
    answers: list[Judged]


class Sampling(Part):
    """How tokens were chosen."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    beams: int
    """Answers of a custom model looked at where the first is not valid or does not run."""


class Report(Part):
    """One evaluation. The first model is the baseline of all differences."""

    version: int = VERSION
    id: str
    project: str
    dataset: str
    dialect: str
    schema_hash: str | None
    created: str
    sqlora_version: str
    machine: str
    sampling: Sampling
    seed: int
    resamples: int
    golds: Golds
    models: list[ModelResult]
    differences: list[Difference]
    breakdown: list[BreakdownRow]
    questions: list[QuestionResult]
    notes: list[str]
