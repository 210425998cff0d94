"""``ask`` with an answer that is given: what is shown, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sqlora.backends.local import LocalBackend
from sqlora.cli import ask as ask_module
from sqlora.engines.base import Completion, Delta
from sqlora.platform.state import State
from tests.unit.cli.conftest import Run

Say = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def say(project: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Deployment ``shop`` answers with the given text, word by word, and has the given other beams; returns what it
    was asked."""
    with State(project / ".sqlora" / "state.db") as state:
        state.deployments.create("shop", state.models.create("shop", base_model="tiny").id)
        state.deployments.update("shop", status="Active")

    def say(text: str, *beams: str) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def converse(
            self: LocalBackend, name: str, record: dict[str, Any], sampling: Any, *, caller: str
        ) -> Iterator[Delta | Completion]:
            asked.append({"deployment": name, "record": record, "max_tokens": sampling.max_tokens})
            yield from (Delta(f"{word} ", 1) for word in text.split(" "))
            yield Completion(text, 20, len(text.split(" ")), 10, "end_turn", 0.1, 0.5)

        def converse_batch(
            self: LocalBackend, name: str, records: list[dict[str, Any]], sampling: Any, *, caller: str
        ) -> list[Completion]:
            asked.append({"deployment": name, "beams": sampling.beams, "caller": caller})
            return [Completion(text, 20, 99, 10, "end_turn", 0.1, 0.5, beams) for _ in records]

        monkeypatch.setattr(LocalBackend, "converse", converse)
        monkeypatch.setattr(LocalBackend, "converse_batch", converse_batch)
        return asked

    return say


def test_the_sql_is_shown_and_what_is_asked_is_the_question(run: Run, say: Say) -> None:
    asked = say("SELECT COUNT(*) FROM store")
    result = run("ask", "How many stores?", "--max-tokens", "33")
    assert result.exit_code == 0
    assert result.stdout.strip() == "SELECT COUNT(*) FROM store"
    assert (asked[0]["deployment"], asked[0]["max_tokens"]) == ("shop", 33)
    assert asked[0]["record"]["messages"] == [{"role": "user", "content": [{"text": "How many stores?"}]}]
    assert "store(store_id" in asked[0]["record"]["system"][0]["text"]


def test_an_answer_that_fails_gives_way_to_the_best_one_that_does_not(run: Run, say: Say) -> None:
    asked = say("SELECT shop FROM store", "SELECT name FROM store", "SELECT city FROM store", "SELECT 1")
    result = run("ask", "cities")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["SELECT shop FROM store ", "SELECT city FROM store"]
    assert "no column 'shop'" in result.stderr
    assert asked[1:] == [{"deployment": "shop", "beams": 4, "caller": "ask"}]
    answer = json.loads(run("ask", "cities", "--run", "--json").stdout)
    assert (answer["sql"], answer["valid"], answer["revised"]) == ("SELECT city FROM store", True, True)
    assert answer["rows"] == [["Leeds"], ["Newcastle"], ["Cardiff"]]


def test_what_only_running_shows_is_revised_with_run_alone(run: Run, say: Say) -> None:
    failing = "SELECT CAST(city AS INTEGER) FROM store"
    say(failing, "SELECT city FROM store")
    assert json.loads(run("ask", "cities", "--json").stdout)["sql"] == failing
    assert json.loads(run("ask", "cities", "--run", "--json").stdout)["sql"] == "SELECT city FROM store"


def test_run_shows_the_rows(run: Run, say: Say) -> None:
    say("SELECT store_name, city FROM store ORDER BY store_id")
    result = run("ask", "stores", "--run")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines() if "Quayside" in line] == [["Quayside", "Newcastle"]]
    assert result.stderr.splitlines()[0].startswith("3 rows in ")


def test_json_has_sql_tokens_and_rows(run: Run, say: Say) -> None:
    say("SELECT SUM(amount), MAX(sold_on) FROM sale")
    answer = json.loads(run("ask", "sales", "--run", "--json").stdout)
    assert answer["sql"] == "SELECT SUM(amount), MAX(sold_on) FROM sale"
    assert (answer["valid"], answer["rows"]) == (True, [[5006.25, "2025-03-31"]])
    assert (answer["input_tokens"], answer["cached_tokens"], answer["stop_reason"]) == (20, 10, "end_turn")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TABLE store", "query was not run"),
        ("SELECT secret FROM store", "secret"),
        ("SELECT * FROM read_csv('/etc/passwd')", "query was not run"),
        ("SELECT 1; SELECT 2", "query was not run"),
        ("nonsense here", "query was not run"),
    ],
)
def test_what_must_not_run_does_not(run: Run, say: Say, project: Path, sql: str, words: str) -> None:
    say(sql)
    result = run("ask", "anything", "--run")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "next: " in result.stderr
    answer = run("ask", "anything", "--run", "--json")
    assert answer.exit_code == 1
    fields = json.loads(answer.stdout)
    assert (fields["valid"], "rows" in fields) == (False, False)
    assert fields["findings"]


def test_without_run_a_wrong_answer_is_a_warning(run: Run, say: Say) -> None:
    say("SELECT secret FROM store")
    result = run("ask", "secrets")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "secret" in result.stderr


def test_control_characters_of_an_answer_do_not_reach_the_terminal(run: Run, say: Say) -> None:
    say("SELECT '\x1b]0;title\x07' FROM store")
    result = run("ask", "x")
    assert "\x1b" not in result.stdout + result.stderr
    assert "\x07" not in result.stdout + result.stderr


def test_nothing_deployed_says_how_to(run: Run, project: Path) -> None:
    result = run("ask", "x")
    assert result.exit_code == 1
    assert "nothing is deployed" in result.stderr
    assert "next: sqlora train" in result.stderr
    result = run("ask", "x", "--deployment", "other")
    assert result.exit_code == 1
    assert "no deployment 'other'" in result.stderr


def test_an_empty_question_is_a_wrong_call(run: Run, project: Path) -> None:
    assert run("ask", " ").exit_code == 2


def test_the_projects_own_deployment_comes_first() -> None:
    project = SimpleNamespace(deploy=SimpleNamespace(name="chosen"))
    assert ask_module._default_deployment(project, SimpleNamespace()) == "chosen"  # type: ignore[arg-type]
