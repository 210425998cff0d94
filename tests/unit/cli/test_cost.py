from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_reference_month_costs_80_cents(run: Run) -> None:
    result = run("cost")
    assert result.exit_code == 0
    tokens = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["tokens"])
    assert tokens.split()[1] == "$0.80"
    for words in ("$1.95", "$2.75", "22,000 questions a month", "costs less from", "checked 20"):
        assert words in result.stdout


def test_json_has_exact_amounts(run: Run) -> None:
    answer = json.loads(run("cost", "--json").stdout)
    assert answer["options"][0]["lines"][0]["amount"] == "0.8008"
    assert answer["options"][0]["total"] == "2.7508"
    assert (answer["usage"], answer["training"]) == (None, [])
    assert answer["prices"]["region"] == "us-east-1"


def test_training_costs_what_its_tokens_and_hours_do(run: Run) -> None:
    answer = json.loads(
        run("cost", "--training-tokens", "2000000", "--epochs", "2", "--training-hours", "1.5", "--json").stdout
    )
    assert [line["name"] for line in answer["training"]][:2] == ["Bedrock customization", "SageMaker training job"]
    assert answer["training"][0]["amount"] == "4"
    assert run("cost", "--training-hours", "soon").exit_code == 2
    assert run("cost", "--training-hours", "nan").exit_code == 2


def test_a_project_adds_what_it_used(run: Run, project: Path) -> None:
    with State(project / ".sqlora" / "state.db") as state:
        state.usage.record([UsageRow("shop", "local", 800, 60, 0, 1.0, 0.2)] * 10)
    answer = json.loads(run("cost", "--json").stdout)["usage"]
    assert (answer["queries"], answer["input_tokens"], answer["output_tokens"]) == (10, 8000, 600)
    assert "used so far      10 questions, 8,000 tokens in, 600 out" in run("cost").stdout
