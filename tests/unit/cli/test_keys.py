"""``sqlora keys``: secrets are printed once, and only those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sqlora.cli.app import app
from sqlora.platform.keys import SCOPES
from sqlora.platform.state import State
from tests.unit.cli.conftest import Run

SECRETS = ("secret_access_key", "bearer_token")


def made(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("keys", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_create_prints_what_clients_read_from_the_environment(run: Run, project: Path) -> None:
    result = run("keys", "create", "app", "--scope", "invoke")
    assert result.exit_code == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert first == "key app"
    printed = dict(line.split("=", 1) for line in lines)
    assert list(printed) == [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "OPENAI_API_KEY",
    ]
    assert "not shown again" in result.stderr
    with State(project / ".sqlora" / "state.db") as state:
        found = state.keys.secret(printed["AWS_ACCESS_KEY_ID"])
        assert found is not None
        assert found[1] == printed["AWS_SECRET_ACCESS_KEY"]
        bearer = state.keys.bearer(printed["AWS_BEARER_TOKEN_BEDROCK"])
        assert bearer == state.keys.bearer(printed["OPENAI_API_KEY"])
        assert bearer is not None
        assert (bearer.name, bearer.scopes, bearer.expires_at) == ("app", {"invoke"}, None)


def test_list_has_all_but_the_secrets(run: Run, project: Path) -> None:
    key = made(run, "create", "app", "--scope", "train", "--scope", "invoke", "--days", "30")
    for shown in (run("keys", "list"), run("keys", "list", "--json")):
        assert shown.exit_code == 0
        assert key["id"] in shown.stdout
        assert [name for name in SECRETS if key[name] in shown.stdout] == []
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert (listed["name"], listed["scopes"], listed["status"]) == ("app", ["invoke", "train"], "Active")
    assert listed["expires_at"] > listed["created_at"]
    assert not {"bearer_hash", *SECRETS} & set(listed)
    assert "invoke train" in run("keys", "list").stdout


def test_no_key_is_no_error(run: Run, project: Path) -> None:
    assert run("keys", "list").exit_code == 0
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_rotate_prints_other_secrets(run: Run, project: Path) -> None:
    old, new = made(run, "create", "app", "--scope", "invoke"), made(run, "rotate", "app")
    assert (new["id"], new["name"]) == (old["id"], "app")
    assert [name for name in SECRETS if new[name] == old[name]] == []
    with State(project / ".sqlora" / "state.db") as state:
        assert state.keys.bearer(old["bearer_token"]) is None
        assert state.keys.bearer(new["bearer_token"]) is not None


def test_revoke_says_when_the_door_is_shut(run: Run, project: Path) -> None:
    key = made(run, "create", "app", "--scope", "invoke")
    made(run, "create", "other", "--scope", "admin")
    first = run("keys", "revoke", key["id"])
    assert (first.exit_code, first.stdout, first.stderr) == (0, "revoked key app\n", "")
    last = run("keys", "revoke", "other", "--json")
    assert json.loads(last.stdout)["status"] == "Revoked"
    assert "no key opens the server any more" in last.stderr
    assert "next: sqlora keys create NAME --scope invoke" in last.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "app"], 2, "Missing option '--scope'"),
        (["create", "app", "--scope", "root"], 2, "'root' is not one of"),
        (["create", "app", "--scope", "invoke", "--days", "0"], 2, "0 is not in the range"),
        (["create", "taken", "--scope", "invoke"], 1, "a key named 'taken' exists already"),
        (["rotate", "x"], 1, "no key 'x'"),
        (["revoke", "x"], 1, "no key 'x'"),
    ],
)
def test_what_cannot_be_done_says_why(run: Run, project: Path, arguments: list[str], code: int, words: str) -> None:
    made(run, "create", "taken", "--scope", "invoke")
    result = run("keys", *arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_the_scopes_are_the_platforms() -> None:
    group: Any = app.get_command(None, "keys")  # type: ignore[arg-type]
    (option,) = [parameter for parameter in group.commands["create"].params if parameter.name == "scopes"]
    assert tuple(option.type.choices) == SCOPES


def test_destroy_shows_and_removes_them(run: Run, project: Path) -> None:
    made(run, "create", "app", "--scope", "invoke")
    plan = json.loads(run("destroy", "--plan", "--json").stdout)
    assert ["key", "app"] in [[step["kind"], step["name"]] for step in plan]
    assert run("destroy", "--yes").exit_code == 0
    assert not (project / ".sqlora").exists()
