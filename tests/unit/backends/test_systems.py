"""The system text that a question is asked with, where the schema is too wide for all of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sqlora.backends.systems import Systems
from sqlora.backends.target import target_of_base
from sqlora.project import Project, load_project
from sqlora.prompting import asked_in, conversation

TABLES = "\n".join(f"CREATE TABLE thing_{n} (thing_{n}_id INTEGER PRIMARY KEY, colour TEXT);" for n in range(40))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    database = sqlite3.connect(tmp_path / "x.sqlite")
    database.executescript(TABLES + "CREATE TABLE region (region_id INTEGER PRIMARY KEY, region_name TEXT);")
    database.close()
    (tmp_path / "sqlora.toml").write_text(
        '[project]\ndialect = "sqlite"\n[database]\nurl = "sqlite:///x.sqlite"\n[prepare]\nschema_tokens = 60\n'
    )
    return load_project(tmp_path, environ={})


def test_each_question_is_asked_with_what_it_needs(project: Project) -> None:
    systems, base = Systems(project), target_of_base(project)
    regions = systems.of(base, "how many regions are there?")
    assert "region(region_id, region_name)" in regions
    assert "thing_7(thing_7_id" in systems.of(base, "colours of thing 7")
    assert systems.known(base, "how many regions are there?") == regions
    assert len(systems.of(base)) < 400  # without a question too: never more than there is room for


def test_a_text_of_one_question_is_not_the_deployments_own(project: Project) -> None:
    systems, base = Systems(project), target_of_base(project)
    assert not systems.is_own(base, systems.of(base, "how many regions are there?"))


def test_a_follow_up_is_about_what_was_asked_before(project: Project) -> None:
    asked = asked_in(conversation("", ["how many regions?", "SELECT COUNT(*) FROM region", "and their names?"]))
    assert asked == "how many regions?\nand their names?"
    assert "region(" in Systems(project).of(target_of_base(project), asked)


def test_the_database_is_not_read_for_each_question(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    schema = Project.schema

    def counted(self: Project) -> object:
        read.append(1)
        return schema(self)

    monkeypatch.setattr(Project, "schema", counted)
    systems, base = Systems(project), target_of_base(project)
    for number in range(5):
        systems.of(base, f"thing {number}")
        systems.known(base, f"thing {number}")
    assert len(read) == 1
