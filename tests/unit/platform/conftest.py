from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.platform.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened
