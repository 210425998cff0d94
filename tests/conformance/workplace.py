"""A project with a dataset, and a backend over it whose engine echoes and whose workers train nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served
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


def add_dataset(folder: Path, count: int = 8, system: str = SYSTEM) -> Dataset:
    examples = [Example(f"question {n}?", f"SELECT {n}", "test", split="train") for n in range(count)]
    return write_dataset(folder / ".sqlora", examples, system, {"dialect": "larkql"}, "2026-11-23T00:00:00Z")


def open_backend(folder: Path, opened: Callable[[str], None] = lambda name: None) -> tuple[LocalBackend, EchoEngine]:
    """The backend and the one engine it has; ``opened`` hears which base models are loaded."""
    engine = EchoEngine()

    def open_base(name: str) -> Served:
        opened(name)
        return Served(engine, engine.tokenizer)

    return LocalBackend(load_project(folder, environ={}), open_base, COMMAND), engine


def add_model(backend: LocalBackend, name: str, system: str | None = SYSTEM) -> CustomModel:
    """A registered adapter that answers with its own name."""
    model = backend.state.models.create(name, base_model=backend.project.train.base_model)
    echo_adapter(backend.paths.path / model.folder, name, system=system)
    return model
