"""Completion-only loss: logits only where a token is learnt, and never all of them at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 256  # labels at a time: 256 × 49,152 logits in float32 are 48 MB; 1,000 at once with gradients were 600


class _HeadLoss(torch.autograd.Function):
    """Summed cross entropy of a frozen output layer; the gradient of the hidden states is made on the way, so that no
    logits are kept for the backward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        """``hidden`` [m, width], ``weight`` [vocabulary, width], ``labels`` [m] → sum of nats, a scalar."""
        needed = hidden.requires_grad
        grad = torch.empty_like(hidden) if needed else hidden.new_empty(0)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(labels), CHUNK):
            rows, wanted = hidden[start : start + CHUNK], labels[start : start + CHUNK, None]
            scores = (rows @ weight.t()).float().log_softmax(-1)
            total -= scores.gather(1, wanted).sum()
            if needed:
                scores.exp_().scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=scores.dtype))
                grad[start : start + CHUNK] = scores.to(hidden.dtype) @ weight
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.saved_tensors[0] * grads[0], None, None


def completion_loss(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    """Sum over labels of −log p(label), in nats; ``hidden`` [m, width] are the places before the labels [m]."""
    out: Tensor = _HeadLoss.apply(hidden, head, labels)  # type: ignore[no-untyped-call]
    return out


@torch.no_grad()
def completion_scores(hidden: Tensor, head: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """What validation looks at: the loss as above, and for each label whether it is the most likely token [m]."""
    total, hits = 0.0, torch.empty(len(labels), dtype=torch.bool)
    for start in range(0, len(labels), CHUNK):
        wanted = labels[start : start + CHUNK]
        scores = (hidden[start : start + CHUNK] @ head.t()).float()
        total += float(torch.nn.functional.cross_entropy(scores, wanted, reduction="sum"))
        hits[start : start + CHUNK] = (scores.argmax(-1) == wanted).cpu()
    return total, hits
