"""The real base model with an adapter, exported: llama.cpp and transformers say the same, token by token.

Needs the package registry, or a cache with the converted model; skipped with a reason where neither is there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sqlora.errors import RetryableError
from sqlora.models.adapter import load_adapter
from sqlora.models.base import resolve_base_model
from sqlora.models.export import Source, export_model
from sqlora.models.lora import apply_adapter, inject
from sqlora.prompting import encode, record, system_text
from tests.llama_cpp import LlamaCpp
from tests.process import random_adapter

pytestmark = pytest.mark.e2e

SYSTEM = system_text("duckdb", "store(store_id, store_name, city)\nsale(sale_id, store_id, day, amount)")
QUESTIONS = ("How much did each city sell in 2026?", "Which day's sales were above 1,000.50 in Zürich?")
TOKENS = 24


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    try:
        base = resolve_base_model("smollm2-135m")
    except RetryableError as error:
        pytest.skip(f"the base model can't be fetched: {error.message}")
    adapter = random_adapter(tmp_path_factory.mktemp("model") / "adapter", base, 1, size=0.05, system=SYSTEM)
    return Source("shop", base, adapter, SYSTEM)


@pytest.fixture(scope="module")
def answers(source: Source) -> dict[tuple[int, ...], list[int]]:
    """Prompt → greedy tokens in float32, by sqlora's own layers."""
    assert source.adapter is not None
    tokenizer, model = source.base.load_tokenizer(), source.base.load_model(torch.float32).eval()
    tensors, config, _ = load_adapter(source.adapter, source.base)
    apply_adapter(inject(model), tensors, config["lora_alpha"] / config["r"])
    found = {}
    for question in QUESTIONS:
        prompt = encode(tokenizer, record(SYSTEM, question)).prompt
        whole = model.generate(torch.tensor([prompt]), max_new_tokens=TOKENS, do_sample=False)[0].tolist()
        answer = whole[len(prompt) :]
        found[prompt] = answer[:-1] if answer[-1] == tokenizer.eos_token_id else answer
    return found


def check(llama: LlamaCpp, source: Source, answers: dict[tuple[int, ...], list[int]]) -> None:
    for question, (prompt, expected) in zip(QUESTIONS, answers.items(), strict=True):
        chat = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        assert tuple(llama.tokens(llama.rendered(chat))) == prompt
        assert llama.greedy(prompt, TOKENS) == expected


def test_gguf(source: Source, answers: dict[tuple[int, ...], list[int]], tmp_path: Path) -> None:
    """In the number format that is the default."""
    made = export_model(source, "gguf", tmp_path / "out")
    check(LlamaCpp(made.folder / "shop.gguf"), source, answers)


def test_the_adapter_alone(source: Source, answers: dict[tuple[int, ...], list[int]], tmp_path: Path) -> None:
    made = export_model(source, "ollama", tmp_path / "out", adapter_only=True)
    check(LlamaCpp(made.folder / "smollm2-135m.gguf", made.folder / "shop-adapter.gguf"), source, answers)


def test_merged(source: Source, answers: dict[tuple[int, ...], list[int]], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = export_model(source, "merged", tmp_path / "out", numbers="f32")
    model = AutoModelForCausalLM.from_pretrained(made.folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    for question, (prompt, expected) in zip(QUESTIONS, answers.items(), strict=True):
        assert encode(tokenizer, record(SYSTEM, question)).prompt == prompt
        with torch.no_grad():  # of the whole answer at once
            logits = model(torch.tensor([[*prompt, *expected]])).logits[0]
        assert logits[len(prompt) - 1 : -1].argmax(-1).tolist() == expected
