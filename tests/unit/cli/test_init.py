from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from sqlora.cli import init as init_module
from sqlora.cli.init import find_example
from sqlora.project import load_project
from tests.unit.cli.conftest import Run

WAREHOUSE = """
from pathlib import Path
from typing import NamedTuple
class Row(NamedTuple):
    number: int
def build(path: Path, seed: int = 7) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(f"database {Row(seed).number}")
    aside.replace(path)
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small example in place of the real ones."""
    folder = tmp_path / "package" / "examples" / "shop"
    (folder / "questions").mkdir(parents=True)
    (folder / ".ruff_cache").mkdir()
    for name, text in {
        "sqlora.toml": '[project]\nname = "shop"\n',
        "dialect.toml": "",
        "warehouse.py": WAREHOUSE,
        "warehouse.duckdb": "the author's own",
        "demo.py": "",
        "questions/test.jsonl": "{}\n",
        ".ruff_cache/x": "",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(init_module.sqlora, "__file__", str(tmp_path / "package" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


COMPLETE = ["dialect.toml", "questions/test.jsonl", "sqlora.toml", "warehouse.duckdb", "warehouse.py"]


def test_an_example_is_copied_and_its_database_built(run: Run, example: Path, tmp_path: Path) -> None:
    result = run("init", "demo", "--example", "shop")
    assert result.exit_code == 0
    assert files(tmp_path / "demo") == COMPLETE
    assert (tmp_path / "demo" / "warehouse.duckdb").read_text() == "database 7"
    assert result.stderr.splitlines()[-1] == "next: cd demo && sqlora prepare"
    assert not list(example.rglob("__pycache__"))


def test_again_it_only_adds_what_is_missing(run: Run, example: Path, tmp_path: Path) -> None:
    run("init", "demo", "--example", "shop")
    (tmp_path / "demo" / "warehouse.duckdb").unlink()
    (tmp_path / "demo" / "sqlora.toml").write_text("# mine")
    result = run("init", "demo", "--example", "shop", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert [Path(name).name for name in answer["written"]] == ["warehouse.duckdb"]
    assert (tmp_path / "demo" / "sqlora.toml").read_text() == "# mine"


def test_interrupted_it_leaves_no_project_and_the_same_command_goes_on(
    run: Run, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: Path, target: Path) -> None:
        Path(target).write_text("half")
        if source.name == "warehouse.py":
            raise KeyboardInterrupt
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr(init_module.shutil, "copyfile", interrupted)
    result = run("init", "demo", "--example", "shop")
    assert result.exit_code == 130
    assert "next: sqlora init demo --example shop" in result.stderr
    assert files(tmp_path / "demo") == ["dialect.toml"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init_module.sqlora, "__file__", str(tmp_path / "package" / "__init__.py"))
    assert run("init", "demo", "--example", "shop").exit_code == 0
    assert files(tmp_path / "demo") == COMPLETE


def test_an_unknown_example_lists_those_there_are(run: Run, example: Path) -> None:
    result = run("init", "demo", "--example", "retial")
    assert result.exit_code == 1
    assert "no example 'retial'; there is: shop" in result.stderr


def test_without_an_example_an_explained_file_that_loads(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "mine").exit_code == 0
    assert files(tmp_path / "mine") == ["sqlora.toml"]
    project = load_project(tmp_path / "mine", environ={})
    assert (project.name, project.dialect_name, project.recipe_name) == ("mine", "duckdb", "standard")


def test_every_commented_setting_is_one_that_exists_with_its_default(tmp_path: Path) -> None:
    """What the file shows as a default is the default: uncommented, nothing changes."""
    text = (init_module.TEMPLATES / "sqlora.toml").read_text()
    lines = [line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in text.splitlines()]
    shown = [line for line in lines if "name = " not in line and "models = " not in line and "glossary" not in line]
    kept = "\n".join(line for line in shown if not line.startswith(('kind = "pairs"', "path = ", "split = ")))
    (tmp_path / "sqlora.toml").write_text(kept)
    assert tomllib.loads(kept)["train"]["base_model"] == "smollm2-135m"
    project = load_project(tmp_path, environ={})
    (tmp_path / "sqlora.toml").write_text("")
    default = load_project(tmp_path, environ={})
    for section in ("prepare", "evaluate", "aws"):
        assert getattr(project, section) == getattr(default, section), section
    assert (project.train.backend, project.train.base_model, project.recipe_name) == (
        default.train.backend,
        default.train.base_model,
        default.recipe_name,
    )


def test_a_project_that_is_there_is_left_alone(run: Run, project: Path) -> None:
    before = (project / "sqlora.toml").read_text()
    result = run("init")
    assert result.exit_code == 1
    assert "has a sqlora.toml already" in result.stderr
    assert (project / "sqlora.toml").read_text() == before


def test_the_retail_example_is_whole(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that its sqlora.toml names is copied, and every file of questions is named there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init_module, "_build", lambda script, database: database.write_text(script.name))
    assert run("init", "demo", "--example", "retail").exit_code == 0
    project = load_project(tmp_path / "demo", environ={})
    named = {path.resolve() for source in project.sources for path in (source.path, source.glossary) if path}
    assert all(path.is_file() for path in named)
    assert {path.resolve() for path in (tmp_path / "demo" / "questions").glob("*.jsonl")} <= named
    assert project.dialect().name == "larkql"
    assert not [name for name in files(tmp_path / "demo") if "cache" in name or name == "demo.py"]
    assert find_example("retail").name == "retail"
