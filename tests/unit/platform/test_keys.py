"""Keys: what they open and for how long, and that nobody finds them where they are kept."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.errors import ConfigError, ConflictError, DatabaseError, NotFoundError
from sqlora.platform.keys import ApiKey, NewKey
from sqlora.platform.names import now
from sqlora.platform.state import State

INVOKE = frozenset({"invoke"})
CREATE = """
import json, sys
from sqlora.platform.state import State
with State(sys.argv[1]) as state:
    print("ready", flush=True)
    sys.stdin.read()  # until all have come this far
    made = state.keys.create(sys.argv[2], frozenset({"invoke"}))
    print(json.dumps([made.id, made.secret_access_key]))
"""


def opened(state: State, made: NewKey) -> list[bool]:
    """Whether the bearer token and the SigV4 secret are taken."""
    found = state.keys.secret(made.id)
    return [state.keys.bearer(made.bearer_token) is not None, found is not None and found[1] == made.secret_access_key]


def expire(state: State, made: NewKey) -> None:
    state.execute("UPDATE api_keys SET expires_at = ? WHERE id = ?", (now(-1), made.id))


def test_a_key_has_the_form_that_sdks_expect_and_opens_its_scopes(state: State) -> None:
    made = state.keys.create("app", frozenset({"invoke", "train"}))
    assert re.fullmatch(r"SQLA[A-Z2-7]{16}", made.id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", made.secret_access_key)
    assert re.fullmatch(r"sqlora-[A-Za-z0-9_-]{43}", made.bearer_token)
    found = state.keys.bearer(made.bearer_token)
    assert isinstance(found, ApiKey)
    assert (found.id, found.name, found.scopes, found.status) == (made.id, "app", {"invoke", "train"}, "Active")
    signed = state.keys.secret(made.id)
    assert signed is not None
    assert signed[0].id == made.id
    assert signed[1] == made.secret_access_key


def test_keys_and_their_secrets_are_all_different(state: State) -> None:
    made = [state.keys.create(f"app-{n}", INVOKE) for n in range(20)]
    made += [state.keys.rotate(key.id) for key in made]
    assert len({key.secret_access_key for key in made}) == len({key.bearer_token for key in made}) == 40
    assert len({key.id for key in made}) == 20


def test_nothing_secret_is_in_the_database(state: State, tmp_path: Path) -> None:
    made = [state.keys.create(f"app-{n}", INVOKE) for n in range(3)]
    made.append(state.keys.rotate("app-0"))
    state.keys.revoke("app-1")
    for key in made:
        opened(state, key)
    source = (tmp_path / "keys.secret").read_bytes()
    secrets = [*(key.secret_access_key.encode() for key in made), source, source.hex().encode()]
    secrets += [key.bearer_token.removeprefix("sqlora-").encode() for key in made]
    secrets += [base64.urlsafe_b64decode(key.secret_access_key) for key in made]
    secrets += [base64.urlsafe_b64decode(key.bearer_token.removeprefix("sqlora-") + "=") for key in made]
    files = [file for file in tmp_path.iterdir() if file.name != "keys.secret"]
    assert "state.db-wal" in {file.name for file in files}  # what was written last is still in there
    content = b"".join(file.read_bytes() for file in files)
    assert made[0].id.encode() in content  # it is being looked into the right files
    assert [secret for secret in secrets if secret in content] == []


def test_nothing_secret_is_in_a_repr_or_a_listing(state: State) -> None:
    made = state.keys.create("app", INVOKE)
    shown = [repr(made), repr(state.keys.list()), repr(state.keys.bearer(made.bearer_token))]
    for secret in (made.secret_access_key, made.bearer_token):
        assert not [text for text in shown if secret in text]
    (row,) = state.rows("SELECT bearer_hash FROM api_keys")
    assert row["bearer_hash"] not in "".join(shown)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_for_its_owner_alone_whatever_the_umask(state: State, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        state.keys.create("app", INVOKE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.secret").stat().st_mode) == 0o600


def test_a_file_that_others_may_read_is_refused(state: State, tmp_path: Path) -> None:
    made = state.keys.create("app", INVOKE)
    (tmp_path / "keys.secret").chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others \\(mode 640\\)") as caught:
        state.keys.secret(made.id)
    assert caught.value.next_step == f"chmod 600 {tmp_path / 'keys.secret'}"
    (tmp_path / "keys.secret").chmod(0o600)
    assert opened(state, made) == [True, True]


def test_git_passes_the_folder_over(state: State, tmp_path: Path) -> None:
    state.keys.create("app", INVOKE)
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_the_database_alone_signs_nothing(state: State, tmp_path: Path) -> None:
    made = state.keys.create("app", INVOKE)
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    state.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "state.db", stolen)
    with State(stolen / "state.db") as copy:
        with pytest.raises(DatabaseError, match=r"keys\.secret is missing"):
            copy.keys.secret(made.id)
        assert opened(copy, copy.keys.create("own", INVOKE)) == [True, True]
        assert opened(copy, made) == [True, False]  # the token is known by its hash, the secret is another one


def test_a_damaged_file_is_refused(state: State, tmp_path: Path) -> None:
    made = state.keys.create("app", INVOKE)
    for content in (b"", b"x" * 31, b"x" * 33):
        (tmp_path / "keys.secret").write_bytes(content)
        with pytest.raises(DatabaseError, match="is damaged"):
            state.keys.secret(made.id)


def test_processes_that_make_the_file_together_agree_on_one(state: State, tmp_path: Path) -> None:
    (tmp_path / "keys.part").write_bytes(b"left by a process that was killed")
    database = str(tmp_path / "state.db")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, database, f"app-{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        assert process.stdout is not None
        with process.stdout:
            id, secret = json.loads(process.stdout.read())
        assert process.wait(60) == 0
        found = state.keys.secret(id)
        assert found is not None
        assert found[1] == secret


def test_rotation_takes_the_old_secrets_away_at_once(state: State, tmp_path: Path) -> None:
    old = state.keys.create("app", INVOKE)
    other = state.keys.create("other", INVOKE)
    with State(tmp_path / "state.db") as server:
        assert opened(server, old) == [True, True]
        new = state.keys.rotate("app")
        assert (new.id, new.name) == (old.id, "app")
        assert opened(server, old) == [False, False]
        assert opened(server, new) == opened(server, other) == [True, True]
    again = state.keys.rotate(old.id)
    assert opened(state, new) == [False, False]
    assert opened(state, again) == [True, True]
    assert state.keys.get("app").version == 3


def test_a_revoked_key_opens_nothing_and_its_name_is_free(state: State, tmp_path: Path) -> None:
    made = state.keys.create("app", INVOKE)
    with State(tmp_path / "state.db") as server:
        assert opened(server, made) == [True, True]
        revoked = state.keys.revoke("app")
        assert opened(server, made) == [False, False]
    assert revoked.status == "Revoked"
    assert state.keys.revoke(made.id) == revoked  # when it was revoked first
    with pytest.raises(ConflictError, match="'app' is Revoked"):
        state.keys.rotate(made.id)
    again = state.keys.create("app", INVOKE)
    assert state.keys.get("app").id == again.id
    assert opened(state, made) == [False, False]
    assert [key.status for key in state.keys.list()] == ["Active", "Revoked"]


def test_an_expired_key_opens_nothing(state: State) -> None:
    made = state.keys.create("app", INVOKE, now(60))
    assert opened(state, made) == [True, True]
    expire(state, made)
    assert opened(state, made) == [False, False]
    assert state.keys.list()[0].status == "Expired"
    with pytest.raises(ConflictError, match="'app' is Expired"):
        state.keys.rotate("app")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2999-01-01", "2999-01-01T00:00:00.000Z"),
        ("2999-01-01T02:00:00+02:00", "2999-01-01T00:00:00.000Z"),
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00.000Z"),
        (None, None),
    ],
)
def test_times_are_kept_in_one_form(state: State, given: str | None, kept: str | None) -> None:
    made = state.keys.create("app", INVOKE, given)
    assert state.keys.get(made.id).expires_at == kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("app", frozenset({"invoke", "root"})), "no such scope: root"),
        (("app", frozenset()), "without a scope"),
        (("app", INVOKE, "2001-01-01"), "2001-01-01 is past"),
        (("app", INVOKE, "tomorrow"), "'tomorrow' is no time"),
        (("", INVOKE), "cannot be the name of a key"),
        (("a\nb", INVOKE), "cannot be the name of a key"),
        (("a" * 64, INVOKE), "cannot be the name of a key"),
    ],
)
def test_what_cannot_be_a_key(state: State, arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        state.keys.create(*arguments)
    assert not state.keys.any()


def test_names_are_taken_once(state: State) -> None:
    state.keys.create("app", INVOKE)
    with pytest.raises(ConflictError, match="a key named 'app' exists"):
        state.keys.create("app", INVOKE)
    with pytest.raises(NotFoundError, match="no key 'other'"):
        state.keys.revoke("other")


def test_the_first_key_closes_the_server_for_good(state: State) -> None:
    assert not state.keys.any()
    made = state.keys.create("app", INVOKE)
    assert state.keys.any()
    expire(state, made)
    assert state.keys.any()  # an open server must not come about by waiting
    state.keys.revoke("app")
    assert state.keys.any()


def test_use_is_written_once_a_minute(state: State) -> None:
    made = state.keys.create("app", INVOKE)
    assert state.keys.get("app").last_used_at is None
    for use in (lambda: state.keys.bearer(made.bearer_token), lambda: state.keys.secret(made.id)):
        for seconds, written in ((50, False), (70, True)):
            before = now(-seconds)
            state.execute("UPDATE api_keys SET last_used_at = ?", (before,))
            use()
            assert (state.keys.get("app").last_used_at != before) is written
    state.execute("UPDATE api_keys SET last_used_at = NULL")
    state.keys.revoke("app")
    opened(state, made)
    assert state.keys.get("app").last_used_at is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_the_very_token_opens(state: State, data: st.DataObject) -> None:
    made = state.keys.create(f"app-{len(state.keys.list())}", INVOKE)
    token = made.bearer_token
    letters = string.ascii_letters + string.digits + "-_ é\x00"
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from([letter for letter in letters if letter != token[place]]))
    for other in (token[:place] + letter + token[place + 1 :], token[:place], token + letter, f" {token}"):
        assert state.keys.bearer(other) is None
    assert state.keys.secret(made.id.lower()) is None
    assert opened(state, made) == [True, True]


@given(token=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_may_be_asked_for(state: State, token: str) -> None:
    for text in (token, "sqlora-" + token.ljust(43)[:43], "sqlora-" + "\ud800" * 43):
        assert state.keys.bearer(text) is None
        assert state.keys.secret(text) is None
