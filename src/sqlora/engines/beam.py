"""Beam search: the answers that are most probable as a whole, where greedy decoding takes the next token only.

    score(answer) = Σ log p(token | prompt, tokens before it)

At each step every live beam is continued by its most probable tokens, and the best ``width`` of all continuations
stay (Graves 2012, arXiv 1211.3711, without length normalization: an answer is as probable as it is). This file does
the bookkeeping of one request; the engine computes the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlora.engines.base import StopReason


@dataclass(frozen=True)
class Beam:
    """The beginning of an answer, or with ``stop_reason`` a whole one; ``score`` in nats, at most 0."""

    tokens: tuple[int, ...] = ()
    score: float = 0.0
    stop_reason: StopReason | None = None


class Search:
    """The beams of one request: ``live`` ones to be continued, ``finished`` ones, best first."""

    def __init__(self, width: int, ends: frozenset[int], max_tokens: int) -> None:
        self.width, self.ends, self.max_tokens = width, ends, max_tokens
        self.live = [Beam()]
        self.finished: list[Beam] = []

    @property
    def candidates(self) -> int:
        """How many tokens of each live beam `advance` wants to see: a beam may end, and ``width`` must go on."""
        return self.width + len(self.ends)

    def advance(self, tokens: Sequence[Sequence[int]], scores: Sequence[Sequence[float]]) -> list[int]:
        """Continue each live beam by its candidates ``tokens`` with their log-probabilities ``scores``.

        Returns, for each beam that is live now, the place of the one it continues among those that were.
        """
        grown = sorted(
            (-(beam.score + score), place, token)
            for place, beam in enumerate(self.live)
            for token, score in zip(tokens[place], scores[place], strict=True)
        )
        before, self.live = self.live, []
        parents: list[int] = []
        for cost, place, token in grown:
            beam = Beam((*before[place].tokens, token), -cost)
            if token in self.ends:
                self.finished.append(Beam(beam.tokens, beam.score, "end_turn"))
            elif len(beam.tokens) >= self.max_tokens:
                self.finished.append(Beam(beam.tokens, beam.score, "max_tokens"))
            else:
                self.live.append(beam)
                parents.append(place)
            if len(self.live) == self.width:
                break
        self.finished = sorted(self.finished, key=lambda beam: -beam.score)[: self.width]
        # Scores only fall: once the best live beam is below all that are wanted, nothing better can come.
        if len(self.finished) == self.width and self.live and self.live[0].score <= self.finished[-1].score:
            self.live, parents = [], []
        return parents
