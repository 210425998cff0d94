"""Which device and number format to compute in, and why."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Where and in what format the base model's weights are multiplied; ``reason`` is shown to the user."""

    device: str
    dtype: torch.dtype
    reason: str


def choose_precision() -> Precision:
    """bf16 only where the processor multiplies in bf16.

    A CPU without such instructions emulates them: 17 against 134 GFLOPS in float32 on two AVX2 cores
    (docs/LOG.md, 2026-11-23).
    """
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported():
            return Precision("cuda", torch.bfloat16, f"{name} multiplies in bfloat16")
        return Precision("cuda", torch.float32, f"{name} has no bfloat16")
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return Precision("cpu", torch.bfloat16, "this processor multiplies in bfloat16 (AVX512-BF16 or AMX)")
    return Precision("cpu", torch.float32, "this processor has no bfloat16 instructions")
