"""A shared prefix that is computed every few steps instead of in every one.

In between, the branches attend to keys and values of a few steps ago, which get no gradient, as a Transformer-XL's
memory does (Dai et al. 2019, arXiv 1901.02860). The weights move little in a few steps, and what the branches have
to learn is how to read the prefix, so the loss falls as fast for each example (docs/LOG.md) at a fraction of the
work: with small batches the prefix is most of a step. Validation always computes the prefix anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class HeldPrefix:
    """Keys and values [k, P, d], a pair a layer, of the ``tokens``, with the weights before ``step``."""

    tokens: tuple[int, ...]
    step: int
    pairs: tuple[tuple[Tensor, Tensor], ...]

    def serves(self, tokens: tuple[int, ...], step: int, every: int) -> bool:
        """Whether a pack with this prefix may use it in this step."""
        return self.tokens == tokens and step - self.step < every

    def tensors(self) -> dict[str, Tensor]:
        """Named for a checkpoint."""
        sides = {"k": 0, "v": 1}
        return {f"{side}.{n}": pair[at] for n, pair in enumerate(self.pairs) for side, at in sides.items()}

    @classmethod
    def of(cls, tokens: tuple[int, ...], step: int, tensors: dict[str, Tensor]) -> HeldPrefix:
        """The inverse of `tensors`."""
        pairs = tuple((tensors[f"k.{n}"], tensors[f"v.{n}"]) for n in range(len(tensors) // 2))
        return cls(tokens, step, pairs)
