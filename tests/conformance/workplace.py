"""A project with a dataset, and a backend over it whose engine echoes and whose workers train nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served
from sqlora.engines.residency import Residency
from sqlora.errors import ModelError
from sqlora.platform.models import CustomModel
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.examples import Example
from sqlora.prepare.write import write_dataset
from sqlora.project import load_project
from sqlora.prompting import system_text
from tests.conformance.echo import EchoEngine, echo_adapter
from tests.unit.platform.fake_training import COMMAND

SYSTEM = system_text("larkql", "region(region_id, region_name, country)")


def write_project(folder: Path, text: str = '[project]\nname = "Larkspur Markets"\n') -> None:
    (folder / "sqlora.toml").write_text(text)


def add_dataset(folder: Path, count: int = 8, system: str = SYSTEM, held_out: int = 0) -> Dataset:
    """``count`` training records and ``held_out`` validation records."""
    examples = [
        Example(f"question {n}?", f"SELECT {n}", "test", split="train" if n < count else "validation")
        for n in range(count + held_out)
    ]
    return write_dataset(folder / ".sqlora", examples, system, {"dialect": "larkql"}, "2026-11-23T00:00:00Z")


def open_backend(
    folder: Path,
    opened: Callable[[str], None] = lambda name: None,
    *,
    engine: EchoEngine | None = None,
    residency: Residency | None = None,
) -> tuple[LocalBackend, EchoEngine]:
    """The backend and the one engine it has; ``opened`` hears which base models are loaded."""
    echo = engine or EchoEngine()

    def open_base(name: str) -> Served:
        opened(name)
        return Served(echo, echo.tokenizer)

    project = load_project(folder, environ={})
    backend = LocalBackend(project, open_base, COMMAND, residency=residency, check_adapter=check_echo)
    return backend, echo


def check_echo(folder: Path, base_model: str) -> dict[str, Any]:
    """An echo adapter fits every base model unless its weights say ``unfit``."""
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file() or weights.read_bytes() == b"unfit":
        raise ModelError(f"the adapter {folder} does not fit {base_model}")
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def add_model(backend: LocalBackend, name: str, system: str | None = SYSTEM) -> CustomModel:
    """A registered adapter that answers with its own name."""
    model = backend.state.models.create(name, base_model=backend.project.train.base_model)
    echo_adapter(backend.paths.path / model.folder, name, system=system)
    return model
