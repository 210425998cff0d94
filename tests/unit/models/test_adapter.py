from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.errors import ModelError
from sqlora.models.adapter import load_adapter, save_adapter
from sqlora.models.base import BaseModel, resolve_base_model

LAYERS = {"self_attn.q_proj": (32, 32), "self_attn.k_proj": (16, 32), "mlp.down_proj": (32, 64)}
CONFIG: dict[str, Any] = {"r": 4, "lora_alpha": 8.0, "target_modules": ["q_proj", "k_proj", "down_proj"]}


def matrices(rank: int = 4, seed: int = 0, layers: int = 2) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(layers):
        for name, (out, width) in LAYERS.items():
            full = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{full}.lora_A.weight"] = torch.randn(rank, width, generator=random)
            tensors[f"{full}.lora_B.weight"] = torch.randn(out, rank, generator=random)
    return tensors


@pytest.fixture
def base(tiny: Path) -> BaseModel:
    return resolve_base_model(str(tiny))


@pytest.fixture
def folder(tmp_path: Path, base: BaseModel) -> Path:
    about = {"base_model": base.name, "base_sha256": base.sha256, "dialect": "larkql", "dataset_id": "abc"}
    save_adapter(tmp_path / "adapter", matrices(), CONFIG, about)
    return tmp_path / "adapter"


def test_what_is_saved_is_what_is_loaded(folder: Path, base: BaseModel) -> None:
    tensors, config, manifest = load_adapter(folder, base)
    assert tensors.keys() == matrices().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in matrices().items())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (4, 8.0, "LORA")
    assert (manifest["dialect"], manifest["base_sha256"]) == ("larkql", base.sha256)
    assert manifest["created"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json",
    ]  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rank=st.integers(1, 9), seed=st.integers(0, 99), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_any_rank_and_format_survives(tmp_path: Path, rank: int, seed: int, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in matrices(rank, seed).items()}
    save_adapter(tmp_path / "any", tensors, CONFIG | {"r": rank}, {})
    loaded, config, _ = load_adapter(tmp_path / "any")
    assert config["r"] == rank
    assert all(loaded[name].dtype == dtype and torch.equal(loaded[name], tensors[name]) for name in tensors)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stock_peft_computes_with_it(folder: Path, base: BaseModel) -> None:
    from peft import PeftModel

    ids = torch.tensor([[1, 5, 9, 70, 12]])
    model = base.load_model(torch.float32)
    tensors = matrices()
    with torch.no_grad():
        for layer in range(2):
            for name in LAYERS:
                full = f"model.layers.{layer}.{name}"
                a, b = (tensors[f"base_model.model.{full}.lora_{side}.weight"] for side in "AB")
                model.get_submodule(full).weight += 8.0 / 4 * (b @ a)
        expected = model(ids).logits
        got = PeftModel.from_pretrained(base.load_model(torch.float32), str(folder))(ids).logits
    assert torch.allclose(expected, got, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_that_peft_wrote_is_read(tmp_path: Path, base: BaseModel) -> None:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")
    get_peft_model(base.load_model(torch.float32), lora).save_pretrained(str(tmp_path / "peft"))
    tensors, config, manifest = load_adapter(tmp_path / "peft", base)
    assert len(tensors) == 2 * 2 * 2
    assert (config["r"], manifest) == (4, {})


def test_saving_again_replaces_the_folder(folder: Path) -> None:
    (folder / "stray").write_text("x")
    save_adapter(folder, matrices(seed=1), CONFIG, {})
    tensors, _, _ = load_adapter(folder)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in matrices(seed=1).items())
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith("adapter")] == ["adapter"]
    assert not (folder / "stray").exists()


def test_a_full_disk_keeps_the_old_adapter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(ModelError, match="no space left"):
        save_adapter(folder, matrices(seed=1), CONFIG, {})
    tensors, _, _ = load_adapter(folder)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in matrices().items())
    assert not folder.with_name("adapter.partial").exists()


