"""sqlora.toml → Project: precedence, origins, and every mistake in one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import ConfigError
from sqlora.project import StateFolder, cache_folder, load_project
from sqlora.settings import Settings
from sqlora.settings_file import key_lines

RETAIL = """\
[project]
name = "larkspur"
dialect = "dialect.toml"

[database]
url = "duckdb:///warehouse.duckdb"

[[sources]]
kind = "pairs"
path = "questions/train.jsonl"
split = "train"

[[sources]]
kind = "synthesize"
count = 4000
glossary = "glossary.toml"

[prepare]
test_share = 0.2

[train]
recipe = "demo"
rank = 8
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sqlora.toml").write_text(RETAIL)
    return tmp_path


def mistakes(folder: Path, text: str, **keywords: object) -> list[str]:
    (folder / "sqlora.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_project(folder, environ={}, **keywords)  # type: ignore[arg-type]
    return caught.value.message.splitlines()


def test_reads_every_section(folder: Path) -> None:
    project = load_project(folder, environ={})
    assert (project.name, project.dialect_name) == ("larkspur", "dialect.toml")
    assert project.database.url == "duckdb:///warehouse.duckdb"
    assert [source.kind for source in project.sources] == ["pairs", "synthesize"]
    assert project.sources[0].path == folder / "questions/train.jsonl"
    assert project.sources[1].glossary == folder / "glossary.toml"
    assert (project.prepare.test_share, project.prepare.validation_share) == (0.2, 0.05)
    assert (project.train.recipe, project.train.overrides) == ("demo", {"rank": 8})
    assert (project.folder, project.state) == (folder, folder / ".sqlora")


def test_an_empty_file_is_a_project_named_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sqlora.toml").write_text("")
    project = load_project(tmp_path, environ={})
    assert (project.name, project.dialect_name, project.train.base_model) == (tmp_path.name, "duckdb", "smollm2-135m")
    assert project.settings == Settings()


def test_searches_upwards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    assert load_project(environ={}).folder == folder


def test_no_project_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no sqlora\.toml in ") as caught:
        load_project(tmp_path, environ={})
    assert caught.value.next_step is not None
    assert caught.value.next_step.startswith("sqlora init")


def test_command_line_beats_environment_beats_file_beats_default(folder: Path) -> None:
    environ = {"SQLORA_TRAIN__RECIPE": "thorough", "SQLORA_PREPARE__SEED": "7", "SQLORA_CACHE": "/elsewhere"}
    project = load_project(folder, {"train.recipe": "standard", "deploy.name": None}, environ)
    assert (project.train.recipe, project.origin("train.recipe")) == ("standard", "command line")
    assert (project.prepare.seed, project.origin("prepare.seed")) == (7, "environment variable SQLORA_PREPARE__SEED")
    assert (project.prepare.test_share, project.origin("prepare.test_share")) == (0.2, "sqlora.toml line 19")
    assert (project.deploy.name, project.origin("deploy.name")) == (None, "default")


@pytest.mark.parametrize(
    ("text", "value"), [("16", 16), ("1e-3", 0.001), ("true", True), ("q_proj", "q_proj"), ("[1, 2]", [1, 2])]
)
def test_recipe_keys_from_the_environment_have_their_toml_type(folder: Path, text: str, value: object) -> None:
    project = load_project(folder, environ={"SQLORA_TRAIN__RANK": text})
    assert project.train.overrides["rank"] == value
    assert type(project.train.overrides["rank"]) is type(value)


def test_a_source_is_named_by_number(folder: Path) -> None:
    assert load_project(folder, {"sources.1.count": "50"}, environ={}).sources[1].count == 50
    with pytest.raises(ConfigError, match=r"sources\.5\.count = 50 \(command line\): no such item; there are 2"):
        load_project(folder, {"sources.5.count": 50}, environ={})


def test_a_pattern_stands_for_the_files_it_matches(tmp_path: Path) -> None:
    (tmp_path / "sqlora.toml").write_text(
        '[[sources]]\nkind = "pairs"\npath = "questions/train*.jsonl"\nsplit = "train"\n[[sources]]\nkind = "synthesize"\n'
    )
    questions = tmp_path / "questions"
    questions.mkdir()
    with pytest.raises(ConfigError, match=r"no file matches .*train\*\.jsonl"):
        _ = load_project(tmp_path, environ={}).sources
    for name in ("train-b", "test", "train", "train-a"):
        (questions / f"{name}.jsonl").touch()
    found = load_project(tmp_path, environ={}).sources
    assert [(source.path.name if source.path else None, source.split) for source in found] == [
        ("train-a.jsonl", "train"), ("train-b.jsonl", "train"), ("train.jsonl", "train"), (None, None),
    ]  # fmt: skip
    (questions / "train*.jsonl").touch()  # a file of that very name is meant itself
    assert load_project(tmp_path, environ={}).sources[0].path == questions / "train*.jsonl"


def test_all_mistakes_at_once_with_key_value_and_line(folder: Path) -> None:
    text = """\
[project]
dialetc = "duckdb"

[trian]
recipe = "demo"

[[sources]]
kind = "pairs"

[[sources]]
kind = "guesses"
count = 0

[prepare]
test_share = 1.5

[train]
recpie = "demo"
seed = "many"
"""
    lines = mistakes(folder, text, overrides={"evaluate.seconds": "-1"})
    assert lines[0] == f"9 problems in the settings of {folder / 'sqlora.toml'}"
    expected = {
        '  train.recpie = "demo" (sqlora.toml line 18): unknown key; did you mean recipe?',
        '  project.dialetc = "duckdb" (sqlora.toml line 2): unknown key; did you mean dialect?',
        "  trian (sqlora.toml line 4): unknown section; did you mean train?",
        "  sources.0 (sqlora.toml line 7): a pairs source needs a path",
        "  sources.1.count = 0 (sqlora.toml line 12): must be greater than or equal to 1",
        "  prepare.test_share = 1.5 (sqlora.toml line 15): must be less than 1",
        '  evaluate.seconds = "-1" (command line): must be greater than 0',
    }
    assert expected <= set(lines)
    kinds = "  sources.1.kind = \"guesses\" (sqlora.toml line 11): must be 'pairs', 'rewrite', 'sql-create-context', "
    assert any(line.startswith(kinds) and line.endswith(" or 'synthesize'") for line in lines)
    assert any(
        line.startswith('  train.seed = "many" (sqlora.toml line 19): must be a valid integer') for line in lines
    )


def test_a_key_of_another_section_says_where_it_belongs(folder: Path) -> None:
    assert mistakes(folder, '[project]\nurl = "duckdb:///x"\n')[1:] == [
        '  project.url = "duckdb:///x" (sqlora.toml line 2): unknown key; it belongs in [database]'
    ]


def test_an_environment_variable_without_such_a_section_is_a_mistake(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"trian .*environment variable SQLORA_TRIAN__RECIPE.*did you mean train\?"):
        load_project(folder, environ={"SQLORA_TRIAN__RECIPE": "demo"})


def test_passwords_are_not_repeated(folder: Path) -> None:
    text = '[databse]\n[project]\nname = "postgresql://ann:s3cret@host/db' + "x" * 80 + '"\n'
    lines = mistakes(folder, text)
    assert any("postgresql://ann:***@host" in line for line in lines)
    assert not any("s3cret" in line for line in lines)


def test_broken_toml_names_the_line(folder: Path) -> None:
    assert "line 2" in mistakes(folder, "[project]\nname = larkspur\n")[0]


def test_not_utf8(folder: Path) -> None:
    (folder / "sqlora.toml").write_bytes(b'[project]\nname = "caf\xe9"\n')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_project(folder)


@pytest.mark.parametrize("text", ["project = 3\n", "sources = 3\n", "[sources]\nkind = 'pairs'\n", "train = []\n"])
def test_wrong_shapes_are_mistakes_not_crashes(folder: Path, text: str) -> None:
    assert mistakes(folder, text)[1].startswith("  ")
    assert mistakes(folder, text, overrides={"train.recipe": "demo", "sources.0.count": 3})[1].startswith("  ")


def test_a_base_model_beside_the_project_is_a_path_and_a_hub_id_is_not(folder: Path) -> None:
    (folder / "models" / "tiny").mkdir(parents=True)
    named = {
        name: load_project(folder, {"train.base_model": name}, environ={}).train.base_model
        for name in ("models/tiny", "./x", "tiny.gguf", "Qwen/Qwen2.5-0.5B", "smollm2-135m")
    }
    assert named == {
        "models/tiny": str(folder / "models/tiny"),
        "./x": str(folder / "x"),
        "tiny.gguf": str(folder / "tiny.gguf"),
        "Qwen/Qwen2.5-0.5B": "Qwen/Qwen2.5-0.5B",
        "smollm2-135m": "smollm2-135m",
    }


def test_a_project_without_a_database_says_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "sqlora.toml").write_text("")
    with pytest.raises(ConfigError, match="names no database"):
        load_project(tmp_path, environ={}).schema()


