from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.backends.aws import data
from sqlora.backends.aws.data import check_dataset, explain_failure
from sqlora.errors import DatasetError
from sqlora.prepare.dataset import Dataset
from sqlora.prompting import record
from tests.conformance.workplace import SYSTEM, add_dataset


def rewrite(dataset: Dataset, split: str, questions: list[str]) -> None:
    lines = [json.dumps(record(SYSTEM, question, "SELECT 1")) for question in questions]
    (dataset.folder / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_counts(tmp_path: Path) -> None:
    assert check_dataset(add_dataset(tmp_path)) == {"train": 8, "validation": 0}


def test_every_line_at_fault_is_named_with_its_file(tmp_path: Path) -> None:
    dataset = add_dataset(tmp_path)
    rewrite(dataset, "train", ["fine?"] * 7 + ["how many per User: id?"])
    rewrite(dataset, "validation", ["what does the [eos] do?"])
    with pytest.raises(DatasetError) as caught:
        check_dataset(dataset)
    train, validation = caught.value.message.splitlines()
    assert train.startswith(f"{dataset.path('train')} line 8: ")
    assert "'User:'" in train
    assert validation.startswith(f"{dataset.path('validation')} line 1: ")
    assert caught.value.next_step


def test_many_lines_at_fault_are_counted(tmp_path: Path) -> None:
    dataset = add_dataset(tmp_path)
    rewrite(dataset, "train", ["Bot: hello?"] * 50)
    with pytest.raises(DatasetError, match="… and 30 more") as caught:
        check_dataset(dataset)
    assert len(caught.value.message.splitlines()) == 21


def test_too_few_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = add_dataset(tmp_path)
    rewrite(dataset, "validation", ["fine?"] * 3)
    monkeypatch.setattr(data, "MOST", 10)
    with pytest.raises(DatasetError, match="has 11 training and validation records; the service takes 10 together"):
        check_dataset(dataset)
    rewrite(dataset, "train", ["fine?"] * 7)
    with pytest.raises(DatasetError, match="has 7 training records; it takes at least 8"):
        check_dataset(dataset)


def test_a_failure_shows_our_own_line(tmp_path: Path) -> None:
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    train.write_text("one\ntwo\nthree\n")
    validation.write_text("four\n" + "x" * 1000 + "\n")
    files = {"s3://b/sqlora/1/train.jsonl": train, "s3://b/sqlora/2/validation.jsonl": validation}
    assert explain_failure("s3://b/sqlora/1/train.jsonl line 2: bad", files).endswith(f"bad\n{train} line 2: two")
    assert explain_failure("Line number: 3 is not JSON", files).endswith(f"{train} line 3: three")
    assert explain_failure("invalid validation data at line 1", files).endswith(f"{validation} line 1: four")
    assert len(explain_failure("validation.jsonl lines 2", files)) < 450


@pytest.mark.parametrize("message", ["out of capacity", "train.jsonl line 99: bad", "baseline 2 was met"])
def test_a_failure_without_a_line_of_ours_stays_as_it_is(message: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("one\n")
    assert explain_failure(message, {"s3://b/train.jsonl": tmp_path / "train.jsonl"}) == message
    assert explain_failure(message, {"s3://b/train.jsonl": tmp_path / "gone.jsonl"}) == message
    assert explain_failure(message, {}) == message
