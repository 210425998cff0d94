from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from sqlora.cli import checks
from sqlora.platform.state import State
from tests.unit.cli.conftest import Run


def found(run: Run, *arguments: str) -> dict[str, dict[str, str]]:
    result = run("doctor", "--json", *arguments)
    listed = json.loads(result.stdout)
    assert result.exit_code == int(any(check["status"] == "fail" for check in listed))
    return {check["name"]: check for check in listed}


def test_a_project_that_is_ready_to_be_prepared(run: Run, project: Path) -> None:
    listed = found(run)
    assert {name for name, check in listed.items() if check["status"] == "fail"} == set()
    assert listed["dataset"] == {"name": "dataset", "status": "warn", "message": "none yet", "fix": "sqlora prepare"}
    assert "2 tables" in listed["database"]["message"]
    assert listed["number format"]["message"].split()[0] in ("float32", "bfloat16")
    result = run("doctor")
    assert result.exit_code == 0
    assert "fix: sqlora prepare" in result.stdout


def test_outside_a_project_only_the_machine_is_looked_at(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = found(run)
    assert listed["project"]["status"] == "warn"
    assert "database" not in listed
    assert listed["base model"] == {
        "name": "base model",
        "status": "warn",
        "message": "smollm2-135m is not here yet",
        "fix": "sqlora train fetches it (93 MB)",
    }


def test_each_fault_of_a_project_is_one_line_with_its_fix(run: Run, project: Path) -> None:
    (project / "shop.duckdb").unlink()
    (project / "train.jsonl").unlink()
    file = project / "sqlora.toml"
    file.write_text(file.read_text().replace('dialect = "duckdb"', 'dialect = "klingon"').replace('"demo"', '"dmeo"'))
    listed = found(run)
    for name in ("dialect", "database", "sources", "recipe"):
        assert listed[name]["status"] == "fail", listed[name]
        assert listed[name]["fix"]
    result = run("doctor")
    assert result.exit_code == 1
    assert "4 of " in result.stderr


def test_settings_that_do_not_load_are_a_fault(run: Run, project: Path) -> None:
    (project / "sqlora.toml").write_text("[train]\nrecpie = 3\n")
    listed = found(run)
    assert listed["project"]["status"] == "fail"
    assert "did you mean recipe?" in listed["project"]["message"]


def test_a_training_left_half_way_is_a_warning(run: Run, project: Path) -> None:
    with State(project / ".sqlora" / "state.db") as state:
        job = state.jobs.create("one", model_name="shop", base_model="tiny", dataset_id="abc", recipe="demo")
    assert found(run)["jobs"]["fix"] == f"sqlora jobs resume {job.id}"


@pytest.mark.parametrize(("free", "status"), [(50.0, "pass"), (1.5, "warn"), (0.5, "fail")])
def test_disk_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free * 1e9))
    check = checks.disk(tmp_path / "not" / "there", "smollm2-135m")
    assert check.status == status
    assert status == "pass" or check.fix


@pytest.mark.parametrize(("free", "status"), [(20.0, "pass"), (4.0, "warn"), (1.0, "fail")])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: float, status: str) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free * 1e9, total=32e9))
    assert checks.memory().status == status


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PACKAGES", ("click", "no-such-package"))
    check = checks.packages()
    assert (check.status, check.message) == ("fail", "not installed: no-such-package")


def test_a_damaged_base_model(project: Path, model: Path) -> None:
    from sqlora.models.cache import CacheEntry

    assert checks.base_model(str(model)).status == "pass"
    folder = CacheEntry("copy").make(lambda target: shutil.copytree(model, target, dirs_exist_ok=True), {})  # type: ignore[arg-type, return-value]
    assert checks.base_model(str(folder)).status == "pass"
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    check = checks.base_model(str(folder))
    assert check.status == "fail"
    assert "model.safetensors" in check.message


def test_a_check_that_breaks_is_itself_a_fault() -> None:
    check = checks._guarded("odd", lambda: checks.Check("odd", "pass", str(1 / 0)))
    assert (check.status, check.message) == ("fail", "ZeroDivisionError: division by zero")
