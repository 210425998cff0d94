"""Two tiny base models, Llama and Qwen2, each with an adapter that changes what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from sqlora.models.adapter import load_adapter
from sqlora.models.base import resolve_base_model
from sqlora.models.export import Source
from sqlora.models.lora import apply_adapter, inject
from sqlora.models.tokenizer import pre_tokenizer
from sqlora.prompting import encode, record
from tests.process import random_adapter
from tests.tiny import byte_tokenizer

SYSTEM = "You write larkql.\nregion(region_id, region_name)"


SIZE = 320  # rows of the embedding, more than there are tokens
MERGES = [("r", "e"), ("re", "g"), ("i", "o"), ("io", "n"), ("reg", "ion"), ("Ġ", "region")]


def merging_tokenizer(pre: str) -> Any:
    """The tiny model's tokenizer with some merges, which llama.cpp wants, and llama.cpp's pre-tokenizer ``pre``."""
    from tokenizers import models

    tokenizer = byte_tokenizer()
    vocabulary = tokenizer.get_vocab()
    vocabulary |= {first + second: len(vocabulary) + place for place, (first, second) in enumerate(MERGES)}
    tokenizer.backend_tokenizer.model = models.BPE(vocab=vocabulary, merges=MERGES)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizer(pre, Path(pre))
    return tokenizer


def tiny_llama(folder: Path) -> Path:
    """Llama with an embedding that is the output layer too."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=SIZE, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        pad_token_id=2,
    )  # fmt: skip
    return save(LlamaForCausalLM, config, "smollm", folder)


def tiny_qwen2(folder: Path) -> Path:
    """Qwen2: biases, an output layer of its own, and two tokens that end an answer."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=SIZE, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False, rope_theta=1e6,
        bos_token_id=None, eos_token_id=[2, 0], pad_token_id=2,
    )  # fmt: skip
    return save(Qwen2ForCausalLM, config, "qwen2", folder)


def save(architecture: Any, config: Any, pre: str, folder: Path) -> Path:
    """A model of random numbers, its biases not 0."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = architecture(config)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    merging_tokenizer(pre).save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Tuned:
    """A source, and what sqlora's own forward pass makes of it."""

    source: Source

    @property
    def prompt(self) -> list[int]:
        tokenizer = self.source.base.load_tokenizer()
        return list(encode(tokenizer, record(SYSTEM, "how many regions?")).prompt)

    def model(self, tuned: bool = True) -> Any:
        """In float32, adapter and all, as `sqlora.engines.torch` computes it."""
        model = self.source.base.load_model(torch.float32).eval()
        layers = inject(model)
        if tuned:
            assert self.source.adapter is not None
            tensors, config, _ = load_adapter(self.source.adapter, self.source.base)
            apply_adapter(layers, tensors, config["lora_alpha"] / config["r"])
        return model

    def logits(self, tuned: bool = True) -> torch.Tensor:
        """[tokens, vocabulary]"""
        with torch.no_grad():
            logits: torch.Tensor = self.model(tuned)(torch.tensor([self.prompt])).logits[0]
        return logits

    def greedy(self, most: int) -> list[int]:
        model, ids = self.model(), list(self.prompt)
        with torch.no_grad():
            for _ in range(most):
                token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
                if token in (0, 2):
                    break
                ids.append(token)
        return ids[len(self.prompt) :]


def tune(folder: Path, architecture: str) -> Tuned:
    # Adapters whose answers begin with a whole character: of others llama.cpp's server shows no probabilities.
    make, seed = {"llama": (tiny_llama, 0), "qwen2": (tiny_qwen2, 2)}[architecture]
    base = resolve_base_model(str(make(folder / "base")))
    adapter = random_adapter(folder / "adapter", base, seed, rank=4, size=0.6, system=SYSTEM)
    return Tuned(Source("shop", base, adapter, SYSTEM))


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(tmp_path_factory.mktemp("llama"), "llama")
