"""``sqlora doctor`` on an account, which is that of a live server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.platform.state import State
from tests.conformance.workplace import add_dataset
from tests.unit.cli.conftest import Run
from tests.wire.live import live


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live(tmp_path_factory.mktemp("server"), aws=True) as server:
        yield server.url


@pytest.fixture
def folder(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is a project that trains on Bedrock, with nothing made and no state yet."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/no/such/file")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-example")
    (tmp_path / "sqlora.toml").write_text(
        f'[project]\nname = "Larkspur"\n[[sources]]\nkind = "synthesize"\n'
        f'[train]\nbackend = "bedrock"\n[aws]\nendpoint_url = "{url}"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def statuses(text: str) -> dict[str, str]:
    return {check["name"]: check["status"] for check in json.loads(text)}


def test_looking_leaves_no_trace(run: Run, folder: Path) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = statuses(result.stdout)
    assert (found["credentials"], found["bucket"], found["customization role"]) == ("pass", "fail", "fail")
    assert not {"memory", "disk", "base model", "number format"} & set(found)  # the cloud's affair
    assert not (folder / ".sqlora").exists()


def test_each_check_is_a_line_with_its_fix(run: Run, folder: Path) -> None:
    result = run("doctor")
    assert "pass     credentials" in result.stdout
    assert "fail     bucket" in result.stdout
    assert "unknown  permissions" in result.stdout
    assert "fix: sqlora doctor --backend bedrock --fix" in result.stdout
    assert "checks failed" in result.stderr


def test_nothing_is_made_unless_it_was_confirmed(run: Run, folder: Path) -> None:
    for more in ((), ("--no-input",), ("--json",)):
        result = run("doctor", "--fix", *more)
        assert result.exit_code == 1
        assert "create the bucket sqlora-larkspur-" in result.stderr  # it was shown
        assert "aws:SourceAccount" in result.stderr
        assert "nothing was made: it was not confirmed" in result.stderr
        assert "sqlora doctor --backend bedrock --fix --yes" in result.stderr
    with State(folder / ".sqlora" / "state.db") as state:
        assert state.ledger.list(deleted=True) == []


def test_confirmed_it_is_made_once_and_then_the_checks_pass(run: Run, folder: Path) -> None:
    add_dataset(folder)
    for times in (1, 2):
        result = run("doctor", "--fix", "--yes", "--json")
        assert result.exit_code == 0, result.stdout
        assert "fail" not in statuses(result.stdout).values()
        assert ("done: create the bucket" in result.stderr) == (times == 1)
        assert ("nothing to make" in result.stderr) == (times == 2)
        with State(folder / ".sqlora" / "state.db") as state:
            assert sorted(row.kind for row in state.ledger.list()) == ["bucket", "policy", "role"]
    assert "wJalrXUtnFEMI" not in result.stdout + result.stderr


def test_another_backend_than_the_projects(run: Run, folder: Path) -> None:
    found = statuses(run("doctor", "--backend", "sagemaker", "--json").stdout)
    assert {"training role", "import role", "quota"} <= set(found)
    assert "base model" in statuses(run("doctor", "--backend", "local", "--json").stdout)


def test_only_an_account_can_be_fixed(run: Run, folder: Path) -> None:
    result = run("doctor", "--backend", "local", "--fix")
    assert result.exit_code == 1
    assert "about the local backend" in result.stderr


def test_without_a_project_there_is_no_account(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = statuses(run("doctor", "--backend", "bedrock", "--json").stdout)
    assert found["account"] == "unknown"


def test_credentials_that_are_not_there_are_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = run("doctor", "--fix", "--yes")
    assert result.exit_code == 1
    assert "there are no AWS credentials" in result.stderr
    assert "aws configure" in result.stderr
