"""A project small enough to go the whole way in seconds: three tables, two dozen pairs, the tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from sqlora.cli.app import app
from tests.tiny import tiny_model

Run = Callable[..., Result]

DDL = """
CREATE TABLE store (store_id INTEGER PRIMARY KEY, store_name VARCHAR, city VARCHAR, closed_on DATE);
CREATE TABLE sale (sale_id INTEGER PRIMARY KEY, store_id INTEGER REFERENCES store (store_id), amount DECIMAL(9, 2),
                   sold_on DATE);
INSERT INTO store VALUES (1, 'Kirkgate', 'Leeds', NULL), (2, 'Quayside', 'Newcastle', NULL),
                         (3, 'Bay', 'Cardiff', '2025-01-31');
INSERT INTO sale SELECT n, 1 + n % 3, n * 1.25, DATE '2025-01-01' + n::INTEGER FROM range(90) numbers (n);
"""

QUERIES = {
    "how many stores are in {}": "SELECT COUNT(*) FROM store WHERE city = '{}'",
    "names of the stores in {}": "SELECT store_name FROM store WHERE city = '{}'",
    "sales in {}": "SELECT SUM(amount) FROM sale JOIN store USING (store_id) WHERE city = '{}'",
    "biggest sale in {}": "SELECT MAX(amount) FROM sale JOIN store USING (store_id) WHERE city = '{}'",
    "how many sales were there in {}": "SELECT COUNT(*) FROM sale JOIN store USING (store_id) WHERE city = '{}'",
    "last day of a sale in {}": "SELECT MAX(sold_on) FROM sale JOIN store USING (store_id) WHERE city = '{}'",
}
TESTS = {
    "average sale": "SELECT AVG(amount) FROM sale",
    "cities in order": "SELECT city FROM store ORDER BY city",
    "stores that closed": "SELECT store_name FROM store WHERE closed_on IS NOT NULL",
}


def write_pairs(file: Path, pairs: dict[str, str]) -> None:
    file.write_text("".join(json.dumps({"question": q, "sql": s}) + "\n" for q, s in pairs.items()))


def write_project(folder: Path, model: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(DDL)
    cities = ("Leeds", "Newcastle", "Cardiff")
    write_pairs(folder / "train.jsonl", {q.format(c): s.format(c) for q, s in QUERIES.items() for c in cities})
    write_pairs(folder / "test.jsonl", TESTS)
    (folder / "sqlora.toml").write_text(f"""
[project]
name = "shop"
dialect = "duckdb"
[database]
url = "duckdb:///shop.duckdb"
[[sources]]
kind = "pairs"
path = "train.jsonl"
[[sources]]
kind = "pairs"
path = "test.jsonl"
split = "test"
[prepare]
test_share = 0.0
validation_share = 0.15
[train]
base_model = "{model}"
recipe = "demo"
rank = 2
epochs = 2
batch_size = 4
[evaluate]
max_tokens = 8
""")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SQLORA_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def project(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is a project in which nothing was done yet."""
    folder = write_project(tmp_path / "shop", model)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run() -> Run:
    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="sqlora", input=stdin)

    return run
