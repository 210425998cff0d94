"""peft and merged: what stock PEFT and transformers compute with them is what sqlora computes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sqlora.errors import ConfigError, ModelError
from sqlora.models.base import read_model_folder
from sqlora.models.export import Source, export_model
from sqlora.models.export.weights import INDEX
from tests.unit.models.export.conftest import SYSTEM, Tuned


def logits_of(folder: Path, prompt: list[int]) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([prompt])).logits[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stock_peft_computes_the_same_logits(tuned: Tuned, tmp_path: Path) -> None:
    from peft import PeftModel

    made = export_model(tuned.source, "peft", tmp_path / "out")
    base = tuned.source.base.load_model(torch.float32)
    with torch.no_grad():
        got = PeftModel.from_pretrained(base, str(made.folder))(torch.tensor([tuned.prompt])).logits[0]
    assert torch.allclose(got, tuned.logits(), atol=1e-4)
    assert (got - tuned.logits(tuned=False)).abs().max() > 0.01  # the adapter does something
    assert set(made.files) == {"adapter_config.json", "adapter_model.safetensors", "manifest.json"}
    assert json.loads((made.folder / "manifest.json").read_text())["system"] == SYSTEM


def test_transformers_computes_the_same_logits_with_the_merged_folder(tuned: Tuned, tmp_path: Path) -> None:
    made = export_model(tuned.source, "merged", tmp_path / "out", numbers="f32")
    assert torch.allclose(logits_of(made.folder, tuned.prompt), tuned.logits(), atol=1e-4)
    assert (made.folder / "system.txt").read_text() == SYSTEM
    again = read_model_folder(made.folder)
    assert again.load_tokenizer().chat_template == tuned.source.base.load_tokenizer().chat_template
    assert again.load_model(torch.float32).generation_config.eos_token_id


@pytest.mark.parametrize(("numbers", "dtype"), [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_rounding_is_the_number_formats_alone(llama: Tuned, tmp_path: Path, numbers: str, dtype: torch.dtype) -> None:
    exact = export_model(llama.source, "merged", tmp_path / "exact", numbers="f32").folder
    short = export_model(llama.source, "merged", tmp_path / "short", numbers=numbers).folder  # type: ignore[arg-type]
    tensors = load_file(exact / "model.safetensors")
    for name, tensor in load_file(short / "model.safetensors").items():
        assert torch.equal(tensor, tensors[name].to(dtype)), name
    assert json.loads((short / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")


def test_the_base_model_as_it_is(llama: Tuned, tmp_path: Path) -> None:
    made = export_model(Source("tiny", llama.source.base), "merged", tmp_path / "out", numbers="f32")
    assert torch.equal(logits_of(made.folder, llama.prompt), llama.logits(tuned=False))
    assert "system.txt" not in made.files


def test_a_base_model_in_several_files(llama: Tuned, tmp_path: Path) -> None:
    """Only the files that the index names are the model's: repositories hold others beside them."""
    folder = tmp_path / "base"
    folder.mkdir()
    for file in llama.source.base.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {f"model-{n}-of-2.safetensors": dict(list(tensors.items())[n - 1 :: 2]) for n in (1, 2)}
    for name, part in parts.items():
        save_file(part, folder / name, metadata={"format": "pt"})
    index = {name: file for file, part in parts.items() for name in part}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))
    save_file({"other": torch.zeros(2)}, folder / "consolidated.safetensors")
    source = replace(llama.source, base=replace(read_model_folder(folder), sha256=llama.source.base.sha256))
    made = export_model(source, "merged", tmp_path / "out", numbers="f32")
    assert torch.allclose(logits_of(made.folder, llama.prompt), llama.logits(), atol=1e-4)
    assert {name for name in made.files if name.endswith(".safetensors")} == parts.keys()
    total = sum(size for name, size in made.files.items() if name.endswith(".safetensors"))
    assert total - 10_000 < json.loads((made.folder / INDEX).read_text())["metadata"]["total_size"] < total


@pytest.mark.parametrize("damage", ["half", "other base", "not finite", "gone"])
def test_an_adapter_that_is_not_whole_leaves_nothing(llama: Tuned, tmp_path: Path, damage: str) -> None:
    assert llama.source.adapter is not None
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for file in llama.source.adapter.iterdir():
        (adapter / file.name).write_bytes(file.read_bytes())
    weights, manifest = adapter / "adapter_model.safetensors", adapter / "manifest.json"
    if damage == "half":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif damage == "gone":
        weights.unlink()
    elif damage == "other base":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"base_sha256": "0" * 64}))
    else:
        save_file({name: tensor * float("nan") for name, tensor in load_file(weights).items()}, weights)
    for format in ("peft", "merged", "gguf", "ollama"):
        with pytest.raises(ModelError):
            export_model(replace(llama.source, adapter=adapter), format, tmp_path / "out")  # type: ignore[arg-type]
        assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_numbers_that_do_not_fit_are_refused(llama: Tuned, tmp_path: Path) -> None:
    assert llama.source.adapter is not None
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for file in llama.source.adapter.iterdir():
        (adapter / file.name).write_bytes(file.read_bytes())
    weights = adapter / "adapter_model.safetensors"
    save_file({name: tensor * 1e4 for name, tensor in load_file(weights).items()}, weights)
    (adapter / "manifest.json").unlink()
    large = replace(llama.source, adapter=adapter)
    for format in ("merged", "gguf"):
        with pytest.raises(ModelError, match="above 65,504") as caught:
            export_model(large, format, tmp_path / "out")  # type: ignore[arg-type]
        assert "bf16" in (caught.value.next_step or "")
    export_model(large, "merged", tmp_path / "out", numbers="bf16")


@pytest.mark.parametrize(
    ("format", "options", "base_alone", "words"),
    [
        ("peft", {}, True, "no adapter"),
        ("gguf", {"adapter_only": True}, True, "no adapter"),
        ("merged", {"adapter_only": True}, False, "goes with gguf and ollama"),
        ("peft", {"numbers": "f16"}, False, "copied as it is"),
        ("merged", {"numbers": "q8_0"}, False, "q8_0"),
        ("gguf", {"numbers": "q8_0", "adapter_only": True}, False, "an adapter can't be stored as q8_0"),
    ],
)
def test_what_does_not_go_together(
    llama: Tuned, tmp_path: Path, format: str, options: dict[str, object], base_alone: bool, words: str
) -> None:
    source = Source("tiny", llama.source.base) if base_alone else llama.source
    with pytest.raises(ConfigError, match=words):
        export_model(source, format, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
