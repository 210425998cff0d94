from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.platform.keys import Keys
from sqlora.platform.state import State


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the developer's own environment says of AWS is not in these tests."""
    for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    with State(tmp_path / "state.db") as state:
        yield Keys(state)
