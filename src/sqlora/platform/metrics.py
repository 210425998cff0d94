"""metrics.jsonl: every progress of a job, one JSON object a line; the chart of a training page is drawn from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_NAME = "metrics.jsonl"


class MetricsLog:
    """Appends to a job's metrics. A resumed run repeats the steps since its checkpoint: its lines replace the old."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._resumed = not self.path.exists()
        if not self._resumed and not self.path.read_bytes().endswith(b"\n"):
            with self.path.open("a", encoding="utf-8") as file:  # end a torn line, so that the next one is whole
                file.write("\n")

    def write(self, progress: Mapping[str, Any]) -> None:
        """Append one line; it is whole on disk, or at worst the last line is torn (`read_metrics` skips that)."""
        if not self._resumed and progress.get("step", 0) > 0:
            self._drop_from(progress["step"])
            self._resumed = True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(progress)) + "\n")

    def _drop_from(self, step: int) -> None:
        kept = [line for line in read_metrics(self.path.parent) if line.get("step", 0) < step]
        aside = self.path.with_suffix(".part")
        aside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(aside, self.path)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The progress records of the job in ``folder``, in order; none when it has not begun."""
    try:
        lines = (folder / FILE_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:  # torn by a kill in the middle of the line
            continue
    return [record for record in records if isinstance(record, dict)]
