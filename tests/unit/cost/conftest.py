from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prices that somebody refreshed on this machine are no test's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SQLORA_CACHE", str(folder))
    return folder
