"""What a running training tells: one frozen record a step, the same on the terminal, in the log and in the state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """State after ``step`` of ``steps`` optimizer steps.

    ``loss``: mean per completion token of this step, in nats. ``validation_exact``: share of the validation
    examples whose SQL greedy decoding gives to the letter. ``tokens_per_second``: packed tokens computed.
    ``memory_mb``: peak resident memory of the process. ``phase``: "loading", "training", "validating", "saving".
    """

    phase: str
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    validation_loss: float | None = None
    validation_exact: float | None = None
    tokens_per_second: float = 0.0
    memory_mb: float = 0.0
    seconds_left: float | None = None
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
