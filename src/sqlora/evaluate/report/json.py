"""report.json: everything the evaluation found, for machines. Written aside and renamed; read back to the same object.

`schema` is its JSON schema, with a description of every field that its name does not explain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sqlora.errors import DatasetError, NotFoundError
from sqlora.evaluate.report.contents import VERSION, Report

FILE = "report.json"


def write_json(report: Report, folder: Path) -> Path:
    """Write ``report.json`` into ``folder``; its path."""
    return write_aside(folder / FILE, report.model_dump_json(indent=1) + "\n")


def read_json(folder: Path) -> Report:
    """The report in ``folder``; NotFoundError when there is none, DatasetError when it is of another version."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise NotFoundError(f"no report in {folder}", "sqlora evaluate") from None
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("version") != VERSION:
            raise DatasetError(f"{path} is not a report of version {VERSION}", "sqlora evaluate")
        return Report.model_validate(raw)
    except (json.JSONDecodeError, ValidationError) as error:
        raise DatasetError(f"{path} is damaged: {str(error).splitlines()[0]}", "sqlora evaluate") from None


def schema() -> dict[str, Any]:
    """The JSON schema of ``report.json``."""
    return Report.model_json_schema()


def write_aside(path: Path, text: str) -> Path:
    """Write a file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", errors="replace")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path
