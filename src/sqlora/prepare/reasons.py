"""Why an example is not taught: few words, to be counted, and what to do about each."""

from __future__ import annotations

from dataclasses import replace

from sqlora.prepare.examples import Example, Rejection
from sqlora.prepare.texts import presentable

SUGGESTIONS = {
    # what the text shows
    "malformed": "correct that line of the source",
    "question too long": "ask in fewer words",
    "sql too long": "split the question into smaller ones",
    "forbidden text": "reword it without that text",
    "secret": "take it out of the source, and change it where it is in use",
    "personal": 'use a made-up value, or set personal_data = "keep" in [prepare]',
    "answer in question": "ask in words, without the query",
    "too many tokens": "set schema_tokens in [prepare], or name fewer tables in the schema",
    # what parsing and sqlora.sql.check find
    "schema": "correct its CREATE TABLE statements, or the database's address",
    "syntax": "correct the SQL, or name the dialect it is in: written_in in [[sources]]",
    "statement": "leave it out: only one SELECT is taught at a time",
    "table": "correct the name, or point [database] url at the database that has the table",
    "column": "correct the name, or point [database] url at the database that has the column",
    "ambiguous": "say which table's column is meant",
    "function": "use a function that the dialect has, or add it to the dialect's [functions]",
    # what running it shows
    "refused": "correct the query: the database does not run it",
    "limit": "make the query cheaper: a filter, fewer joins",
    "no rows": "ask for something that is in the data",
    "other rows": "look at the rewritten query: it does not say the same",
    # what the other examples show, and what a source gives up
    "duplicate": "nothing to do: it is taught once",
    "contradiction": "decide which of the two queries answers the question",
    "many wordings": "nothing to do: so many wordings are enough",
    "in test": "nothing to do: it would teach what is tested",
    "in validation": "nothing to do: it would teach what training is watched by",
    "no question": "write one, or set [prepare.writer]",
    "rare": "nothing to do: it was not seen often enough",
}  # fmt: skip
REASONS = tuple(SUGGESTIONS)


def can_be_mended(reason: str) -> bool:
    """Whether an example that is left out for this reason may stay once something is corrected."""
    return not SUGGESTIONS.get(reason, "").startswith("nothing to do")


def reject(reason: str, example: Example, detail: str = "", origin: str = "") -> Rejection:
    """A rejection that may be shown, with what to do about it."""
    return Rejection(reason, presentable(example), detail, origin, SUGGESTIONS.get(reason, ""))


def presented(rejection: Rejection) -> Rejection:
    """What a source has rejected, as `reject` would have said it."""
    return replace(
        rejection,
        example=presentable(rejection.example),
        suggestion=rejection.suggestion or SUGGESTIONS.get(rejection.reason, ""),
    )
