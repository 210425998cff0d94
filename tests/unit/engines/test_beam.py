"""The bookkeeping of beam search against all answers there are, in a language of four tokens."""

from __future__ import annotations

import itertools
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.engines.beam import Beam, Search

END = 0
VOCABULARY = 4
LONGEST = 4


class Language:
    """log p(token | tokens before it), drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def scores(self, before: tuple[int, ...]) -> list[float]:
        weights = [random.Random(f"{self.seed} {before} {token}").random() + 0.01 for token in range(VOCABULARY)]
        return [math.log(weight / sum(weights)) for weight in weights]

    def score(self, answer: tuple[int, ...]) -> float:
        return sum(self.scores(answer[:place])[token] for place, token in enumerate(answer))

    def answers(self) -> list[tuple[int, ...]]:
        """All whole ones, the most probable first."""
        words = [token for token in range(VOCABULARY) if token != END]
        bodies = [body for n in range(LONGEST) for body in itertools.product(words, repeat=n)]
        whole = [(*body, END) for body in bodies] + list(itertools.product(words, repeat=LONGEST))
        return sorted(whole, key=self.score, reverse=True)


def search(language: Language, width: int) -> list[Beam]:
    found = Search(width, frozenset({END}), LONGEST)
    steps = 0
    while found.live:
        scores = [language.scores(beam.tokens) for beam in found.live]
        best = [sorted(range(VOCABULARY), key=lambda t: -row[t])[: found.candidates] for row in scores]
        before = found.live
        parents = found.advance(best, [[row[t] for t in kept] for row, kept in zip(scores, best, strict=True)])
        assert [beam.tokens[:-1] for beam in found.live] == [before[place].tokens for place in parents]
        steps += 1
    assert steps <= LONGEST
    return found.finished


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_beams_enough_for_all_find_the_most_probable_answers(seed: int) -> None:
    language = Language(seed)
    width = VOCABULARY**LONGEST
    assert [beam.tokens for beam in search(language, width)[:20]] == language.answers()[:20]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_answers_are_whole_distinct_and_in_order(seed: int, width: int) -> None:
    language = Language(seed)
    found = search(language, width)
    assert 1 <= len(found) <= width
    assert len({beam.tokens for beam in found}) == len(found)
    assert [beam.score for beam in found] == sorted((beam.score for beam in found), reverse=True)
    for beam in found:
        assert math.isclose(beam.score, language.score(beam.tokens))
        assert beam.stop_reason == ("end_turn" if beam.tokens[-1] == END else "max_tokens")
        assert END not in beam.tokens[:-1]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_one_beam_never_ends_worse_than_greedy(seed: int) -> None:
    """It takes greedy's way, and may end sooner where ending was more probable than all of what greedy adds."""
    language = Language(seed)
    greedy: tuple[int, ...] = ()
    while len(greedy) < LONGEST and END not in greedy:
        scores = language.scores(greedy)
        greedy = (*greedy, scores.index(max(scores)))
    assert language.score(search(language, 1)[0].tokens) >= language.score(greedy) - 1e-9
