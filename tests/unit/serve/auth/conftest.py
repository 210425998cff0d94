from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.platform.keys import Keys
from sqlora.platform.state import State


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    with State(tmp_path / "state.db") as state:
        yield Keys(state)
