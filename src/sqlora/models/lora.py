"""LoRA: a frozen linear layer plus a low-rank update (Hu et al. 2021, arXiv 2106.09685).

    y = x Wᵀ + s · (x Aᵀ) Bᵀ        x [t, in]   W [out, in]   A [r, in]   B [out, r]   s = alpha / r

One autograd function for the whole expression: nothing is computed or kept for the frozen W, and the products
with A and B are added in place instead of through six small kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass
class LoraWeights:
    """One layer's update: ``a`` [r, in], ``b`` [out, r], ``scale`` = alpha / r."""

    a: Tensor
    b: Tensor
    scale: float


class _LoraFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.to(x.dtype).t()  # [t, r]
        out = flat @ weight.t() if bias is None else torch.addmm(bias, flat, weight.t())
        out.addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(flat, weight, a, b, low)
        ctx.scale = scale
        ctx.shape = x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, a, b, low = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        low_grad = (grad @ b.to(grad.dtype)).mul_(ctx.scale)  # [t, r]
        a_grad = (low_grad.t() @ flat).to(a.dtype)
        b_grad = (grad.t() @ low).mul_(ctx.scale).to(b.dtype)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = grad @ weight
            x_grad = x_grad.addmm_(low_grad, a.to(grad.dtype)).view(ctx.shape)
        return x_grad, None, None, a_grad, b_grad, None


class LoraLinear(nn.Module):
    """A frozen linear layer with an exchangeable update; without one it is the base layer."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.weight = base.weight.requires_grad_(False)
        self.bias = base.bias
        self.in_features, self.out_features = base.in_features, base.out_features
        self.update: LoraWeights | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[…, in] → […, out]."""
        if self.update is None:
            return nn.functional.linear(x, self.weight, self.bias)
        out: Tensor = _LoraFunction.apply(x, self.weight, self.bias, self.update.a, self.update.b, self.update.scale)  # type: ignore[no-untyped-call]
        return out


def inject(model: nn.Module, targets: tuple[str, ...] = TARGETS) -> dict[str, LoraLinear]:
    """Replace the target linear layers in place; returns them by their full name, in the model's order."""
    layers: dict[str, LoraLinear] = {}
    for name, module in list(model.named_modules()):
        for child_name, child in list(module.named_children()):
            if child_name in targets and isinstance(child, nn.Linear):
                full = f"{name}.{child_name}" if name else child_name
                layers[full] = LoraLinear(child)
                setattr(module, child_name, layers[full])
    return layers


def initialise(
    layers: dict[str, LoraLinear], rank: int, alpha: float, seed: int, device: str
) -> dict[str, nn.Parameter]:
    """Fresh float32 updates, A uniform as a linear layer's default and B zero, so training starts at the base.

    Returns the trainable parameters under PEFT's names (``….lora_A.weight``, ``….lora_B.weight``).
    """
    generator = torch.Generator().manual_seed(seed)
    parameters: dict[str, nn.Parameter] = {}
    for name, layer in layers.items():
        bound = 1 / math.sqrt(layer.in_features)
        a = torch.empty(rank, layer.in_features).uniform_(-bound, bound, generator=generator).to(device)
        b = torch.zeros(layer.out_features, rank, device=device)
        parameters[peft_name(name, "A")] = pa = nn.Parameter(a)
        parameters[peft_name(name, "B")] = pb = nn.Parameter(b)
        layer.update = LoraWeights(pa, pb, alpha / rank)
    return parameters


def peft_name(layer: str, side: str) -> str:
    """The name PEFT gives a layer's A or B matrix in ``adapter_model.safetensors``."""
    return f"base_model.model.{layer}.lora_{side}.weight"


def apply_adapter(layers: dict[str, LoraLinear], tensors: dict[str, Tensor] | None, scale: float = 1.0) -> None:
    """Point every layer at an adapter's matrices (by PEFT's names), or at none."""
    for name, layer in layers.items():
        a = tensors.get(peft_name(name, "A")) if tensors else None
        if tensors is None or a is None:
            layer.update = None
        else:
            layer.update = LoraWeights(a, tensors[peft_name(name, "B")], scale)
