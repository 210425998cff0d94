from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from sqlora.errors import ModelError
from sqlora.models.base import resolve_base_model
from sqlora.models.convert import convert_gguf
from tests.unit.models.gguf_file import write_gguf

IDS = torch.tensor([[1, 74, 20, 99, 140, 7, 2, 33, 33, 34]])


def logits(folder: Path, **options: object) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    with torch.no_grad():
        return model(IDS).logits


def test_unquantized_file_gives_the_original_model_bit_by_bit(tiny: Path, tmp_path: Path) -> None:
    base = resolve_base_model(str(write_gguf(tiny, tmp_path / "tiny.gguf")))
    assert torch.equal(logits(base.folder), logits(tiny))
    assert base.config["dtype"] == "float32"


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_1"])
def test_other_formats_give_what_transformers_reads_from_the_same_file(tiny: Path, tmp_path: Path, kind: str) -> None:
    file = write_gguf(tiny, tmp_path / "tiny.gguf", kind)
    base = resolve_base_model(str(file))
    reference = logits(file.parent, gguf_file=file.name)
    assert (logits(base.folder) - reference).abs().max() < 0.005 * reference.abs().max()
    assert (logits(tiny) - reference).abs().max() > 0  # quantizing did change the model


@pytest.mark.parametrize(("kind", "stored"), [("F32", "float32"), ("F16", "float16"), ("Q4_1", "bfloat16")])
def test_quantized_weights_are_stored_in_bfloat16_and_others_as_they_are(
    tiny: Path, tmp_path: Path, kind: str, stored: str
) -> None:
    from safetensors.torch import load_file

    base = resolve_base_model(str(write_gguf(tiny, tmp_path / "tiny.gguf", kind)))
    tensors = load_file(base.folder / "model.safetensors")
    assert {str(tensor.dtype) for tensor in tensors.values()} == {f"torch.{stored}"}
    assert "lm_head.weight" not in tensors  # tied to the embedding, stored once


def test_config_has_what_other_runtimes_read(tiny: Path, tmp_path: Path) -> None:
    base = resolve_base_model(str(write_gguf(tiny, tmp_path / "tiny.gguf")))
    assert base.config["rms_norm_eps"] == 1e-6
    assert base.config["rope_theta"] == base.config["rope_parameters"]["rope_theta"] == 10000.0
    assert (base.config["bos_token_id"], base.config["eos_token_id"], base.config["pad_token_id"]) == (1, 2, 2)
    assert "quantization_config" not in base.config
    generation = json.loads((base.folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "gptneox"}, "'gptneox' model"),
        ({"tokenizer": "llama"}, "'llama' tokenizer"),
        ({"pre_tokenizer": "klingon"}, "'klingon'"),
        ({"merges": ["1 2"]}, "Token `12` out of vocabulary"),
        ({"extra_tensors": {"blk.0.ffn_gate_exps.weight": np.zeros((2, 2), "float32")}}, "ffn_gate_exps"),
    ],
)
def test_what_cannot_be_converted_says_why_and_leaves_nothing(
    tiny: Path, tmp_path: Path, cache: Path, changes: dict[str, object], words: str
) -> None:
    file = write_gguf(tiny, tmp_path / "tiny.gguf", **changes)
    with pytest.raises(ModelError, match=words) as caught:
        resolve_base_model(str(file))
    assert "base_model" in (caught.value.next_step or "")
    assert [path for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("size", [0, 3, 40, 3000])
def test_a_damaged_file_is_a_model_error(tiny: Path, tmp_path: Path, size: int) -> None:
    whole = write_gguf(tiny, tmp_path / "tiny.gguf").read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(whole[:size])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match=r"broken\.gguf"):
        convert_gguf(broken, out)


def test_a_file_cut_in_its_weights_is_a_model_error(tiny: Path, tmp_path: Path) -> None:
    whole = write_gguf(tiny, tmp_path / "tiny.gguf").read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(whole[:-2000])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match=r"broken\.gguf"):
        convert_gguf(broken, out)
