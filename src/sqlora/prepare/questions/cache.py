"""Answers that were paid for, kept by what was asked: the same request is never sent twice."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from sqlora.prepare.questions.endpoint import Reply, Request

FOLDER = "writer"
USAGE = "usage.jsonl"


class Cache:
    """A folder of answers of one model (``model``: its api, address and id), and a line for each that was paid."""

    def __init__(self, state: Path, model: tuple[str, ...]) -> None:
        self._folder = state / FOLDER
        self._model = model

    def get(self, request: Request) -> Reply | None:
        """The answer to the same request before; None where there is none that can be read."""
        try:
            found = json.loads(self._file(request).read_text(encoding="utf-8"))
            return Reply(found["text"], found["input_tokens"], found["output_tokens"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, request: Request, reply: Reply, dollars: Decimal) -> None:
        """Keep an answer. The file is whole or not there."""
        file = self._file(request)
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".new-", dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(asdict(reply), out)
        Path(aside).replace(file)
        paid = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "model": self._model[-1],
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "dollars": f"{dollars.normalize():f}",
        }
        with (self._folder / USAGE).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(paid) + "\n")

    def _file(self, request: Request) -> Path:
        asked = json.dumps([self._model, asdict(request)], sort_keys=True)
        name = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / name[:2] / f"{name}.json"
