"""What a question and its SQL may not have in them, seen before anything is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.prepare.examples import Example, Rejection
from sqlora.prepare.reasons import REASONS, presented, reject
from sqlora.prepare.texts import QUESTION_LIMIT, SQL_LIMIT, Rules, fault, holds_answer, tokens

RULES = Rules()
SQL = "SELECT name FROM store WHERE city = 'Leeds'"


@pytest.mark.parametrize(
    ("question", "sql", "reason"),
    [
        ("", SQL, "malformed"),
        ("a question", " \n", "malformed"),
        ("half a \ud800 pair", SQL, "malformed"),
        ("a \x00 byte", SQL, "malformed"),
        ("x" * (QUESTION_LIMIT + 1), SQL, "question too long"),
        ("a question", "x" * (SQL_LIMIT + 1), "sql too long"),
        ("User: who?", SQL, "forbidden text"),
        ("a question", "SELECT '<image>'", "forbidden text"),
        ("orders of ann.lee@corp.co.uk", SQL, "personal"),
        ("a question", "SELECT 1 FROM u WHERE password = 'hunter22'", "secret"),
        ("Run select name  from store where city = Leeds;", SQL, "answer in question"),
        ("```sql\nSELECT 1\n``` means?", SQL, "answer in question"),
    ],
)
def test_each_fault_has_its_reason(question: str, sql: str, reason: str) -> None:
    found = fault(Example(question, sql, "s"), RULES)
    assert found is not None
    assert found[0] == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    "question",
    [
        "Which stores are in Leeds?",
        "Select the names of the stores\nin Leeds,\tplease",
        "Größe über 5 €? 👍",
        "name from store",
    ],
)
def test_a_plain_question_is_fine(question: str) -> None:
    assert fault(Example(question, SQL, "s"), RULES) is None


def test_personal_data_may_be_kept_but_secrets_never() -> None:
    keep = Rules(personal_data="keep")
    assert fault(Example("orders of ann.lee@corp.co.uk", SQL, "s"), keep) is None
    assert fault(Example("key AKIAIOSFODNN7EXAMPLE", SQL, "s"), keep) == ("secret", "AWS access key")


def test_a_rejection_shows_no_secret_and_says_what_to_do() -> None:
    example = Example("mail ann.lee@corp.co.uk", "SELECT 1 FROM u WHERE password = 'hunter22'", "s")
    for rejection in (reject("secret", example, "password", "line 1"), presented(Rejection("secret", example))):
        assert "ann.lee" not in str(rejection)
        assert "hunter22" not in str(rejection)
        assert rejection.suggestion


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_judged_and_shown(question: str, sql: str) -> None:
    found = fault(Example(question, sql, "s"), RULES)
    assert found is None or found[0] in REASONS
    reject("syntax", Example(question, sql, "s")).example.question.encode()


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc ,()=<>*'", min_size=8, max_size=60), st.text(alphabet="xyz ?", max_size=20))
def test_a_question_around_its_answer_is_found(sql: str, around: str) -> None:
    words = sql.split()
    if len(words) > 2 and all(any(character.isalnum() for character in word) for word in words):
        assert holds_answer(f"{around} {sql} {around}", sql)


def test_tokens_are_rather_too_many() -> None:
    assert tokens("", "", "") == 1
    assert tokens("x" * 26, "y" * 26, "z" * 26) == 31
