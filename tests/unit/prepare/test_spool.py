"""What is written to disk comes back, in order and as often as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.prepare.examples import SPLITS, Example, Rejection
from sqlora.prepare.spool import BLOCK, ExampleSpool, Spool


def examples(count: int) -> list[Example]:
    return [Example(f"question {number}", f"SELECT {number}", "s", system="x" * 50) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, BLOCK, 2 * BLOCK + 3])
def test_items_come_back_in_order_more_than_once(tmp_path: Path, count: int) -> None:
    with ExampleSpool(tmp_path / "state") as spool:
        for example in examples(count):
            spool.add(example)
        assert len(spool) == count
        assert list(spool) == list(spool) == examples(count)
        spool.add(Example("one more", "SELECT 1", "s"))
        assert [example.question for example in spool][-1] == "one more"
    assert list((tmp_path / "state").iterdir()) == []


def test_two_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ExampleSpool(tmp_path) as spool:
        spool.extend(examples(2 * BLOCK))
        assert [a == b for a, b in zip(spool, spool, strict=True)] == [True] * (2 * BLOCK)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([*SPLITS, None]), max_size=600))
def test_each_example_is_in_the_split_that_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, splits: list[str | None]
) -> None:
    with ExampleSpool(tmp_path_factory.mktemp("s")) as spool:
        spool.extend(examples(len(splits)))
        spool.place(splits)  # type: ignore[arg-type]
        assert [example.split for example in spool.placed()] == [split for split in splits if split]
        for split in SPLITS:
            assert [example.question for example in spool.examples(split)] == [
                f"question {number}" for number, found in enumerate(splits) if found == split
            ]
            assert spool.count(split) == splits.count(split)


def test_a_split_for_each_example(tmp_path: Path) -> None:
    with ExampleSpool(tmp_path) as spool:
        spool.extend(examples(2))
        with pytest.raises(ValueError, match="1 splits for 2 examples"):
            spool.place(["train"])


def test_rejections_too(tmp_path: Path) -> None:
    with Spool[Rejection](tmp_path) as spool:
        spool.add(Rejection("syntax", examples(1)[0], "d", "o", "s"))
        assert [rejection.suggestion for rejection in spool] == ["s"]


def test_a_test_question_is_asked_with_what_the_model_would_be_shown(tmp_path: Path) -> None:
    example = Example("q", "SELECT 1", "s", system="all that is needed", asked="what is shown")
    with ExampleSpool(tmp_path) as spool:
        spool.extend([example, example])
        spool.place(["train", "test"])
        assert [(each.system, each.asked) for each in spool.placed()] == [
            ("all that is needed", None),
            ("what is shown", None),
        ]
