from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.errors import ConfigError, DatasetError, NotFoundError
from sqlora.platform import customization_data
from sqlora.platform.customization_data import fetch, write
from sqlora.prepare.dataset import list_datasets, load_dataset
from sqlora.project import StateFolder
from sqlora.prompting import record
from tests.unit.platform.memory_objects import MemoryObjects

TRAIN, VALIDATION = "s3://bucket/train.jsonl", "s3://bucket/deep/val.jsonl"


def jsonl(count: int, system: str = "the schema", first: int = 0) -> bytes:
    rows = (record(system, f"question {n}?", f"SELECT {n}") for n in range(first, first + count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def objects() -> MemoryObjects:
    found = MemoryObjects()
    found.content = {TRAIN: jsonl(8), VALIDATION: jsonl(2, first=100)}
    return found


def test_the_dataset_is_one_like_those_of_prepare(objects: MemoryObjects, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "a" / "input"
    fetched = fetch(objects, [TRAIN], [VALIDATION], folder)
    assert (fetched.counts, fetched.system) == ({"train": 8, "validation": 2}, "the schema")
    id = write(folder, StateFolder(tmp_path).dataset, fetched, TRAIN)
    dataset = load_dataset(tmp_path / "datasets" / id)
    assert [*dataset.records("train")] == [record("the schema", f"question {n}?", f"SELECT {n}") for n in range(8)]
    assert [example.sql for example in dataset.examples("validation")] == ["SELECT 100", "SELECT 101"]
    assert [*dataset.records("test")] == []
    assert dataset.card["splits"] == {"train": 8, "validation": 2, "test": 0}
    assert not folder.exists()


def test_the_id_is_of_the_content(objects: MemoryObjects, tmp_path: Path) -> None:
    def made() -> str:
        return write(
            tmp_path / "in", StateFolder(tmp_path).dataset, fetch(objects, [TRAIN], [], tmp_path / "in"), TRAIN
        )

    first = made()
    assert made() == first
    objects.content[TRAIN] = jsonl(9)
    assert made() != first


def test_a_jobs_dataset_is_not_the_newest_of_the_project(objects: MemoryObjects, tmp_path: Path) -> None:
    own = tmp_path / "datasets" / "own"
    own.mkdir(parents=True)
    (own / "card.json").write_text(json.dumps({"created": "2020-01-01T00:00:00Z"}))
    write(tmp_path / "in", StateFolder(tmp_path).dataset, fetch(objects, [TRAIN], [], tmp_path / "in"), TRAIN)
    assert next(dataset.id for dataset in list_datasets(tmp_path)) == "own"


def test_records_of_several_systems_have_none_in_common(objects: MemoryObjects, tmp_path: Path) -> None:
    objects.content[TRAIN] = jsonl(8) + jsonl(1, system="another")
    assert fetch(objects, [TRAIN], [], tmp_path / "in").system is None


def test_a_folder_stands_for_its_files(objects: MemoryObjects, tmp_path: Path) -> None:
    objects.content |= {
        "s3://bucket/many/1.jsonl": jsonl(4),
        "s3://bucket/many/2.jsonl": jsonl(5),
        "s3://bucket/many/x.txt": b"x",
    }
    assert fetch(objects, ["s3://bucket/many/"], [], tmp_path / "in").counts["train"] == 9


def test_empty_lines_are_passed_over_and_counted(objects: MemoryObjects, tmp_path: Path) -> None:
    objects.content[TRAIN] = jsonl(8) + b"\n  \nno record\n"
    with pytest.raises(DatasetError, match=r"s3://bucket/train\.jsonl line 11: the record is not JSON"):
        fetch(objects, [TRAIN], [], tmp_path / "in")


def test_too_few_and_too_many_records(objects: MemoryObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects.content[TRAIN] = jsonl(7)
    with pytest.raises(DatasetError, match="7 training records; at least 8"):
        fetch(objects, [TRAIN], [VALIDATION], tmp_path / "in")
    monkeypatch.setattr(customization_data, "MOST", 9)
    objects.content[TRAIN] = jsonl(8)
    with pytest.raises(DatasetError, match=r"deep/val\.jsonl line 2: more than 9"):
        fetch(objects, [TRAIN], [VALIDATION], tmp_path / "in")


def test_too_many_bytes(objects: MemoryObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customization_data, "LARGEST", 500)
    with pytest.raises(DatasetError, match=r"line \d: more than 500 bytes"):
        fetch(objects, [TRAIN], [], tmp_path / "in")


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("s3://bucket/none.jsonl", NotFoundError),
        ("s3://nowhere/train.jsonl", NotFoundError),
        ("s3://bucket/empty/", NotFoundError),
        ("s3://bucket/train.csv", ConfigError),
    ],
)
def test_what_is_not_there_is_named(objects: MemoryObjects, tmp_path: Path, uri: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=uri):
        fetch(objects, [uri], [], tmp_path / "in")


def test_it_can_be_stopped_between_two_records(objects: MemoryObjects, tmp_path: Path) -> None:
    seen = []

    def check() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(objects, [TRAIN], [], tmp_path / "in", check)
    assert len(seen) == 3