def test_cache_folder_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLORA_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SQLORA_CACHE")
    assert cache_folder().name == "sqlora"


def test_state_paths_are_not_created_by_asking(tmp_path: Path) -> None:
    paths = StateFolder(tmp_path / ".sqlora")
    assert paths.job("abc") == tmp_path / ".sqlora/jobs/abc"
    assert not paths.path.exists()


_NAMES = st.text("abcdefgh_", min_size=1, max_size=6)


@given(st.dictionaries(_NAMES, st.dictionaries(_NAMES, st.integers(), max_size=4), max_size=4))
def test_key_lines_finds_the_line_of_every_key(sections: dict[str, dict[str, int]]) -> None:
    written = [
        line for name, keys in sections.items() for line in (f"[{name}]", *(f"{k} = {v}" for k, v in keys.items()))
    ]
    lines = key_lines("\n".join(written))
    for name, keys in sections.items():
        assert written[lines[name] - 1] == f"[{name}]"
        assert all(written[lines[f"{name}.{key}"] - 1] == f"{key} = {value}" for key, value in keys.items())


def test_key_lines_passes_over_multi_line_strings() -> None:
    assert key_lines('[a]\nx = """\ny = 1\n"""\nz = 2\n') == {"a": 1, "a.x": 2, "a.z": 5}


def test_reading_a_project_loads_no_heavy_library(folder: Path) -> None:
    code = (
        "import sys; from sqlora.project import load_project; load_project(sys.argv[1]);"
        "print([m for m in ('torch', 'duckdb', 'sqlglot', 'boto3', 'transformers') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
