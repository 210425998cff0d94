"""Tensors and metadata of a safetensors file, read into memory of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Its tensors by name, on the CPU, and its metadata. SafetensorError for a damaged file, OSError for none.

    Not by ``safe_open``, whose tensors are the file itself, mapped, and may be changed or cut off under us; and
    which leaks 64 bytes a tensor (safetensors 0.8.0), so that a server that loads adapters for days would grow.
    """
    from safetensors.torch import load

    content = file.read_bytes()
    tensors: dict[str, Tensor] = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__") or {}
