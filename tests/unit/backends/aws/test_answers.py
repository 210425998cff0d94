"""What AWS says of an answer's tokens, and the bill."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sqlora.backends.aws.answers import Answers, Asked
from sqlora.backends.aws.site import Site
from sqlora.engines.base import Completion
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.prompting import record

ROW = UsageRow("shop", "ann", 3, 2, 0, 0.5, 0.1, "5f0c")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


class Stream(list[Any]):
    """Events as botocore gives them."""

    def close(self) -> None:
        """Nothing is open."""


def answers(state: State, *events: Any) -> Answers:
    response = {"stream": Stream(events), "ResponseMetadata": {"RequestId": "5f0c"}}
    client = SimpleNamespace(converse_stream=lambda **request: response)
    account = SimpleNamespace(client=lambda service: client)
    return Answers(cast(Site, SimpleNamespace(state=state, backend="bedrock", account=account)))


def test_tokens_that_were_cached_beside_the_input_do_not_lose_the_row(state: State) -> None:
    usage = {"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokens": 800}
    delta = {"contentBlockDelta": {"delta": {"text": "SELECT 1"}}}
    asked = answers(state, delta, {"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": usage}})
    *_, last = asked.converse(Asked("shop", "arn"), record("s", "q?"), None, "ann")
    assert isinstance(last, Completion)
    [row] = state.usage.list()
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (3, 2, 3)


def test_what_a_server_over_this_state_has_booked_is_not_booked_again(state: State) -> None:
    state.usage.record([ROW])
    answers(state)._record(ROW)
    assert len(state.usage.list()) == 1


def test_a_row_that_cannot_be_is_not_lost_in_silence(state: State) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        answers(state)._record(UsageRow("shop", "ann", 3, 2, 4, 0.5, 0.1, "77aa"))