def test_another_base_is_refused(folder: Path, tmp_path: Path) -> None:
    from tests.tiny import tiny_model

    other = resolve_base_model(str(tiny_model(tmp_path / "other", seed=1)))
    with pytest.raises(ModelError, match="was trained on"):
        load_adapter(folder, other)


def rewrite(folder: Path, changes: dict[str, torch.Tensor | None]) -> None:
    tensors = {**matrices(), **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    safetensors.torch.save_file(kept, folder / "adapter_model.safetensors")


Q = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{Q}.lora_A.weight": torch.zeros(5, 32)}, r"shape \[5, 32\], but r = 4"),
        ({f"{Q}.lora_A.weight": torch.zeros(4)}, r"shape \[4\]"),
        ({f"{Q}.lora_A.weight": torch.zeros(4, 33)}, r"shape \[4, 33\], but the layer in"),
        ({f"{Q}.lora_B.weight": torch.zeros(31, 4)}, r"shape \[31, 4\], but the layer in"),
        ({f"{Q}.lora_B.weight": None}, "has only its A matrix"),
        ({f"{Q}.lora_A.weight": torch.zeros(4, 32, dtype=torch.int64)}, "stored as I64"),
        ({f"{Q}.lora_A.weight": torch.full((4, 32), float("nan"))}, "not finite"),
        ({"model.embed_tokens.weight": torch.zeros(4, 4)}, "not the name of a LoRA matrix"),
        (
            {f"base_model.model.model.layers.7.q.lora_{side}.weight": torch.zeros(4, 4) for side in "AB"},
            r"no linear layer model\.layers\.7\.q",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, base: BaseModel, changes: dict[str, torch.Tensor | None], words: str
) -> None:
    rewrite(folder, changes)
    with pytest.raises(ModelError, match=words):
        load_adapter(folder, base)


def test_a_layer_that_adapters_are_not_applied_to(folder: Path, base: BaseModel) -> None:
    """It would be left out of every answer without a word."""
    embedding = {"A": torch.zeros(4, 32), "B": torch.zeros(259, 4)}
    rewrite(folder, {f"base_model.model.model.embed_tokens.lora_{side}.weight": m for side, m in embedding.items()})
    with pytest.raises(ModelError, match=r"changes model\.embed_tokens; adapters are applied to q_proj"):
        load_adapter(folder, base)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"r": 0}, "r = 0"),
        ({"r": True}, "r = True"),
        ({"r": 5000}, "r = 5000"),
        ({"lora_alpha": -1}, "lora_alpha = -1"),
        ({"lora_alpha": "8"}, "lora_alpha = '8'"),
        ({"use_dora": True}, "use_dora = True"),
        ({"use_rslora": True}, "use_rslora"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
    ],
)
def test_configurations_that_cannot_be_applied_are_refused(
    folder: Path, changes: dict[str, object], words: str
) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ModelError, match=words):
        load_adapter(folder)


def test_tensors_that_do_not_fit_the_config_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="r = 8"):
        save_adapter(tmp_path / "bad", matrices(rank=4), CONFIG | {"r": 8}, {})
    with pytest.raises(ModelError, match="holds no matrices"):
        save_adapter(tmp_path / "bad", {}, CONFIG, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("adapter_config.json", None, "not an adapter folder"),
        ("adapter_config.json", b"{", "can't be read"),
        ("adapter_config.json", b"[]", "not a JSON object"),
        ("adapter_model.safetensors", None, r"has no adapter_model\.safetensors"),
        ("adapter_model.safetensors", b"", "is damaged"),
        ("adapter_model.safetensors", b"\xff" * 100, "is damaged"),
        ("manifest.json", b"\xff", "can't be read"),
    ],
)
def test_damaged_files_are_model_errors(folder: Path, file: str, content: bytes | None, words: str) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        load_adapter(folder)
    assert caught.value.next_step


def test_cut_weights_are_refused(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelError, match="is damaged"):
        load_adapter(folder)


def test_pickled_adapters_are_not_read(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        load_adapter(folder)
