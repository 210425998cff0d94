"""The demo's last step: what it reads from a report, and what it leaves in demo-result.json."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "retail" / "demo.py"


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def model(right: float) -> dict[str, object]:
    share = {"n": 4, "value": right, "low": 0.0, "high": 1.0}
    return {"execution_accuracy": share, "valid": {"value": 1.0}, "latency": None}


def test_the_result_has_minutes_accuracy_latency_cost_and_the_report(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / ".sqlora" / "evaluations" / "one" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"models": [model(0.0), model(0.75)]}))
    (tmp_path / ".demo.json").write_text(json.dumps({"prepare": 60.0, "train": 120.0, "finished": ["prepare"]}))
    found = demo.result(tmp_path, demo.Clock(tmp_path / ".demo.json", install=30.0))
    assert found["minutes"] == {"install": 0.5, "prepare": 1.0, "train": 2.0, "evaluate": 0.0, "total": 3.5}
    assert found["accuracy"]["base"]["execution_accuracy"] == 0.0
    assert found["accuracy"]["tuned"] == {"n": 4, "execution_accuracy": 0.75, "interval": [0.0, 1.0], "valid": 1.0}
    assert found["cost"] == {"queries_a_month": 22_000, "bedrock_tokens": "$0.80", "bedrock_with_storage": "$2.75"}
    assert found["report"] == str(report.with_name("report.html"))
    demo.show(found)
    assert "75.0 %" in capsys.readouterr().out
