"""What is exported: a base model, with an adapter over it or as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlora.models.base import BaseModel

NumberFormat = Literal["f32", "f16", "bf16", "q8_0"]
NUMBER_FORMATS: tuple[NumberFormat, ...] = ("f32", "f16", "bf16", "q8_0")


@dataclass(frozen=True)
class Source:
    """A model under its name. ``adapter``: the adapter's folder, None for the base model as it is.

    ``system`` is the text to ask it with: instructions and schema, which are part of every prompt that it has learnt.
    """

    name: str
    base: BaseModel
    adapter: Path | None = None
    system: str | None = None
