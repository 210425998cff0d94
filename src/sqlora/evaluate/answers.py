"""Answers as they come, on disk: an evaluation that was stopped goes on where it was, and asks nothing twice.

`answers.jsonl` in an evaluation's folder has one line an answer, appended and synced chunk by chunk. Its key is the
model's identity (name and custom model) and a hash of prompt and sampling, so answers of other evaluations of the
project are found as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlora.engines.base import Completion

FILE = "answers.jsonl"


@dataclass(frozen=True)
class Answer:
    """What a model answered: ``text`` as it came; tokens; its share of the seconds of the chunk it was asked in.

    ``revised``: the first answer was not sound, and this is another one (`sqlora.backends.revise`).
    """

    model: str
    example: int
    prompt: str
    text: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    stop_reason: str
    seconds: float
    revised: bool = False

    @staticmethod
    def of(model: str, example: int, prompt: str, completion: Completion, seconds: float) -> Answer:
        """From a completion; what is not text in Unicode (half a surrogate pair) is replaced."""
        text = completion.text.encode("utf-8", "replace").decode("utf-8")
        return Answer(
            model, example, prompt, text, completion.input_tokens, completion.output_tokens,
            completion.cached_tokens, completion.stop_reason, seconds, bool(completion.alternatives),
        )  # fmt: skip


class AnswerStore:
    """The answers of one evaluation, and those that its siblings have already."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._answers: dict[tuple[str, str], Answer] = {}
        for sibling in sorted(folder.parent.glob(f"*/{FILE}")):
            for answer in _read(sibling):
                self._answers[answer.model, answer.prompt] = answer
        folder.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self.path)

    def get(self, model: str, prompt: str) -> Answer | None:
        """The answer of that model to that prompt, if there is one."""
        return self._answers.get((model, prompt))

    def add(self, answers: Iterable[Answer]) -> None:
        """Keep answers; once this returns they outlive the process and the machine."""
        added = list(answers)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(answer), ensure_ascii=False) + "\n" for answer in added)
            file.flush()
            os.fsync(file.fileno())
        for answer in added:
            self._answers[answer.model, answer.prompt] = answer


def _read(path: Path) -> Iterator[Answer]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        try:
            yield Answer(**json.loads(line))
        except (ValueError, TypeError):  # a line torn by a kill, or of another version: it is asked again
            continue


def _cut_torn_line(path: Path) -> None:
    """What was killed while writing may have left half a line, which must not swallow the next."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        text = file.read()
        if text and not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)
