"""One question once, and nothing on both sides of the split: no template, no query, no near question."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import ConfigError
from sqlora.prepare.dedupe import Deduplicator, keys_of
from sqlora.prepare.examples import SPLITS, Example, Rejection, Split
from sqlora.prepare.minhash import Buckets, bands
from sqlora.prepare.shingles import NearQuestions, normalize_question, shingles, similarity
from sqlora.prepare.split import NEAR_TEST, Way, split_examples


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


def test_a_query_is_known_by_its_structure_and_its_values() -> None:
    known = Deduplicator()

    def add(question: str, sql: str, template: str) -> str:
        return _reason(known.add(Example(question, sql, "s", template=template)))

    assert add("stores in Leeds with more than 3 staff", "SELECT a FROM t x WHERE c = 'Leeds' AND n > 3", "T") == ""
    assert add("Stores in Leeds with more than 3 staff!", "SELECT a FROM t y WHERE c = 'Leeds' AND n > 3", "T") == "duplicate"
    assert add("stores in Leeds with more than 4 staff", "SELECT a FROM t x WHERE c = 'Leeds' AND n > 4", "T") == ""
    assert add("stores in Leeds with more than 3 staff", "SELECT a FROM t x WHERE c = 'Leeds' AND n > 5", "T") == "contradiction"


def test_the_same_question_over_two_schemas_is_two_questions() -> None:
    known = Deduplicator()
    assert known.add(Example("how many?", "A", "s", system="one")) is None
    assert known.add(Example("how many?", "B", "s", system="two")) is None
    assert _reason(known.add(Example("how many?", "A", "s", system="three"))) == "duplicate", "the same pair teaches nothing new"


def test_a_pruned_schema_does_not_hide_a_contradiction() -> None:
    known = Deduplicator()
    assert known.add(Example("how many?", "A", "s", system="shop(a, b)", uses=("shop",))) is None
    assert _reason(known.add(Example("how many?", "B", "s", system="shop(a, c)", uses=("shop",)))) == "contradiction"


def test_look_alikes_are_kept_and_told() -> None:
    known = Deduplicator()
    asked = "which stores sold more than 100 pieces of garden furniture in the north of the country"
    assert known.add(Example(asked, "SELECT a WHERE n > 100", "s", template="one")) is None
    assert known.add(Example(asked + "?", "SELECT a WHERE n > 200", "s", template="one", system="other")) is None
    assert known.add(Example(asked + " now", "SELECT b WHERE n > 100", "s", template="two")) is None
    assert known.look_alike_count == 1
    (found,) = known.look_alikes
    assert (found.question, found.sql, found.earlier_sql) == (asked + " now", "SELECT b WHERE n > 100", "SELECT a WHERE n > 100")


def test_keys_may_be_computed_elsewhere() -> None:
    examples = [Example(f"question {n // 2} about {n % 7}", f"SELECT {n % 5}", "s") for n in range(60)]
    here, there = Deduplicator(), Deduplicator()
    assert [here.add(example) for example in examples] == [there.add(example, "", keys_of(example)) for example in examples]


words = st.lists(st.sampled_from(["sales", "stores", "region", "by", "top", "five", "in", "2025", "orders", "margin", "web", "per", "month"]), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=12), words)
def test_the_index_finds_what_comparing_with_all_would_find(known: list[list[str]], asked: list[str]) -> None:
    questions = [" ".join(each) for each in known]
    question = " ".join(asked)
    by_all = any(similarity(shingles(question), shingles(each)) >= NEAR_TEST for each in questions)
    assert (question in NearQuestions(questions, NEAR_TEST)) == by_all


def test_minhash_buckets_find_near_texts_and_few_others() -> None:
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz "
    texts = ["".join(chance.choices(letters, k=80)) for _ in range(400)]
    buckets = Buckets(slots=1 << 12)
    for text in texts:
        buckets.add(bands(shingles(text)))
    found = [number in buckets.near(bands(shingles(text + "s"))) for number, text in enumerate(texts)]
    assert sum(found) >= 398
    others = [sum(1 for _ in buckets.near(bands(shingles("".join(chance.choices(letters, k=80)))))) for _ in range(100)]
    assert sum(others) < 100, "the buckets of a text that is like no other are all but empty"


@settings(deadline=None)
@given(st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=40), st.randoms())
def test_equal_sets_have_equal_bands(members: set[int], chance: random.Random) -> None:
    order = list(members)
    chance.shuffle(order)
    assert bands(order) == bands(sorted(order))
    assert all(0 <= band < 2**32 for band in bands(order))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_normalizing_a_question_twice_changes_nothing(text: str) -> None:
    once = normalize_question(text)
    assert normalize_question(once) == once


# The leakage tests. Questions of few words, so that many of them are near each other; few queries, so that they recur.
PHRASES = ["stores in Leeds", "stores in Bath", "how many stores are there in Leeds", "how many stores are there in Leeds today",
           "sales by month and region in 2025", "sales by month and region in 2024", "who sold most", "top five products by margin",
           "top five products by margin per store", "orders without a customer", "average basket on the web", "staff per store"]  # fmt: skip
examples = st.lists(
    st.builds(
        lambda phrase, number, query, split, database, day: Example(
            f"{phrase} {number}".strip(), f"SELECT {query}", "s", split, template=f"template {query % 9}", database=database,
            time=f"2026-01-{day:02}T10:00:00" if day else "",
        ),
        st.sampled_from(PHRASES),
        st.sampled_from(["", "please", "again", "with tax", "17", "4,200"]),
        st.integers(0, 30),
        st.sampled_from([None, None, None, None, "train", "validation", "test"]),
        st.sampled_from(["shop", "school", "flights", "bank", "museum"]),
        st.integers(0, 28),
    ),
    max_size=60,
)  # fmt: skip
SHARES = st.sampled_from([0.0, 0.1, 0.3])


@pytest.mark.parametrize("way", ["structure", "database", "time", "given"])
@settings(max_examples=60, deadline=None)
@given(given_=examples, seed=st.integers(0, 5), validation=SHARES, test=SHARES)
def test_nothing_crosses_the_split(way: Way, given_: list[Example], seed: int, validation: float, test: float) -> None:
    try:
        kept, dropped = split_examples(given_, validation, test, seed, way)
    except ConfigError:
        assert way in ("database", "time")
        return
    members: dict[Split, list[Example]] = {split: [e for e in kept if e.split == split] for split in SPLITS}
    for low, high in (("validation", "test"), ("train", "test"), ("train", "validation")):
        if way != "structure" or high == "test":  # a validation that a source fixes may ask for taught queries
            assert not {e.sql for e in members[low]} & {e.sql for e in members[high]}
        assert not {normalize_question(e.question) for e in members[low]} & {normalize_question(e.question) for e in members[high]}
        if way == "structure" and high == "test":
            assert not {e.template for e in members[low]} & {e.template for e in members[high]}
        if way == "database":
            assert not {e.database for e in members[low]} & {e.database for e in members[high]}
        guarded = [shingles(example.question) for example in members[high]]
        for example in members[low]:
            assert all(similarity(shingles(example.question), other) < NEAR_TEST for other in guarded)
    assert len(kept) + len(dropped) == len(given_)
    assert {rejection.reason for rejection in dropped} <= {"in test", "in validation"}
    assert (kept, dropped) == split_examples(given_, validation, test, seed, way)
    fixed_test = sum(example.split == "test" for example in given_)
    assert not fixed_test or len(members["test"]) == fixed_test


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
    assert {rejection.detail for rejection in dropped} == {"a test question is nearly the same", "a test question has the same template"}


def _asked(number: int, **more: str) -> Example:
    name = chr(97 + number % 26) * 3 + chr(97 + number // 26) * 3
    return Example(f"{name} {name[::-1]} {number}", f"SELECT {name}", "s", template=f"T{number % 4}", **more)


def test_by_time_the_newest_are_the_test() -> None:
    pairs = [_asked(n, time=f"2026-{1 + n // 20:02}-{1 + n % 20:02}") for n in range(100)]
    random.Random(0).shuffle(pairs)
    kept, dropped = split_examples(pairs, 0.1, 0.2, 0, "time")
    times = {split: sorted(e.time for e in kept if e.split == split) for split in SPLITS}
    assert [len(times[split]) for split in SPLITS] == [70, 10, 20]
    assert times["train"][-1] < times["validation"][0] < times["validation"][-1] < times["test"][0]
    assert dropped == []


def test_by_time_equal_times_stay_together_and_no_time_is_taught() -> None:
    pairs = [*(_asked(n, time="2026-01-01") for n in range(10)), *(_asked(n, time="2026-01-02T08:00:00Z") for n in range(10, 16)), _asked(17)]
    kept, _ = split_examples(pairs, 0.0, 0.1, 0, "time")
    assert [e.split for e in kept] == ["train"] * 10 + ["test"] * 6 + ["train"]


def test_by_database_whole_databases_are_drawn() -> None:
    pairs = [_asked(n, database=f"db{n % 10}") for n in range(200)]
    kept, _ = split_examples(pairs, 0.1, 0.2, 3, "database")
    of = {split: {e.database for e in kept if e.split == split} for split in SPLITS}
    assert [len(of[split]) for split in SPLITS] == [7, 1, 2]
    assert not of["train"] & (of["test"] | of["validation"])


def test_by_database_two_large_ones_are_enough_for_a_test() -> None:
    pairs = [_asked(n, database="one" if n < 60 else "two") for n in range(100)]
    kept, _ = split_examples(pairs, 0.0, 0.1, 0, "database")
    assert {e.database: e.split for e in kept} == {"one": "train", "two": "test"}


@pytest.mark.parametrize(("way", "words"), [("database", "no example says which database"), ("time", "no example says when")])
def test_a_split_by_what_is_not_there_is_an_error(way: Way, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        split_examples([_asked(n) for n in range(20)], 0.1, 0.1, 0, way)


def test_by_database_what_is_missing_is_said_though_a_source_fixes_the_test() -> None:
    fixed = [Example(f"is {n}", f"SELECT {n}", "a", "test") for n in range(3)]
    with pytest.raises(ConfigError, match="no example says which database") as caught:
        split_examples([*fixed, *(_asked(n) for n in range(20, 40))], 0.0, 0.1, 0, "database")
    assert "give each pair a database" in caught.value.next_step
    with pytest.raises(ConfigError, match="all examples are about 1 database"):
        split_examples([_asked(n, database="one") for n in range(20)], 0.0, 0.1, 0, "database")
    assert split_examples(fixed, 0.1, 0.1, 0, "given")[0] == fixed


def test_as_given_what_no_source_places_is_taught() -> None:
    pairs = [Example(f"{chr(97 + n) * 9}", f"SELECT {n}", "s", split, template="T") for n, split in enumerate([None, "test", "validation", "train"])]
    kept, dropped = split_examples(pairs, 0.3, 0.3, 0, "given")
    assert [e.split for e in kept] == ["train", "test", "validation", "train"], "one template, but other queries"
    assert dropped == []


def test_a_validation_of_other_wordings_takes_nothing_from_train() -> None:
    sql = "SELECT COUNT(*) FROM store WHERE city = 'Leeds'"
    given_ = [
        Example("how many stores are in Leeds", sql, "a", "train", template="t"),
        Example("number of shops in Leeds", sql, "b", "validation", template="t"),
        Example("Number of shops in Leeds?", sql, "a", "train", template="t"),
    ]
    kept, dropped = split_examples(given_, 0.1, 0.0, 0)
    assert kept == given_[:2]
    assert [(each.reason, each.example) for each in dropped] == [("in validation", given_[2])]
