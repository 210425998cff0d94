from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import DatasetError
from sqlora.platform.conversations import FORBIDDEN, read_conversation
from sqlora.prompting import record

GOOD = record("the schema", "how many shops?", "SELECT 1")


def read(value: Any) -> dict[str, Any]:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_conversation(line, "s3://b/t.jsonl line 7")


def turns(*texts: str) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "assistant" if place % 2 else "user", "content": [{"text": text}]}
            for place, text in enumerate(texts)
        ]
    }


def test_what_prepare_writes_is_taken_as_it_is() -> None:
    assert read(GOOD) == GOOD


def test_system_and_version_may_be_missing_and_the_turns_may_be_many() -> None:
    assert read(turns("a", "b", "c", "d")) == turns("a", "b", "c", "d")


def test_what_is_not_of_the_format_is_dropped() -> None:
    assert read({**turns("a", "b"), "note": 1}) == turns("a", "b")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"{", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"messages": ' + b"9" * 10_000 + b"}", "not JSON"),
        ({}, "messages is not a list"),
        (turns("a"), "at least one user turn"),
        (turns("a", "b", "c"), "the last turn is not the assistant's"),
        ({"messages": [{"role": "assistant", "content": [{"text": "x"}]}] * 2}, "the user begins"),
        ({"messages": ["a", "b"]}, "messages[0] is not an object"),
        ({"messages": [{"role": "user", "content": "text"}] * 2}, "not a list of text blocks"),
        ({"messages": [{"role": "user", "content": [{"image": {}}]}] * 2}, "takes text only: 'image'"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}] * 2}, "messages[0].content[0] is not"),
        (turns("a", "  "), "messages[1].content[0].text is empty"),
        ({**turns("a", "b"), "system": "s"}, "system is not a list of text blocks"),
        ({**turns("a", "b"), "schemaVersion": 2}, "schemaVersion is not a string"),
        (turns("a", "\ud800"), "half a surrogate pair"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, complaint: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(value)
    assert caught.value.message.startswith("s3://b/t.jsonl line 7: ")
    assert complaint in caught.value.message


@pytest.mark.parametrize("word", FORBIDDEN)
def test_forbidden_words_are_found_in_any_case_and_in_every_text(word: str) -> None:
    for text in (word, f"x {word.lower()} y", f"{word.upper()}1"):
        for value in (turns(text, "b"), turns("a", text), {**turns("a", "b"), "system": [{"text": text}]}):
            with pytest.raises(DatasetError, match="not allowed"):
                read(value)


def test_a_word_without_its_mark_is_allowed() -> None:
    assert read(turns("the user and the system", "a bot's assistant"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["messages"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"messages": value}).encode()))
def test_any_line_is_taken_or_refused_in_words(line: bytes) -> None:
    with contextlib.suppress(DatasetError):
        found = read(line)
        assert read(json.dumps(found).encode()) == found
