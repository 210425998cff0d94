"""docs/reference/checks.md has every reason, with what the program says to do about it."""

from __future__ import annotations

import re
from pathlib import Path

from sqlora.prepare.reasons import SUGGESTIONS
from sqlora.prepare.texts import QUESTION_LIMIT, SQL_LIMIT
from sqlora.prepare.workers import ALONE

PAGE = Path(__file__).parents[3] / "docs/reference/checks.md"


def test_the_page_has_every_reason_and_its_suggestion() -> None:
    rows = [re.split(r" \| ", line.strip("| \n")) for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {row[0].strip("`"): row[-1] for row in rows} == SUGGESTIONS
    assert all(len(row) == 3 for row in rows)


def test_the_page_has_the_limits() -> None:
    text = PAGE.read_text()
    for number in (QUESTION_LIMIT, SQL_LIMIT, ALONE):
        assert f"{number:,}" in text
