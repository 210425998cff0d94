"""The tokens that every question of a deployment begins with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sqlora.backends.prefix import prefix_length, system_prefix
from sqlora.prompting import encode, record
from tests.conformance.echo import EchoTokenizer

TOKENIZER = EchoTokenizer()


class MergingTokenizer(EchoTokenizer):
    """Merges ``>`` with a following ``w``, as byte-pair tokenizers merge a newline with what comes next."""

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        return super().__call__(text.replace(">w", "\x00"))


@given(st.text(), st.text())
def test_every_prompt_begins_with_it_and_goes_on(system: str, question: str) -> None:
    prefix = system_prefix(TOKENIZER, system)
    prompt = encode(TOKENIZER, record(system, question)).prompt
    assert prefix_length(prompt, prefix) == len(prefix)
    if system:
        assert TOKENIZER.decode(prefix) == f"<system>{system}<user>"


def test_a_prompt_whose_boundary_is_merged_does_without() -> None:
    tokenizer = MergingTokenizer()
    prefix = system_prefix(tokenizer, "s")
    plain = encode(tokenizer, record("s", "how many?")).prompt
    merged = encode(tokenizer, record("s", "which?")).prompt
    assert prefix_length(plain, prefix) == len(prefix) > 0
    assert prefix_length(merged, prefix) == 0


def test_a_prompt_that_is_no_longer_than_the_prefix_does_without() -> None:
    assert prefix_length((1, 2, 3), (1, 2, 3)) == 0
