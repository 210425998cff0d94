"""One question once, and no template on both sides of the split."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.prepare.dedupe import Deduplicator, NearQuestions, normalize_question, shingles, similarity
from sqlora.prepare.examples import Example, Rejection, Split
from sqlora.prepare.split import NEAR_TEST, split_examples


def _reason(rejection: Rejection | None) -> str:
    return rejection.reason if rejection else ""


def test_duplicates_are_found_by_question_and_sql() -> None:
    known = Deduplicator(wordings=3)
    assert known.add(Example("Sales by region in 2025, best region first?", "A", "s")) is None
    assert _reason(known.add(Example("sales by region,  in 2025: best region first", "A", "s"))) == "duplicate"
    assert _reason(known.add(Example("Sales by region in 2025, best region firsts", "A", "s"))) == "duplicate"
    assert _reason(known.add(Example("Sales by region in 2025, best region first", "B", "s"))) == "contradiction"
    assert known.add(Example("Sales by region in 2024, best region first?", "B", "s")) is None, "near, but another query"
    assert known.add(Example("how much did each region sell last year", "A", "s")) is None
    assert known.add(Example("turnover, regions, 2025", "A", "s")) is None
    assert _reason(known.add(Example("give me what the regions turned over", "A", "s"))) == "many wordings"


def test_the_same_question_over_two_schemas_is_two_questions() -> None:
    known = Deduplicator()
    assert known.add(Example("how many?", "A", "s", system="one")) is None
    assert known.add(Example("how many?", "B", "s", system="two")) is None


words = st.lists(st.sampled_from(["sales", "stores", "region", "by", "top", "five", "in", "2025", "orders", "margin", "web", "per", "month"]), min_size=1, max_size=9)


@settings(max_examples=60)
@given(st.lists(words, min_size=1, max_size=12), words)
def test_the_index_finds_what_comparing_with_all_would_find(known: list[list[str]], asked: list[str]) -> None:
    questions = [" ".join(each) for each in known]
    question = " ".join(asked)
    by_all = any(similarity(shingles(question), shingles(each)) >= NEAR_TEST for each in questions)
    assert (question in NearQuestions(questions, NEAR_TEST)) == by_all


@given(st.text(max_size=40))
def test_normalizing_a_question_twice_changes_nothing(text: str) -> None:
    once = normalize_question(text)
    assert normalize_question(once) == once


examples = st.lists(
    st.builds(
        lambda number, template, split: Example(f"question {number} of {template}", template, "s", split, template=template),
        st.integers(0, 10**6),
        st.sampled_from([f"template {letter}" for letter in "abcdefghijkl"]),
        st.sampled_from([None, None, None, "train", "validation", "test"]),
    ),
    max_size=60,
)


@settings(max_examples=80)
@given(examples, st.integers(0, 5), st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([0.0, 0.1, 0.3]))
def test_train_and_test_share_no_template(given_: list[Example], seed: int, validation: float, test: float) -> None:
    kept, dropped = split_examples(given_, validation, test, seed)
    templates: dict[Split, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for example in kept:
        assert example.split is not None
        templates[example.split].add(example.template)
    assert not templates["test"] & (templates["train"] | templates["validation"])
    assert len(kept) + len(dropped) == len(given_)
    assert all(rejection.reason == "in test" for rejection in dropped)
    assert (kept, dropped) == split_examples(given_, validation, test, seed)
    fixed_test = sum(example.split == "test" for example in given_)
    assert not fixed_test or sum(example.split == "test" for example in kept) == fixed_test


def test_shares_are_met_by_whole_templates() -> None:
    pairs = [Example(f"{chr(97 + t) * 20} {n}", f"sql {t}", "s", template=f"t{t}") for t in range(26) for n in range(10)]
    kept, _ = split_examples(pairs, 0.1, 0.2, seed=3)
    counts = {split: sum(example.split == split for example in kept) for split in ("train", "validation", "test")}
    assert 40 <= counts["test"] <= 60
    assert 20 <= counts["validation"] <= 30


def test_a_fixed_test_source_is_the_whole_test_and_near_questions_leave_train() -> None:
    test = Example("what were the top 5 stores by revenue in 2025", "x", "t", "test", template="t1")
    near = Example("what are the top 5 stores by revenue in 2025?", "y", "s", template="t2")
    same = Example("quite another question", "z", "s", template="t1")
    good = [Example(f"unlike the others: {word}", word, "s", template=word) for word in ["north", "south", "east", "west", "up", "down"]]
    kept, dropped = split_examples([test, near, same, *good], 0.0, 0.5, seed=0)
    assert [example for example in kept if example.split == "test"] == [test]
    assert {rejection.example.question for rejection in dropped} == {near.question, same.question}
