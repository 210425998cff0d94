"""spec.json: all that a worker needs to know of its job, written before the job exists."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlora.errors import NotFoundError

FILE_NAME = "spec.json"


@dataclass(frozen=True)
class JobSpec:
    """What to train: a base model, a dataset by id, the recipe's values, a seed.

    ``manifest`` is copied into the adapter's manifest.json; it changes nothing in the training.
    """

    base_model: str
    dataset_id: str
    recipe: dict[str, Any]
    seed: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Equal for specs that train the same adapter, whatever the recipe is called."""
        values = {key: value for key, value in self.recipe.items() if key != "name"}
        words = json.dumps([self.base_model, self.dataset_id, values, self.seed], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write it into a job's folder, aside and renamed."""
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f"{FILE_NAME}.part"
        aside.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        os.replace(aside, folder / FILE_NAME)

    @classmethod
    def load(cls, folder: Path) -> JobSpec:
        """The spec in a job's folder; NotFoundError when the folder was removed or emptied."""
        try:
            return cls(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
        except (FileNotFoundError, json.JSONDecodeError, TypeError) as error:
            raise NotFoundError(f"no job spec in {folder / FILE_NAME}", "sqlora train") from error
