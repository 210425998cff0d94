"""Opening the state file: new, old, newer, damaged, and by several processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sqlora.errors import BusyError, ConflictError, DatabaseError
from sqlora.platform import migrate
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow

OPEN = """
import sys, time
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
while time.time() < float(sys.argv[2]): pass
with State(sys.argv[1]) as state:
    for _ in range(20):
        state.usage.record([UsageRow("base", sys.argv[3], 1, 1, 0, 0.1, None)])
"""


def test_a_new_file_has_all_migrations_in_wal_mode(tmp_path: Path) -> None:
    with State(tmp_path / "deep" / "state.db") as state:
        assert state.rows("PRAGMA user_version") == [{"user_version": len(migrate.migrations())}]
        assert state.rows("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
        assert state.rows("PRAGMA synchronous") == [{"synchronous": 2}]
        assert state.rows("PRAGMA foreign_keys") == [{"foreign_keys": 1}]


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [int(file.name[:4]) for file in migrate.migrations()] == list(range(1, len(migrate.migrations()) + 1))


def test_processes_that_open_a_new_file_together_all_write(tmp_path: Path) -> None:
    import time

    at = str(time.time() + 1.0)
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path / "state.db"), at, f"caller-{n}"]) for n in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    with State(tmp_path / "state.db") as state:
        assert [row.requests for row in state.usage.summary(by=("caller",))] == [20] * 4


def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    State(tmp_path / "state.db").close()
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(DatabaseError, match=r"newer sqlora \(its version 99, this one knows \d+\)") as caught:
        State(tmp_path / "state.db")
    assert caught.value.next_step == "pip install --upgrade sqlora"


def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x);")
    (tmp_path / "0002_b.sql").write_text("CREATE TABLE b (x);\nCREATE TABLE nonsense nonsense;")
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    with pytest.raises(DatabaseError, match="syntax error"):
        State(tmp_path / "state.db")
    raw = sqlite3.connect(tmp_path / "state.db")
    assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert migrate.version(raw) == 0
    raw.close()


def test_an_older_file_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x);\nINSERT INTO a VALUES (7);")
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    State(tmp_path / "state.db").close()
    (tmp_path / "0002_b.sql").write_text("ALTER TABLE a ADD COLUMN y DEFAULT 8;")
    with State(tmp_path / "state.db") as state:
        assert state.rows("SELECT * FROM a") == [{"x": 7, "y": 8}]


def test_the_first_versions_models_and_deployments_are_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / migrate.migrations()[0].name).write_text(migrate.migrations()[0].read_text())
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "FOLDER", first)
        with State(tmp_path / "state.db") as state:
            state.execute(
                """INSERT INTO custom_models (id, name, base_model, folder, created_at)
                   VALUES ('m', 'retail', 'tiny', 'models/m', '2026-01-01T00:00:00.000Z')"""
            )
            state.execute("INSERT INTO deployments VALUES ('d', 'shop', 'm', 'Active', '2026', '2026', NULL)")
    with State(tmp_path / "state.db") as state:
        model, deployment = state.models.get("m"), state.deployments.get("d")
    assert (model.origin, model.status, model.failure_message) == ("trained", "Active", None)
    assert (deployment.description, deployment.update_status, deployment.update_model_id) == (None, None, None)


def test_statements_keeps_triggers_whole() -> None:
    script = "-- one; two\nCREATE TABLE a (x);\nCREATE TRIGGER t BEFORE INSERT ON a\nBEGIN\n SELECT 1;\nEND;\n-- end\n"
    assert [statement.count("\n") for statement in migrate.statements(script)] == [2, 4]
    with pytest.raises(ValueError, match="unfinished statement: CREATE TABLE b"):
        list(migrate.statements("CREATE TABLE b (x)"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("not a database, but long enough to be looked at " * 40)
    with pytest.raises(DatabaseError, match="damaged"):
        State(tmp_path / "state.db")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unable to open"):
        State(tmp_path)


def test_a_locked_file_is_busy(state: State) -> None:
    holder = sqlite3.connect(state.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with State(state.path, wait=0.05) as other, pytest.raises(BusyError, match="another process holds"):
        other.usage.record([UsageRow("base", "ann", 1, 1, 0, 0.1, None)])
    holder.close()


def test_a_transaction_is_all_or_nothing_also_inside_another(state: State) -> None:
    def create_then_fail() -> None:
        with state.transaction():
            state.models.create("retail", base_model="tiny")
            state.models.create("retail", base_model="tiny")

    with pytest.raises(ConflictError):
        create_then_fail()
    assert state.models.list() == []


def test_threads_share_a_state(state: State) -> None:
    rows = [UsageRow("base", "ann", 1, 1, 0, 0.1, None)] * 3
    threads = [threading.Thread(target=lambda: [state.usage.record(rows) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.usage.summary(())[0].requests == 240
