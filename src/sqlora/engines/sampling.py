"""How one token is chosen from logits, and where an answer ends."""

from __future__ import annotations

import torch
from torch import Tensor

from sqlora.engines.base import Sampling


def generator(sampling: Sampling) -> torch.Generator | None:
    """Where the choices of one answer come from; None when it is greedy."""
    if sampling.temperature <= 0:
        return None
    made = torch.Generator()
    if sampling.seed is None:
        made.seed()
    else:
        made.manual_seed(sampling.seed)
    return made


def sample(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token from logits [vocabulary] after temperature, top-k and top-p (nucleus, arXiv 1904.09751)."""
    values, tokens = (logits.cpu() / sampling.temperature).sort(descending=True)
    if sampling.top_k:
        values, tokens = values[: sampling.top_k], tokens[: sampling.top_k]
    probabilities = values.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    probabilities = probabilities.masked_fill(before > sampling.top_p, 0.0)
    return int(tokens[torch.multinomial(probabilities, 1, generator=generator)])


def cut(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the first stop sequence in ``text`` begins, else None."""
    return min((text.index(stop) for stop in stops if stop and stop in text), default=None)


def may_stop(text: str, stops: tuple[str, ...]) -> bool:
    """Whether ``text`` ends with the beginning of a stop sequence."""
    return any(text.endswith(stop[:n]) for stop in stops for n in range(1, len(stop)))
