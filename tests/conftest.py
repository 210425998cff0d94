"""How tests are shared between processes (``make test`` has two): file by file, and what looks at others' records whole."""

from __future__ import annotations

from typing import Any

import pytest

TOGETHER = "tests/wire"  # its last tests look at what all the others have exercised


class _Files:
    """Mixed into xdist's scheduler: the tests of a file go to one process, those of `TOGETHER` too."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return TOGETHER if file.startswith(f"{TOGETHER}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    return type("Files", (_Files, LoadFileScheduling), {})(config, log)
