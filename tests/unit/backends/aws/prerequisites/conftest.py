"""Projects in the account of a live server, whose IAM and S3 are moto's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.site import Site
from sqlora.platform.state import State
from sqlora.project import load_project
from tests.conformance.workplace import add_dataset
from tests.wire.live import live

Open = Callable[..., Site]

_numbers = itertools.count()


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live(tmp_path_factory.mktemp("server"), aws=True) as server:
        yield server.url


@pytest.fixture(scope="session")
def session() -> Any:
    """One, so that the service models are read once."""
    return boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI-example", region_name="us-east-1")


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the tests', and no settings of this machine's."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/no/such/file")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-example")


def write(folder: Path, url: str, backend: str = "bedrock", **aws: Any) -> Path:
    """A project of a name of its own; ``aws`` are settings of that table."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f'{key} = "{value}"\n' for key, value in aws.items())
    (folder / "sqlora.toml").write_text(
        f'[project]\nname = "Larkspur {next(_numbers)}"\n[train]\nbackend = "{backend}"\n'
        f'[aws]\nendpoint_url = "{url}"\n{lines}'
    )
    return folder


@pytest.fixture
def open_site(url: str, session: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a project's site: the same again for the same folder, as another process would.

    ``account``: that of another site, since clients take a while to make. ``anonymous``: by what boto3 finds itself.
    """
    with ExitStack() as held:

        def open_it(
            backend: str = "bedrock",
            folder: str = "project",
            records: int = 8,
            account: Account | None = None,
            anonymous: bool = False,
            **aws: Any,
        ) -> Site:
            place = tmp_path / folder
            if not (place / "sqlora.toml").exists() or aws:
                write(place, aws.pop("endpoint_url", url), backend, **aws)
                if records:
                    add_dataset(place, records, held_out=2)
            project = load_project(place, environ={})
            if account is None:
                account = Account(project.aws, None if anonymous else session)
                held.callback(account.close)
            return Site(project, held.enter_context(State(project.paths.database)), account, backend)

        yield open_it


@pytest.fixture
def site(open_site: Open) -> Site:
    return open_site()
