"""The tutorial's commands, as they stand in the page, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlora.errors import RetryableError
from sqlora.models.base import resolve_base_model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "your-own-database.md"


def blocks() -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.e2e
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    try:
        resolve_base_model("smollm2-135m")
    except RetryableError as error:
        pytest.skip(f"the base model can't be fetched: {error.message}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    output = ""
    commands = blocks()
    assert len(commands) >= 8
    for command in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path},
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        output += done.stdout
    assert "$0.80" in output
    assert "SELECT COUNT(*) FROM store WHERE city = 'Malmo'" in output
    assert list(tmp_path.glob(".sqlora/evaluations/*/report.html"))
