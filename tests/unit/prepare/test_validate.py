"""Every line that a backend would refuse is named before anything is uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.errors import DatasetError
from sqlora.prepare import validate as module
from sqlora.prepare.validate import Backend, validate
from sqlora.prompting import record

BACKENDS: tuple[Backend, ...] = ("local", "bedrock", "sagemaker")


def lines(count: int = 10) -> list[Any]:
    return [record("a schema", f"question {number}", f"SELECT {number}") for number in range(count)]


def write(folder: Path, rows: list[Any], name: str = "train.jsonl") -> Path:
    file = folder / name
    texts = [
        row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode() for row in rows
    ]
    file.write_bytes(b"\n".join(texts) + b"\n")
    return file


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_good_file_passes_everywhere(tmp_path: Path, backend: Backend) -> None:
    found = validate(write(tmp_path, [*lines(), ""]), backend)
    assert (found.passed, found.records, found.problems) == (True, 10, ())


@pytest.mark.parametrize(
    ("line", "message", "local"),
    [
        ("{", "not JSON", True),
        (b"\xff\xfe", "not UTF-8", True),
        ("[" * 100_000, "JSON that can be read", True),
        ("[]", "not a JSON object", True),
        ({"messages": []}, "", True),
        (record("s", "question only"), "", True),
        (record("s", "User: who?", "SELECT 1"), "'User:'", False),
        (record("s", "long", "x" * 100_000), "about 38,", True),
        (
            {
                **record("s", "q", "SELECT 1"),
                "messages": record("s", "q", "a")["messages"] * 2 + [{"role": "system", "content": []}],
            },
            "",
            True,
        ),
        (
            '{"messages": [{"role": "user", "content": [{"text": "a\\ud800"}]}, {"role": "assistant", "content": [{"text": "b"}]}]}',
            "",
            True,
        ),
    ],
)
def test_each_bad_line_is_named(tmp_path: Path, line: Any, message: str, local: bool) -> None:
    file = write(tmp_path, [*lines(8), line, *lines(8)])
    found = validate(file, "bedrock")
    assert [problem.line for problem in found.problems] == [9]
    assert message in found.problems[0].message
    assert found.problems[0].next_step
    assert str(found.problems[0]).startswith("line 9: ")
    assert validate(file, "local").passed is not local


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "the first turn is not the user's"),
        ({"messages": "who?"}, "messages is not a list of turns"),
        ({"messages": ["who?"]}, "messages[0] is not an object"),
        ({"messages": [{"role": "system", "content": []}]}, "messages[0].role is 'system', not 'user' or 'assistant'"),
        ({"messages": [{"role": "user", "content": "who?"}]}, 'messages[0].content is not a list of {"text": "…"}'),
        ({"messages": [{"role": "user", "content": [{"image": 1}]}]}, 'messages[0].content[0] is not {"text": "…"}'),
        ({"system": "a schema"}, 'system is not a list of {"text": "…"}'),
    ],
)
def test_our_own_trainers_rules_are_told_in_the_records_words(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    [problem] = validate(write(tmp_path, [{**lines(1)[0], **changed}]), "local").problems
    assert problem.message == message


def test_too_few_too_many_and_a_bad_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = validate(write(tmp_path, lines(7), "my data.jsonl"), "bedrock")
    assert [problem.line for problem in few.problems] == [0, 0]
    assert "my data.jsonl" in few.problems[0].message
    assert "7 records" in few.problems[1].message
    monkeypatch.setattr(module, "MOST", 20)
    assert "21 records" in validate(write(tmp_path, lines(21)), "sagemaker").problems[0].message
    assert validate(write(tmp_path, lines(21)), "local").passed
    assert "no records" in validate(write(tmp_path, []), "local").problems[0].message


def test_a_huge_line_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE", 1_000)
    found = validate(write(tmp_path, [*lines(8), "x" * 1_000, "x" * 5_000, lines(1)[0], "x" * 999]), "bedrock")
    assert [(problem.line, "more than" in problem.message) for problem in found.problems] == [
        (9, True),
        (10, True),
        (12, False),
    ]


def test_many_problems_are_counted_and_the_first_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    found = validate(write(tmp_path, ["{"] * 10), "bedrock")
    assert (found.count, len(found.problems), found.records) == (10, 3, 10)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read .*gone\.jsonl"):
        validate(tmp_path / "gone.jsonl")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), backend=st.sampled_from(BACKENDS))
def test_any_bytes_are_problems_and_no_traceback(tmp_path: Path, data: bytes, backend: Backend) -> None:
    file = tmp_path / "any.jsonl"
    file.write_bytes(data)
    found = validate(file, backend)
    assert not found.passed
    assert found.count == len(found.problems)
