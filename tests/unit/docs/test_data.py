"""docs/how-to/data.md: its tables are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sqlora.prepare.reasons import SUGGESTIONS
from sqlora.settings import PrepareSection

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "data.md").read_text(encoding="utf-8")


def _rows(after: str) -> list[list[str]]:
    """The cells of the first table after a heading."""
    section = PAGE.split(f"## {after}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_reason_is_explained() -> None:
    assert _rows("Why a pair was left out") == [[f"`{reason}`", advice] for reason, advice in SUGGESTIONS.items()]


def test_every_setting_is_explained() -> None:
    def default(value: object) -> str:
        return "–" if value is None else f"`{json.dumps(value)}`"

    fields = PrepareSection.model_fields
    assert _rows("Settings") == [[f"`{name}`", default(field.default), field.description or ""] for name, field in fields.items()]


def test_every_way_to_split_is_explained() -> None:
    ways = [re.match(r"`(\w+)`", row[0])[1] for row in _rows("Choose what stays together")]  # type: ignore[index]
    assert ways == ["structure", "database", "time", "given"]
