"""What goes along with exported weights: where they come from, and the system text to ask them with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sqlora.models.export.weights import Weights

ABOUT, SYSTEM = "sqlora.json", "system.txt"
_KEPT = ("dialect", "dataset_id", "recipe", "steps", "validation_loss", "validation_exact")


def write_about(folder: Path, weights: Weights, numbers: str) -> None:
    """``sqlora.json``, and ``system.txt`` where there is such a text."""
    source, manifest = weights.source, weights.manifest
    about = {
        "name": source.name,
        "base_model": source.base.name,
        "base_sha256": source.base.sha256,
        "adapter": source.adapter is not None,
        "numbers": numbers,
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        **{key: manifest[key] for key in _KEPT if key in manifest},
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if source.system:
        # As it is, without a line break at its end: the text is part of the prompt.
        (folder / SYSTEM).write_text(source.system, encoding="utf-8", newline="")
