from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sqlora.errors import DownloadError, ModelError
from sqlora.models.base import cached_base_model, resolve_base_model
from sqlora.models.digest import file_sha256, hash_file


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_a_folder_is_used_where_it_is(tiny: Path, cache: Path) -> None:
    base = resolve_base_model(str(tiny))
    assert (base.folder, base.name) == (tiny, str(tiny))
    assert base.config["hidden_size"] == 32
    assert base.load_tokenizer().eos_token == "<|im_end|>"
    assert base.load_model(torch.bfloat16).dtype == torch.bfloat16
    assert cached_base_model(str(tiny)) == base
    assert not cache.exists()


def test_the_hash_follows_the_weights(copy: Path, tiny: Path) -> None:
    before = resolve_base_model(str(copy)).sha256
    assert before == resolve_base_model(str(tiny)).sha256
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert resolve_base_model(str(copy)).sha256 != before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smollm3", "no base model 'smollm3'"),
        ("./missing/folder", "no base model"),
        ("missing.gguf", "no such file"),
        ("", "not a model folder"),
    ],
)
def test_an_unknown_name_lists_what_can_be_given(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=words) as caught:
        resolve_base_model(name)
    assert "smollm2-135m" in (caught.value.next_step or "")


def test_pickled_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled files run code"):
        resolve_base_model(str(copy))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", None, "not a model folder"),
        ("config.json", "{", r"config\.json can't be read"),
        ("config.json", "[]", "model_type"),
        ("model.safetensors", None, r"no \*\.safetensors"),
    ],
)
def test_an_incomplete_folder_says_what_it_lacks(copy: Path, file: str, content: str | None, words: str) -> None:
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        resolve_base_model(str(copy))
    assert caught.value.next_step


def test_cut_weights_are_a_model_error(copy: Path) -> None:
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(ModelError, match="weights of"):
        resolve_base_model(str(copy)).load_model(torch.float32)


def test_missing_weights_are_not_filled_with_random_numbers(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"no fitting weights for model\.layers\.1\.mlp\.up_proj\.weight"):
        resolve_base_model(str(copy)).load_model(torch.float32)


def test_code_in_a_model_folder_is_not_run(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="can't be read"):
        resolve_base_model(str(copy)).load_model(torch.float32)


def test_a_damaged_tokenizer_is_a_model_error(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="tokenizer of"):
        resolve_base_model(str(copy)).load_tokenizer()


def test_a_model_without_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        resolve_base_model(str(copy)).load_tokenizer()


def test_the_hub_out_of_reach_is_a_download_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="cannot fetch nobody/nothing") as caught:
        resolve_base_model("nobody/nothing")
    assert "smollm2-135m" in (caught.value.next_step or "")
    assert cached_base_model("nobody/nothing") is None


def test_the_hub_serves_only_safetensors_and_text(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fnmatch

    import huggingface_hub

    asked: dict[str, list[str]] = {}

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked[name] = allow_patterns
        return str(tiny)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    base = resolve_base_model("owner/model")
    assert (base.name, base.folder) == ("owner/model", tiny)
    allowed = asked["owner/model"]
    for file in ("pytorch_model.bin", "modeling_own.py", "model.pt", "training_args.bin"):
        assert not any(fnmatch.fnmatch(file, pattern) for pattern in allowed)
    for file in ("model-00001-of-00002.safetensors", "tokenizer.json", "merges.txt", "chat_template.jinja"):
        assert any(fnmatch.fnmatch(file, pattern) for pattern in allowed)


def test_hashes_of_large_files_are_remembered(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlora.models import digest

    monkeypatch.setattr(digest, "_REMEMBER_FROM", 10)
    file = tmp_path / "large"
    file.write_bytes(b"x" * 100)
    first = file_sha256(file)
    assert len(list((cache / "digests").iterdir())) == 1
    read: list[Path] = []
    monkeypatch.setattr(digest, "hash_file", lambda path: read.append(path) or hash_file(path))
    assert file_sha256(file) == first
    assert read == []
    file.write_bytes(b"y" * 101)
    assert file_sha256(file) == hash_file(file) != first
    assert read == [file]


def test_resolving_imports_no_torch(tiny: Path) -> None:
    code = (
        "import sys; from sqlora.models.base import resolve_base_model as r; "
        f"r({str(tiny)!r}); print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
