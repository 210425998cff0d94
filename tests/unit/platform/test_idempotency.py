"""Client request tokens: the same call twice is one, another call with the same token is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sqlora.errors import ConflictError
from sqlora.platform.idempotency import KEPT_SECONDS
from sqlora.platform.names import now
from sqlora.platform.state import State


def age(state: State, seconds: float) -> None:
    state.execute("UPDATE idempotency SET created_at = ?", (now(-seconds),))


def test_a_token_is_of_one_operation_and_one_request(state: State) -> None:
    assert state.idempotency.seen("CreateModel", "t", "f") is None
    state.idempotency.remember("CreateModel", "t", "f", "id-1")
    assert state.idempotency.seen("CreateModel", "t", "f") == "id-1"
    assert state.idempotency.seen("CreateModel", "u", "f") is None
    assert state.idempotency.seen("CreateDeployment", "t", "f") is None
    with pytest.raises(ConflictError, match="token 't' was used for another CreateModel"):
        state.idempotency.seen("CreateModel", "t", "g")


def test_tokens_are_kept_for_a_day(state: State) -> None:
    state.idempotency.remember("CreateModel", "t", "f", "id-1")
    age(state, KEPT_SECONDS - 60)
    assert state.idempotency.seen("CreateModel", "t", "f") == "id-1"
    age(state, KEPT_SECONDS + 60)
    assert state.idempotency.seen("CreateModel", "t", "g") is None
    state.idempotency.remember("CreateModel", "u", "f", "id-2")
    assert [row["token"] for row in state.rows("SELECT token FROM idempotency")] == ["u"]


def test_an_old_token_may_be_used_anew(state: State) -> None:
    state.idempotency.remember("CreateModel", "t", "f", "id-1")
    age(state, KEPT_SECONDS + 60)
    state.idempotency.remember("CreateModel", "t", "g", "id-2")
    assert state.idempotency.seen("CreateModel", "t", "g") == "id-2"


def test_a_call_that_fails_leaves_no_token(state: State) -> None:
    def call() -> None:
        with state.transaction():
            state.idempotency.remember("CreateModel", "t", "f", "id-1")
            state.models.create("retail", base_model="tiny")

    state.models.create("retail", base_model="tiny")
    with pytest.raises(ConflictError, match="'retail' exists"):
        call()
    assert state.idempotency.seen("CreateModel", "t", "f") is None


def test_the_same_call_from_two_processes_at_once_makes_one_thing(state: State, tmp_path: Path) -> None:
    """Each thread has a connection of its own, as a process has."""
    made: list[str] = []
    together = threading.Barrier(4)

    def call() -> None:
        with State(tmp_path / "state.db") as own:
            together.wait()
            with own.transaction():
                id = own.idempotency.seen("CreateModel", "t", "f")
                if id is None:
                    id = own.models.create("retail", base_model="tiny").id
                    own.idempotency.remember("CreateModel", "t", "f", id)
            made.append(id)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [state.models.get("retail").id] * 4
