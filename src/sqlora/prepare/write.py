"""Examples → the files of a dataset. The folder is written aside and renamed, so a dataset is whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlora.prepare.dataset import CARD, FOLDER, SIDECAR, Dataset, load_dataset
from sqlora.prepare.examples import SPLITS, Example
from sqlora.prompting import record

INPUTS = "inputs.json"
ID_LENGTH = 12


def write_dataset(
    state: Path, examples: Sequence[Example], system: str, card: Mapping[str, Any], created: str
) -> Dataset:
    """Write the dataset of ``examples`` (each with its split) under ``state``, or find it when it is there already.

    ``system`` is the system text of the examples that bring none. ``created`` goes into the card but not into the id:
    the same examples and card make the same dataset.
    """
    ordered = [example for split in SPLITS for example in examples if example.split == split]
    files = {f"{split}.jsonl": _lines(_records(ordered, split, system)) for split in SPLITS}
    files[SIDECAR] = _lines(_sidecar(example) for example in ordered)
    digest = hashlib.sha256()
    for name, text in [*files.items(), (CARD, json.dumps(card, sort_keys=True))]:
        digest.update(f"{name} {len(text)}\n{text}".encode())
    id = digest.hexdigest()[:ID_LENGTH]
    files[CARD] = json.dumps({"id": id, "created": created, **card}, indent=2, ensure_ascii=False) + "\n"
    folder = state / FOLDER / id
    if not (folder / CARD).is_file():
        with _written_aside(folder) as aside:
            for name, text in files.items():
                (aside / name).write_text(text, encoding="utf-8")
    return load_dataset(folder)


def _records(examples: Iterable[Example], split: str, system: str) -> Iterator[dict[str, Any]]:
    for example in examples:
        if example.split == split:
            yield record(system if example.system is None else example.system, example.question, example.sql)


def _sidecar(example: Example) -> dict[str, Any]:
    return {key: value for key, value in asdict(example).items() if value not in (None, (), "", 1.0)}


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@contextmanager
def _written_aside(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its name at the end, or goes away."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / CARD).is_file():  # another process wrote the same dataset in the meantime: all is well
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remember_inputs(state: Path, fingerprint: str, id: str) -> None:
    """Note that these inputs gave dataset ``id``, so that the next `prepare` returns at once."""
    known = _known_inputs(state)
    known[fingerprint] = id
    path = state / FOLDER / INPUTS
    aside = path.with_name(f".{INPUTS}.{os.getpid()}")
    aside.write_text(json.dumps(known, indent=1), encoding="utf-8")
    aside.replace(path)


def recall_inputs(state: Path, fingerprint: str) -> Dataset | None:
    """The dataset that these inputs gave before, if it is still there."""
    id = _known_inputs(state).get(fingerprint)
    folder = state / FOLDER / str(id)
    return load_dataset(folder) if id and (folder / CARD).is_file() else None


def _known_inputs(state: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((state / FOLDER / INPUTS).read_text(encoding="utf-8"))
        return known
    except (OSError, ValueError):
        return {}
