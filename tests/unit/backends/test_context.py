"""What fits into a model's context, and what an answer may then have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.backends.context import LONGEST_TOKEN, check_characters, fit
from sqlora.engines.base import Sampling
from sqlora.errors import ContextError
from sqlora.prompting import Turn


@settings(deadline=None)
@given(prompt=st.integers(1, 300), max_tokens=st.integers(1, 300), context=st.integers(1, 300))
def test_prompt_and_answer_fit_or_it_is_refused(prompt: int, max_tokens: int, context: int) -> None:
    sampling = Sampling(max_tokens=max_tokens, stop=("x",))
    if prompt >= context:
        with pytest.raises(ContextError):
            fit(prompt, sampling, context)
    else:
        fitted = fit(prompt, sampling, context)
        assert fitted.max_tokens == min(max_tokens, context - prompt) >= 1
        assert fitted.stop == ("x",)


def test_the_error_names_both_numbers() -> None:
    with pytest.raises(ContextError, match="has 9,000 tokens; the model reads 8,192") as caught:
        fit(9000, Sampling(), 8192)
    assert (caught.value.tokens, caught.value.context) == (9000, 8192)
    assert caught.value.next_step


def test_a_text_that_cannot_fit_is_not_counted() -> None:
    turns = [Turn("user", "x" * 10 * LONGEST_TOKEN)]
    check_characters("", turns, 10)
    with pytest.raises(ContextError, match="has at least 11 tokens; the model reads 10"):
        check_characters("s" * LONGEST_TOKEN, turns[:1], 10)
