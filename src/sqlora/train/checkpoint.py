"""One file that holds all a run needs to go on: adapter, best adapter so far, optimizer, held prefix, position.

safetensors with the position as JSON in its metadata, written aside, synced and renamed: a run killed at any moment
finds either the old checkpoint or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sqlora.errors import TrainingError
from sqlora.train.prefix import HeldPrefix

FILE = "checkpoint.safetensors"


@dataclass
class Position:
    """Where a run stands. ``planned``: steps in all, known after calibration when the recipe has a time budget.
    ``best_exact`` and ``best_loss`` are those of the best step; ``validation`` has (step, loss, exact)."""

    step: int = 0
    planned: int | None = None
    seconds: float = 0.0
    tokens: int = 0
    best_exact: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float, float]] = field(default_factory=list)
    fingerprint: str = ""

    def is_best(self, loss: float, exact: float) -> bool:
        """Whether a validation is better than the best so far: more exact matches, or as many and a lower loss."""
        if self.best_loss is None or self.best_exact is None:
            return True
        return (exact, -loss) > (self.best_exact, -self.best_loss)


def save(
    folder: Path,
    position: Position,
    parameters: dict[str, nn.Parameter],
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    held: HeldPrefix | None = None,
) -> None:
    """Write the checkpoint; raises `TrainingError` when the disk is full, leaving the previous one."""
    tensors = {f"now.{name}": parameter.detach().cpu() for name, parameter in parameters.items()}
    tensors |= {f"best.{name}": tensor.cpu() for name, tensor in best.items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value).cpu()
    about: dict[str, Any] = {"position": asdict(position)}
    if held is not None:
        tensors |= {f"prefix.{name}": tensor.cpu() for name, tensor in held.tensors().items()}
        about["prefix"] = [held.step, list(held.tokens)]
    aside = folder / f"{FILE}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            aside,
            metadata={key: json.dumps(value) for key, value in about.items()},
        )
        with open(aside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, folder / FILE)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise TrainingError(
            f"cannot write the checkpoint {folder / FILE}: {error}", "free disk space, then run sqlora train again"
        ) from None


def load(
    folder: Path, fingerprint: str, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[Position, dict[str, Tensor], HeldPrefix | None] | None:
    """Restore parameters and optimizer in place; None when there is nothing to resume.

    A checkpoint of another dataset, base model or recipe (another ``fingerprint``) is refused.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            stored: dict[str, Any] = json.loads(about["position"])
            prefix = json.loads(about.get("prefix", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(f"the checkpoint {path} is damaged: {error}", f"rm -r {folder}") from None
    if stored.get("fingerprint") != fingerprint:  # first: an older version's position may have other fields
        raise TrainingError(
            f"the checkpoint {path} belongs to another dataset, base model or recipe", f"rm -r {folder}"
        )
    position = Position(**stored)
    position.validation = [(int(step), float(loss), float(exact)) for step, loss, exact in position.validation]
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"now.{name}"])
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"optimizer.{key}.{name}")
                if value is not None:
                    device = value.device if key == "step" else parameter.device
                    optimizer.state[parameter][key] = value.to(device)
    best = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
    device = next(iter(parameters.values())).device
    own = {name[7:]: tensor.to(device) for name, tensor in tensors.items() if name.startswith("prefix.")}
    return position, best, HeldPrefix.of(tuple(prefix[1]), prefix[0], own) if prefix else None
