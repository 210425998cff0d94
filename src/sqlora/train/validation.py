"""Validation: how the adapter does on examples that it never learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sqlora.prompting import Encoded
from sqlora.train.loss import completion_scores
from sqlora.train.packing import Pack, PackedBatch, tensors


def spread(examples: Sequence[Encoded], most: int) -> Sequence[Encoded]:
    """At most so many, from all over the file: its sources stand one after the other."""
    return [examples[place * len(examples) // most] for place in range(most)] if len(examples) > most else examples


@torch.no_grad()
def validation_sums(
    packs: Sequence[Pack], labelled: Callable[[PackedBatch], Tensor], head: Tensor, device: str
) -> Tensor:
    """Loss in nats, completion tokens, examples with every token the most likely one, examples: [4], in float64.

    Sums, so that several processes can add up theirs. ``labelled`` computes hidden states [M, width] at a batch's
    labels; ``head`` [vocabulary, width].
    """
    total, labels, exact, examples = 0.0, 0, 0, 0
    for packed in packs:
        batch = tensors(packed, device)
        loss, hits = completion_scores(labelled(batch), head, batch.labels)
        total, labels = total + loss, labels + len(hits)
        lengths = [len(completion) for _, completion in packed.branches]
        exact += sum(bool(own.all()) for own in torch.split(hits, lengths))
        examples += len(lengths)
    return torch.tensor([total, labels, exact, examples], dtype=torch.float64, device=device)
