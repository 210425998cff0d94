from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sqlora.toml").write_text('[project]\nname = "Larkspur"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_cloudformation_goes_to_standard_output(run: Run) -> None:
    result = run("aws", "template")
    assert result.exit_code == 0
    resources = json.loads(result.stdout)["Resources"]
    assert set(resources) == {"Bucket", "BucketPolicy", "CustomizationRole", "CallerPolicy"}


def test_the_projects_backend_unless_another_is_named(run: Run, folder: Path) -> None:
    (folder / "sqlora.toml").write_text('[train]\nbackend = "sagemaker"\n')
    for arguments, roles in (((), {"training", "import"}), (("--backend", "bedrock"), {"customization"})):
        made = json.loads(run("aws", "template", "--format", "terraform", *arguments).stdout)
        assert set(made["resource"]["aws_iam_role"]) == roles


def test_into_a_file_or_a_folder(run: Run, folder: Path) -> None:
    result = run("aws", "template", "--out", "account.json")
    assert "wrote account.json" in result.stdout
    assert "aws cloudformation deploy --region us-east-1" in result.stderr
    assert json.loads((folder / "account.json").read_text())["Resources"]
    result = run("aws", "template", "--format", "terraform", "--out", ".", "--json")
    assert json.loads(result.stdout) == {"file": "sqlora.tf.json", "format": "terraform", "backend": "bedrock"}
    assert json.loads((folder / "sqlora.tf.json").read_text())["terraform"]


def test_a_folder_that_is_not_there(run: Run, folder: Path) -> None:
    result = run("aws", "template", "--out", "infra/account.json")
    assert result.exit_code == 1
    assert "there is no folder infra" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["sqlora.toml"]


def test_a_bucket_that_is_there_has_to_be_named(run: Run, folder: Path) -> None:
    assert "bucket is not set" in run("aws", "template", "--existing-bucket").stderr
    (folder / "sqlora.toml").write_text('[aws]\nbucket = "larkspur"\n')
    made = json.loads(run("aws", "template", "--existing-bucket").stdout)
    assert "Bucket" not in made["Resources"]
    assert made["Outputs"]["Bucket"]["Value"] == "larkspur"
