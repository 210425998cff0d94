"""Which answers give way to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlora.backends.revise import revise
from sqlora.engines.base import Completion, Sampling
from sqlora.prompting import parts, record


def completion(text: str, *alternatives: str) -> Completion:
    return Completion(text, 50, 10, 40, "end_turn", 0.1, 0.5, alternatives)


class Other:
    """Has the given beams for each question, and counts what it is asked."""

    def __init__(self, beams: Mapping[str, Completion] | None = None) -> None:
        self.beams = beams or {}
        self.asked: list[tuple[str, int, str]] = []

    def converse_batch(
        self, deployment: str, records: Sequence[Mapping[str, Any]], sampling: Sampling, /, *, caller: str
    ) -> list[Completion]:
        questions = [parts(each)[1] for each in records]
        self.asked += [(question, sampling.beams, caller) for question in questions]
        return [self.beams[question] for question in questions]


def revised(other: Other, firsts: Mapping[str, str], good: set[str], beams: int = 4) -> list[Completion]:
    records = [record("shop", question) for question in firsts]
    plain = [completion(text) for text in firsts.values()]
    return revise(
        other, "retail", records, plain, lambda _, text: text in good, Sampling(max_tokens=9), beams, caller="test"
    )


def test_only_the_answers_that_fail_are_asked_again() -> None:
    other = Other({"b": completion("bad", "bad too", "good", "better")})
    found = revised(other, {"a": "fine", "b": "wrong", "c": "fine"}, {"fine", "good", "better"})
    assert [done.text for done in found] == ["fine", "good", "fine"]
    assert other.asked == [("b", 4, "test")]
    assert [done.alternatives for done in found] == [(), ("wrong",), ()]
    assert (found[1].input_tokens, found[1].output_tokens, found[1].seconds) == (50, 10, 1.0)


def test_the_first_answer_stays_where_no_other_is_sound() -> None:
    other = Other({"a": completion("wrong", "worse")})
    [found] = revised(other, {"a": "wrong"}, set())
    assert (found.text, found.alternatives) == ("wrong", ())


def test_nothing_is_asked_where_all_is_well_or_one_beam_is_all() -> None:
    other = Other()
    assert [done.text for done in revised(other, {"a": "fine"}, {"fine"})] == ["fine"]
    assert [done.text for done in revised(other, {"a": "wrong"}, {"fine"}, beams=1)] == ["wrong"]
    assert other.asked == []


def test_the_check_is_told_which_question_it_is_about() -> None:
    other = Other({"b": completion("B2"), "c": completion("C2")})
    places: list[tuple[int, str]] = []

    def sound(place: int, text: str) -> bool:
        places.append((place, text))
        return text in ("A", "B2", "C2")

    records = [record("shop", question) for question in "abc"]
    found = revise(other, "retail", records, [completion(t) for t in "ABC"], sound, Sampling(), 2, caller="test")
    assert [done.text for done in found] == ["A", "B2", "C2"]
    assert places == [(0, "A"), (1, "B"), (2, "C"), (1, "B2"), (2, "C2")]
