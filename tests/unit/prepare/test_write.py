"""What is written: streamed, whole or not at all, the same twice; and what was left out beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sqlora.prepare.dataset import load_dataset
from sqlora.prepare.examples import SPLITS, Example, Rejection
from sqlora.prepare.write import write_dataset

EXAMPLES = [
    Example(f"question {n} – wörtlich 🛒", f"SELECT {n}", "s", SPLITS[n % 3], template="T", tags=("a",), constructs=("no join",),
            uses=("t",), recall=(1.0, 0.5), system=f"schema {n}" if n % 5 == 0 else None, weight=1.0 + n % 2)
    for n in range(30)
]  # fmt: skip
REJECTIONS = [
    Rejection("column", Example("q <b>", "SELECT x", "s"), "no column x", "a.jsonl line 3", "correct the name"),
    Rejection("malformed", Example("half of a pair \ud83d", "", "s")),
]


def test_the_files_are_in_the_order_of_the_splits(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, iter(EXAMPLES), "the system", {"a": 1}, "2026-01-01", rejections=iter(REJECTIONS))
    ordered = [example for split in SPLITS for example in EXAMPLES if example.split == split]
    assert dataset.examples() == [replace(example, constructs=(), uses=(), recall=None) for example in ordered]
    for split in SPLITS:
        members = [example for example in ordered if example.split == split]
        records = list(dataset.records(split))
        assert [record["messages"][0]["content"][0]["text"] for record in records] == [example.question for example in members]
        assert [record["system"][0]["text"] for record in records] == [example.system or "the system" for example in members]


def test_what_was_left_out_lies_beside_it(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, EXAMPLES, "s", {}, "now", rejections=REJECTIONS)
    first, second = dataset.rejects()
    assert first == {
        "reason": "column", "detail": "no column x", "suggestion": "correct the name", "origin": "a.jsonl line 3", "source": "s",
        "question": "q <b>", "sql": "SELECT x",
    }  # fmt: skip
    assert second == {"reason": "malformed", "source": "s", "question": "half of a pair ?"}


def test_the_card_has_the_hash_of_every_file(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, EXAMPLES, "s", {"splits": {"train": 10}}, "now", rejections=REJECTIONS)
    files = dataset.card["files"]
    assert set(files) == {"train.jsonl", "validation.jsonl", "test.jsonl", "examples.jsonl", "rejects.jsonl"}
    for name, found in files.items():
        content = (dataset.folder / name).read_bytes()
        assert found == {"lines": content.count(b"\n"), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert sorted(path.name for path in dataset.folder.iterdir()) == sorted([*files, "card.json", "card.html"])


def test_the_id_is_that_of_examples_and_card_alone(tmp_path: Path) -> None:
    first = write_dataset(tmp_path, EXAMPLES, "s", {"a": 1}, "2026-01-01")
    again = write_dataset(tmp_path, EXAMPLES, "s", lambda: {"a": 1}, "2027-01-01", rejections=REJECTIONS, beside={"cost": None})
    assert again.id == first.id
    assert again.card["created"] == "2026-01-01", "the first stays"
    others = [
        write_dataset(tmp_path, EXAMPLES[:-1], "s", {"a": 1}, "now"),
        write_dataset(tmp_path, EXAMPLES, "t", {"a": 1}, "now"),
        write_dataset(tmp_path, EXAMPLES, "s", {"a": 2}, "now"),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert sorted(path.name for path in (tmp_path / "datasets").iterdir()) == sorted({first.id, *(other.id for other in others)})


def test_the_card_is_asked_for_after_the_last_example(tmp_path: Path) -> None:
    passed = 0

    def examples() -> Iterator[Example]:
        nonlocal passed
        for example in EXAMPLES:
            passed += 1
            yield example

    dataset = write_dataset(tmp_path, examples(), "s", lambda: {"passed": passed}, "now", beside=lambda: {"price": passed})
    assert (dataset.card["passed"], dataset.card["price"]) == (30, 30)


def test_an_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def examples() -> Iterator[Example]:
        yield from EXAMPLES[:20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, examples(), "s", {}, "now")
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_dataset_written_before_there_was_a_page_is_still_read(tmp_path: Path) -> None:
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "examples.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "card.json").write_text(json.dumps({"id": "x"}))
    dataset = load_dataset(tmp_path)
    assert dataset.page is None
    assert list(dataset.rejects()) == []
