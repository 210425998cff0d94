"""Servers that the wire suite asks, and the order in which it does: what it has covered is looked at last."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.record import RECORD_FILE, SEEN
from tests.wire.shop import Shop, open_shop

HERE = Path(__file__).parent
LAST = "test_coverage.py"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Shared by all tests that leave it as they found it but for what they name by `unique`."""
    with open_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The coverage comes last, and only where the whole suite runs: a part of it covers a part."""
    ours = [item for item in items if item.path.parent == HERE]
    last = [item for item in ours if item.path.name == LAST]
    files = {item.path.name for item in ours}
    whole = not config.option.keyword and not config.option.markexpr and not any("::" in str(a) for a in config.args)
    if not whole or files != {path.name for path in HERE.glob("test_*.py")}:
        config.hook.pytest_deselected(items=last)
        items[:] = [item for item in items if item not in last]
        return
    items[:] = [item for item in items if item not in last] + last


def pytest_sessionfinish() -> None:
    """Leave what was seen for `tests.wire.coverage`."""
    if file := os.environ.get(RECORD_FILE):
        Path(file).write_text(json.dumps(sorted(SEEN)), encoding="utf-8")
