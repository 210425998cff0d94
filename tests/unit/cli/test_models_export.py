"""models export and import, from the command line: what goes out comes back, and answers the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.models.adapter import CONFIG, MANIFEST, WEIGHTS
from sqlora.models.base import resolve_base_model
from sqlora.platform.ledger import Ledger
from sqlora.platform.state import State
from tests.process import random_adapter
from tests.unit.cli.conftest import Run

SYSTEM = "You write duckdb.\nstore(store_id)"


@pytest.fixture
def trained(project: Path, model: Path) -> Path:
    """A custom model ``shop`` over the tiny model, of random numbers."""
    base = resolve_base_model(str(model))
    with State(project / ".sqlora" / "state.db") as state:
        made = state.models.create("shop", base_model=str(model))
        random_adapter(project / ".sqlora" / made.folder, base, 1, rank=2, size=0.6, system=SYSTEM)
    return project


@pytest.mark.parametrize(
    ("format", "files", "next_step"),
    [
        ("peft", {CONFIG, WEIGHTS, MANIFEST}, "PeftModel.from_pretrained"),
        ("merged", {"config.json", "model.safetensors", "tokenizer.json", "system.txt", "sqlora.json"}, "AutoModel"),
        ("gguf", {"shop.gguf", "system.txt", "sqlora.json"}, "llama-cli -m shop-gguf/shop.gguf -sysf shop-gguf/system"),
        ("ollama", {"shop.gguf", "Modelfile"}, "ollama create shop -f shop-ollama/Modelfile"),
    ],
)
def test_every_format_and_the_command_that_uses_it(
    run: Run, trained: Path, format: str, files: set[str], next_step: str
) -> None:
    done = run("models", "export", "shop", "--format", format)
    assert done.exit_code == 0, done.stderr
    assert files <= {path.name for path in (trained / f"shop-{format}").iterdir()}
    for name in files:
        assert f"shop-{format}/{name}" in done.stdout
    assert f"next: {next_step}" in done.stderr.replace("transformers: ", "").replace("peft: ", "")
    again = run("models", "export", "shop", "--format", format)
    assert again.exit_code == 1
    assert "something at" in again.stderr


def test_json_names_the_files(run: Run, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "deep"
    done = run("models", "export", "shop", "--format", "gguf", "--adapter-only", "--out", str(out), "--json")
    said = json.loads(done.stdout)
    assert (said["model"], said["format"], said["folder"]) == ("shop", "gguf", str(out))
    assert {file["name"]: file["bytes"] for file in said["files"]} == {
        path.name: path.stat().st_size for path in out.iterdir()
    }
    assert (out / "system.txt").read_text() == SYSTEM
    assert done.stderr == ""


def test_the_adapters_base_is_what_the_next_command_names(run: Run, trained: Path) -> None:
    done = run("models", "export", "shop", "--format", "gguf", "--adapter-only")
    assert "next: sqlora models export base --format gguf" in done.stderr
    base = run("models", "export", "base", "--format", "gguf", "--out", "base", "--json")
    assert base.exit_code == 0, base.stderr
    [name] = [file["name"] for file in json.loads(base.stdout)["files"] if file["name"].endswith(".gguf")]
    assert run("models", "export", "base", "--format", "peft").exit_code == 1
    assert (trained / "base" / name).stat().st_size > 50_000


def test_what_is_exported_can_be_imported_and_is_the_same_model(run: Run, trained: Path) -> None:
    assert run("models", "export", "shop", "--format", "peft").exit_code == 0
    done = run("models", "import", "colleague", "shop-peft")
    assert done.exit_code == 0, done.stderr
    assert "next: sqlora deploy colleague" in done.stderr
    assert "warning" not in done.stderr
    shown = json.loads(run("models", "show", "colleague", "--json").stdout)
    assert shown["origin"] == "imported"
    assert shown["manifest"]["system"] == SYSTEM  # it is asked with what it was trained with
    own = json.loads(run("models", "show", "shop", "--json").stdout)
    assert (Path(shown["folder"]) / WEIGHTS).read_bytes() == (Path(own["folder"]) / WEIGHTS).read_bytes()
    answers = []
    for name in ("shop", "colleague"):
        assert run("deploy", name).exit_code == 0
        asked = run("ask", "how many stores", "--deployment", name, "--max-tokens", "12", "--json")
        answers.append(json.loads(asked.stdout)["sql"])
    assert answers[0] == answers[1] != ""


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_of_stock_peft(run: Run, project: Path, model: Path) -> None:
    """Which says what it was trained on in words of its own."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), lora).save_pretrained(str(project / "theirs"))
    done = run("models", "import", "theirs", "theirs", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "theirs"
    config = project / "theirs" / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "acme/other"}))
    warned = run("models", "import", "other", "theirs")
    assert "warning: it says that it was trained on acme/other" in warned.stderr
    assert run("models", "export", "other", "--format", "gguf").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "nobody", "--format", "gguf"], "no custom model 'nobody'"),
        (["export", "shop", "--format", "merged", "--numbers", "q8_0"], "q8_0"),
        (["import", "shop", "."], "exists already"),
        (["import", "base", "."], "base"),
        (["import", "new", "nowhere"], "not an adapter folder"),
        (["import", "new", ".", "--base-model", "nothing"], "no base model 'nothing'"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    run: Run, trained: Path, arguments: list[str], words: str
) -> None:
    before = {path.name for path in trained.iterdir()}
    result = run("models", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert {path.name for path in trained.iterdir()} == before
    assert [model["name"] for model in json.loads(run("models", "list", "--json").stdout)] == ["shop"]


def test_a_model_that_a_cloud_keeps(run: Run, trained: Path) -> None:
    with State(trained / ".sqlora" / "state.db") as state:
        ledger: Ledger = state.ledger
        planned = ledger.plan("bedrock", "model", "cloudy", region="us-east-1", account="111122223333")
        ledger.created(planned.id, "arn:aws:bedrock:us-east-1:111122223333:custom-model/x/abc", {})
    result = run("models", "export", "cloudy", "--format", "merged")
    assert result.exit_code == 1, result.stdout
    assert "bedrock, which never hands out weights" in result.stderr
