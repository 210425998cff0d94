"""gguf: llama.cpp says with the file what sqlora says, and sqlora reads its own file back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import ModelError
from sqlora.models.base import read_model_folder, resolve_base_model
from sqlora.models.convert import _halves, _name, gguf_name, pairs
from sqlora.models.export import NUMBER_FORMATS, NumberFormat, Source, export_model
from tests.llama_cpp import LlamaCpp
from tests.unit.models.export.conftest import MERGES, SYSTEM, Tuned

TOKENS = 24
CHAT = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "how many regions?"}]


def check_same(tuned: Tuned, llama: LlamaCpp) -> None:
    """The probabilities of the first token, and the greedy tokens."""
    expected = torch.log_softmax(tuned.logits()[-1], -1)
    found = llama.probabilities(tuned.prompt)
    assert len(found) == 20
    assert max(abs(float(expected[token]) - value) for token, value in found.items()) < 1e-4
    assert llama.greedy(tuned.prompt, TOKENS) == tuned.greedy(TOKENS)


def test_llama_cpp_answers_as_sqlora_does(tuned: Tuned, tmp_path: Path) -> None:
    made = export_model(tuned.source, "gguf", tmp_path / "out", numbers="f32")
    llama = LlamaCpp(made.folder / "shop.gguf", context=512)
    assert llama.rendered(CHAT) == tuned.source.base.load_tokenizer().apply_chat_template(
        CHAT, tokenize=False, add_generation_prompt=True
    )
    assert llama.tokens(llama.rendered(CHAT)) == tuned.prompt
    check_same(tuned, llama)


def test_llama_cpp_answers_so_with_the_adapter_alone_over_the_base(tuned: Tuned, tmp_path: Path) -> None:
    base = export_model(Source("tiny", tuned.source.base), "gguf", tmp_path / "base", numbers="f32")
    made = export_model(tuned.source, "gguf", tmp_path / "out", adapter_only=True)
    assert set(made.files) == {"shop-adapter.gguf", "sqlora.json", "system.txt"}
    llama = LlamaCpp(base.folder / "tiny.gguf", made.folder / "shop-adapter.gguf", context=512)
    check_same(tuned, llama)
    untuned = LlamaCpp(base.folder / "tiny.gguf", context=512)
    assert untuned.greedy(tuned.prompt, TOKENS) != tuned.greedy(TOKENS)


@pytest.mark.parametrize("numbers", NUMBER_FORMATS)
def test_sqlora_reads_back_what_it_wrote(llama: Tuned, tmp_path: Path, numbers: NumberFormat) -> None:
    made = export_model(llama.source, "gguf", tmp_path / "out", numbers=numbers)
    exact = read_model_folder(export_model(llama.source, "merged", tmp_path / "exact", numbers="f32").folder)
    again = resolve_base_model(str(made.folder / "shop.gguf"))
    expected = exact.load_model(torch.float32).state_dict()
    bits = {"f32": 0.0, "f16": 2.0**-11, "bf16": 2.0**-8, "q8_0": 2.0**-6}[numbers]
    for name, tensor in again.load_model(torch.float32).state_dict().items():
        assert (tensor - expected[name]).abs().max() <= bits * expected[name].abs().max(), name
    old, new = llama.source.base.load_tokenizer(), again.load_tokenizer()
    text = "<|im_start|>SELECT 12,  'né' \n\n 東京"
    assert new(text).input_ids == old(text).input_ids
    assert (new.chat_template, new.eos_token) == (old.chat_template, old.eos_token)
    for key in ("num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "max_position_embeddings"):
        assert again.config[key] == exact.config.get(key, exact.config["rope_parameters"].get(key)), key


def test_rows_that_blocks_do_not_divide_are_f16(llama: Tuned, tmp_path: Path) -> None:
    """rank 4 is no multiple of 32, and vectors are float32 always."""
    made = export_model(llama.source, "ollama", tmp_path / "out", numbers="q8_0", adapter_only=True)
    kinds = {name: set() for name in made.files if name.endswith(".gguf")}  # type: dict[str, set[str]]
    for name, found in kinds.items():
        found |= {tensor.tensor_type.name for tensor in gguf.GGUFReader(made.folder / name).tensors}
    assert kinds == {"base.gguf": {"Q8_0", "F32"}, "shop-adapter.gguf": {"F32"}}


def test_tokens_that_only_the_embedding_has_are_named_and_unused(tuned: Tuned, tmp_path: Path) -> None:
    made = export_model(tuned.source, "gguf", tmp_path / "out")
    fields = gguf.GGUFReader(made.folder / "shop.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    assert len(tokens) == len(types) == tuned.source.base.config["vocab_size"]
    assert types[:4] == [3, 3, 3, 1]
    unused = [token for token, kind in zip(tokens, types, strict=True) if kind == 5]
    assert unused == [f"[PAD{number}]" for number in range(259 + len(MERGES), len(tokens))]
    assert fields["tokenizer.ggml.merges"].contents() == [" ".join(pair) for pair in MERGES]
    assert (
        fields["tokenizer.ggml.pre"].contents()
        == {"llama": "smollm", "qwen2": "qwen2"}[tuned.source.base.config["model_type"]]
    )


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3))
def test_rows_in_pairs_are_rows_in_halves(heads: int, half: int, width: int) -> None:
    weight = np.arange(heads * half * 2 * width).reshape(heads * half * 2, width)
    assert np.array_equal(_halves(pairs(weight, heads), heads), weight)
    assert np.array_equal(pairs(_halves(weight, heads), heads), weight)


@pytest.mark.parametrize(
    "name",
    ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.11.self_attn.q_proj.bias"],
)
def test_names_there_and_back(name: str) -> None:
    assert _name(gguf_name(name) or "", Path("x.gguf")) == name
    assert gguf_name("model.layers.0.self_attn.rotary.weight") is gguf_name("vision.weight") is None


def change_config(base: Path, **values: Any) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | values))


def change_tokenizer(base: Path, **values: Any) -> None:
    content = json.loads((base / "tokenizer.json").read_text())
    (base / "tokenizer.json").write_text(json.dumps(content | values))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda base: change_config(base, rope_parameters={"rope_type": "llama3", "rope_theta": 1e4}), "are scaled"),
        (lambda base: change_config(base, hidden_act="gelu"), "'gelu'"),
        (lambda base: change_config(base, vocab_size=200), "its embedding 200 rows"),
        (lambda base: change_config(base, rms_norm_eps=None), "rms_norm_eps"),
        (lambda base: change_config(base, model_type="gemma"), "a 'gemma' model"),
        (lambda base: change_config(base, quantization_config={"bits": 4}), "stored quantized"),
        (lambda base: change_tokenizer(base, normalizer={"type": "Lowercase"}), "Lowercase"),
        (lambda base: change_tokenizer(base, pre_tokenizer={"type": "Whitespace"}), "none of the rules"),
        (lambda base: (base / "model.safetensors").write_bytes(b"x" * 99), "damaged"),
    ],
)
def test_what_gguf_cannot_hold_says_why_and_leaves_nothing(
    llama: Tuned, tmp_path: Path, change: Any, words: str
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    for file in llama.source.base.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    change(folder)
    source = replace(llama.source, base=replace(read_model_folder(folder), sha256=llama.source.base.sha256))
    with pytest.raises(ModelError, match=words):
        export_model(source, "gguf", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
