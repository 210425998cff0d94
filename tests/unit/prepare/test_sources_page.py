"""docs/reference/sources.md: every kind and key is there, and every example does what it says."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import get_args

import duckdb
import pytest

from sqlora.prepare.examples import Candidate
from sqlora.prepare.sources import ENDLESS, inputs, read_source
from sqlora.project import Project, load_project
from sqlora.settings import SourceKind, SourceSection

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")
KINDS = get_args(SourceKind)
SECTIONS = {found[1]: found[2] for found in re.finditer(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """A project with the example of one kind, and the files that the page shows."""
    section = SECTIONS[request.param]
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, channel VARCHAR, status VARCHAR); CREATE TABLE customers (name VARCHAR, city VARCHAR, joined_on DATE)")
        connection.execute("INSERT INTO orders SELECT i, ['web', 'shop'][1 + i % 2], ['open', 'paid'][1 + i % 2] FROM range(40) t(i)")
    for kind, name, content in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        assert kind in ("json", "csv", "sql")
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    [example] = re.findall(r"^```toml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "sqlora.toml").write_text(f'[database]\nurl = "duckdb:///shop.duckdb"\n{example}')
    return load_project(tmp_path)


def test_every_kind_and_key_is_described() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", SECTIONS["Keys"], re.MULTILINE))
    assert rows == {name: field.description for name, field in SourceSection.model_fields.items()}
    assert [name for name in SECTIONS if name in KINDS] == re.findall(r"^\| \[`([\w-]+)`\]", PAGE, re.MULTILINE)
    assert set(KINDS) <= set(SECTIONS)


@pytest.mark.parametrize("project", KINDS, indirect=True)
def test_the_example_of_each_kind_is_read(project: Project) -> None:
    [source] = project.sources
    assert all(path.exists() for path in inputs(source))
    with project.open_database() as database:
        read = read_source(source, project, "it", database.schema(), database)
        found = list(islice(read, 3) if source.kind in ENDLESS else read)
    assert found
    assert all(isinstance(each, Candidate) for each in found)


def test_files_beside_a_path_are_inputs_too(tmp_path: Path) -> None:
    for name in ("dev_databases/x/x.sqlite", "dev_tables.json", "train.tables.jsonl.gz", "catalog.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def of(kind: SourceKind, name: str) -> list[str]:
        return [path.name for path in inputs(SourceSection(kind=kind, path=tmp_path / name))]

    assert of("bird", "dev.json") == ["dev.json", "dev_databases", "dev_tables.json"]
    assert of("wikisql", "train.jsonl.gz") == ["train.jsonl.gz", "train.tables.jsonl.gz"]
    assert of("schema-only", "manifest.json") == ["manifest.json", "catalog.json"]
    assert of("pairs", "a.jsonl") == ["a.jsonl"]
