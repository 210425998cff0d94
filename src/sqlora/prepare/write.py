"""Examples → the files of a dataset. The folder is written aside and renamed, so a dataset is whole or not there.

Everything is written as it comes: memory holds one example, however many there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from sqlora.prepare.dataset import CARD, FOLDER, PAGE, REJECTS, SIDECAR, Dataset, load_dataset
from sqlora.prepare.examples import SPLITS, Example, Rejection
from sqlora.prompting import record

INPUTS = "inputs.json"
ID_LENGTH = 12
BLOCK = 1 << 20
# Of an example; the card and the rejects have them.
FOR_THE_CARD = ("constructs", "uses", "recall", "asked", "origin")

Card = Mapping[str, Any]


def write_dataset(
    state: Path,
    examples: Iterable[Example],
    system: str,
    card: Card | Callable[[], Card],
    created: str,
    *,
    rejections: Iterable[Rejection] = (),
    beside: Card | Callable[[], Card] | None = None,
) -> Dataset:
    """Write the dataset of ``examples`` (each with its split) under ``state``, or find it when it is there already.

    ``system`` is the system text of the examples that bring none. ``card`` may be a function, called after the last
    example. ``created``, and what ``beside`` has (or gives), go into the card but not into the id: the same examples
    and card make the same dataset. ``rejections`` become `REJECTS`.
    """
    with _written_aside(state / FOLDER) as aside:
        _write_examples(aside, examples, system)
        content = card() if callable(card) else card
        id = _digest(aside, content)
        _write_rejections(aside / REJECTS, rejections)
        more = beside() if callable(beside) else beside or {}
        whole = {"id": id, "created": created, **content, "files": _files(aside), **more}
        (aside / CARD).write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (aside / PAGE).write_text(_page(aside, whole), encoding="utf-8", errors="replace")
        folder = state / FOLDER / id
        _rename(aside, folder)
    return load_dataset(folder)


def _write_examples(folder: Path, examples: Iterable[Example], system: str) -> None:
    """The splits' files, and the sidecar in the order of the splits."""
    with ExitStack() as stack:
        records = {split: _open(stack, folder / f"{split}.jsonl") for split in SPLITS}
        sidecars = {split: _open(stack, folder / f".{split}.jsonl") for split in SPLITS}
        for example in examples:
            assert example.split is not None  # the splitter's work is done
            text = system if example.system is None else example.system
            records[example.split].write(_line(record(text, example.question, example.sql)))
            sidecars[example.split].write(_line(_sidecar(example)))
    with (folder / SIDECAR).open("wb") as whole:
        for split in SPLITS:
            part = folder / f".{split}.jsonl"
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole, BLOCK)
            part.unlink()


def _open(stack: ExitStack, file: Path) -> TextIO:
    return stack.enter_context(file.open("w", encoding="utf-8"))


def _sidecar(example: Example) -> dict[str, Any]:
    row = {key: value for key, value in vars(example).items() if value not in (None, (), "", 1.0)}
    return {key: value for key, value in row.items() if key not in FOR_THE_CARD}


def _write_rejections(file: Path, rejections: Iterable[Rejection]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for rejection in rejections:
            stream.write(_line(rejected(rejection)))


def rejected(rejection: Rejection) -> dict[str, str]:
    """A rejection as a line of `REJECTS`."""
    example = rejection.example
    row = {
        "reason": rejection.reason,
        "detail": rejection.detail,
        "suggestion": rejection.suggestion,
        "origin": rejection.origin,
        "source": example.source,
        "question": example.question,
        "sql": example.sql,
    }
    return {key: value for key, value in row.items() if value}


def _line(row: Card) -> str:
    # A question with half of a surrogate pair in it has been rejected, but is told of all the same.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def _digest(folder: Path, card: Card) -> str:
    """The dataset's id: a hash of its files and its card."""
    digest = hashlib.sha256()
    for name in (*(f"{split}.jsonl" for split in SPLITS), SIDECAR):
        path = folder / name
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        for block in _blocks(path):
            digest.update(block)
    text = json.dumps(card, sort_keys=True)
    digest.update(f"{CARD} {len(text)}\n{text}".encode())
    return digest.hexdigest()[:ID_LENGTH]


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size, lines and hash of each file, so that a copy of the dataset can be checked."""
    found: dict[str, dict[str, Any]] = {}
    for name in (*(f"{split}.jsonl" for split in SPLITS), SIDECAR, REJECTS):
        digest, lines = hashlib.sha256(), 0
        for block in _blocks(folder / name):
            digest.update(block)
            lines += block.count(b"\n")
        found[name] = {"lines": lines, "bytes": (folder / name).stat().st_size, "sha256": digest.hexdigest()}
    return found


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def _page(folder: Path, card: Card) -> str:
    from sqlora.prepare.page import render, samples

    return render(card, samples(folder, card))


@contextmanager
def _written_aside(parent: Path) -> Iterator[Path]:
    """A new folder that takes its name at the end (`_rename`), or goes away."""
    parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _rename(aside: Path, folder: Path) -> None:
    """Give the folder its name. A dataset of this id that is there already is the same, and stays."""
    aside.chmod(0o755)
    if (folder / CARD).is_file():
        return
    try:
        aside.rename(folder)
    except OSError:
        if not (folder / CARD).is_file():  # another process wrote the same dataset in the meantime: all is well
            raise


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
