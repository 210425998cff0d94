"""An answer growing token by token."""

from __future__ import annotations

from sqlora.engines.base import Delta, Request, Sampling
from sqlora.engines.row import Row
from tests.conformance.echo import END, EchoTokenizer

TOKENIZER = EchoTokenizer()


def grow(text: str, sampling: Sampling, end: bool = True) -> tuple[Row, list[Delta]]:
    row = Row(Request((1, 2, 3), None, sampling), None)
    deltas = []
    for token in [*TOKENIZER(text)["input_ids"], *([END] if end else [])]:
        if (delta := row.take(token, TOKENIZER, {END})) is not None:
            deltas.append(delta)
        if row.stop_reason:
            break
    return row, deltas


def test_a_delta_counts_all_the_tokens_that_it_is_made_of() -> None:
    row, deltas = grow("aé€", Sampling())
    assert [(delta.text, delta.tokens) for delta in deltas] == [("a", 1), ("é", 2), ("€", 3)]
    assert (row.completion(0, 0.0).output_tokens, row.stop_reason) == (7, "end_turn")


def test_what_may_become_a_stop_sequence_waits_and_is_counted_when_it_does_not() -> None:
    row, deltas = grow("SEL;x", Sampling(stop=(";\n",)))
    assert [(delta.text, delta.tokens) for delta in deltas[-2:]] == [("L", 1), (";x", 2)]
    row, deltas = grow("SEL;\nmore", Sampling(stop=(";\n",)))
    assert ("".join(delta.text for delta in deltas), row.text, row.stop_reason) == ("SEL", "SEL", "stop_sequence")


def test_what_waited_comes_out_when_the_limit_is_reached() -> None:
    row, deltas = grow("ab;", Sampling(max_tokens=3, stop=(";\n",)), end=False)
    assert [(delta.text, delta.tokens) for delta in deltas] == [("a", 1), ("b", 1), (";", 1)]
    assert row.stop_reason == "max_tokens"
