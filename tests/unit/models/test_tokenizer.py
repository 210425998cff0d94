from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from sqlora.models.base import resolve_base_model
from sqlora.models.tokenizer import build_tokenizer
from tests.unit.models.gguf_file import write_gguf

# llama.cpp's patterns for the pre-tokenizer `smollm` (src/llama-vocab.cpp): first every digit alone, then GPT-2's.
SMOLLM = (r"\p{N}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["1 2", "Ġ 1", "Ġ t", "h e", "Ġt he", "Ġ Ġ", "S E", "SE L", "o r", "- -", "_ i", "_i d", "Ċ Ċ", "Ã ©"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = [*SPECIAL, *ALPHABET, *(merge.replace(" ", "") for merge in MERGES)]
METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": [3] * 3 + [1] * (len(TOKENS) - 3),
    "tokenizer.ggml.merges": MERGES,
}
TOKENIZER = build_tokenizer(METADATA, Path("test.gguf"))


def pieces(text: str, patterns: tuple[str, ...]) -> list[str]:
    """``text`` cut by each pattern in turn; what no pattern matches stays a piece."""
    parts = [text]
    for pattern in patterns:
        cut: list[str] = []
        for part in parts:
            end = 0
            for match in regex.finditer(pattern, part):
                cut += [part[end : match.start()], match[0]]
                end = match.end()
            cut.append(part[end:])
        parts = [part for part in cut if part]
    return parts


def byte_letters() -> dict[int, str]:
    """GPT-2's table: printable bytes stand for themselves, the others for letters from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def reference_tokens(text: str, merges: list[str], patterns: tuple[str, ...]) -> list[str]:
    """Byte-pair encoding as its definition reads: merge the pair of lowest rank until there is none."""
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
    letters, tokens = byte_letters(), []
    for piece in pieces(text, patterns):
        word = [letters[byte] for byte in piece.encode()]
        while len(word) > 1:
            at = min(range(len(word) - 1), key=lambda i: ranks.get((word[i], word[i + 1]), 10**9))
            if (word[at], word[at + 1]) not in ranks:
                break
            word[at : at + 2] = [word[at] + word[at + 1]]
        tokens += word
    return tokens


TEXTS = st.text(st.one_of(st.sampled_from("12 0the'sSEL_id--\n\técño½"), st.characters(codec="utf-8")), max_size=40)


@given(TEXTS)
def test_agrees_with_byte_pair_encoding_written_out(text: str) -> None:
    assert TOKENIZER.encode(text).tokens == reference_tokens(text, MERGES, SMOLLM)


@given(TEXTS)
def test_decoding_gives_the_text_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("12", ["1", "2"]),  # never the token "12"
        (" 12", ["Ġ", "1", "2"]),
        (" the", ["Ġthe"]),
        ("store_id", ["s", "t", "or", "e", "_", "i", "d"]),
        ("SEL", ["SEL"]),
        ("é", ["Ã©"]),
        ("2026-01", ["2", "0", "2", "6", "-", "0", "1"]),
        ("<|im_start|>the<|im_end|>", ["<|im_start|>", "t", "he", "<|im_end|>"]),
        ("", []),
    ],
)
def test_known_strings(text: str, tokens: list[str]) -> None:
    assert TOKENIZER.encode(text).tokens == tokens


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("smollm", ["a", "1", "2", "3", "4"]),
        ("gpt-2", ["a", "12", "3", "4"]),
        ("qwen2", ["a", "1", "2", "3", "4"]),
        ("llama-bpe", ["a", "12", "3", "4"]),
    ],
)
def test_each_pre_tokenizer_cuts_digits_its_own_way(name: str, tokens: list[str]) -> None:
    built = build_tokenizer(METADATA | {"tokenizer.ggml.pre": name}, Path("test.gguf"))
    assert built.encode("a1234").tokens == tokens


def test_the_written_tokenizer_is_the_one_transformers_loads(tiny: Path, tmp_path: Path) -> None:
    base = resolve_base_model(str(write_gguf(tiny, tmp_path / "tiny.gguf")))
    tokenizer = base.load_tokenizer()
    assert tokenizer.tokenize("a 12 s") == ["a", "Ġ", "1", "2", "Ġ", "s"]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer.decode(tokenizer("a , b 's").input_ids) == "a , b 's"  # no spaces cleaned away
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "how many?"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nhow many?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer(chat, add_special_tokens=False).input_ids[0] == 1
