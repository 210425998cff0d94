"""The way through AWS with the real model, as the tutorial's pages show it: `examples/aws/walk.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlora.errors import RetryableError
from sqlora.models.base import resolve_base_model

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e


def commands(page: str) -> list[str]:
    return re.findall(r"^\$ (.*)$", page, re.MULTILINE)


@pytest.mark.parametrize("backend", ["bedrock", "sagemaker"])
def test_every_command_of_the_page_does_what_it_says(backend: str, tmp_path: Path) -> None:
    try:
        resolve_base_model("smollm2-135m")
    except RetryableError as error:
        pytest.skip(f"the base model can't be fetched: {error.message}")
    page = tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "aws" / "walk.py"), backend, "--page", str(page)],
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    written = page.read_text(encoding="utf-8")
    assert "SELECT COUNT(*) FROM store WHERE city = 'Oslo'" in written  # asked in words that were not taught
    committed = ROOT / "docs" / "tutorial" / f"aws-{backend}.md"
    assert commands(written) == commands(committed.read_text(encoding="utf-8"))
    assert str(tmp_path) not in written
