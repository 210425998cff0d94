"""The tokenizer inside a GGUF file → tokenizer.json and tokenizer_config.json.

Built from the file's own vocabulary, merges and pre-tokenizer name. transformers' conversion ignores that name and
takes GPT-2's pre-tokenizer for all: SmolLM2 then gets ``12`` as one token where it was trained on ``1``, ``2``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Patterns as in llama.cpp's llama-vocab.cpp and the models' own tokenizer.json.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
PRE_TOKENIZERS = ("smollm", "gpt-2", "qwen2", "llama-bpe")

_CONTROL, _USER_DEFINED = 3, 4  # gguf.TokenType


def write_tokenizer(metadata: dict[str, Any], folder: Path, source: Path) -> None:
    """Write the tokenizer described by GGUF ``metadata`` into ``folder``; ModelError when it is of no known kind."""
    tokens: list[str] = list(metadata.get("tokenizer.ggml.tokens") or ())
    if not tokens:
        raise ModelError(f"{source} has no tokenizer", "give the model's safetensors folder as base_model instead")
    build_tokenizer(metadata, source).save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        "model_max_length": int(metadata.get(f"{metadata.get('general.architecture')}.context_length", 2048)),
    }
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    for key, name in names.items():
        number = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if number is not None and 0 <= int(number) < len(tokens):
            config[key] = tokens[int(number)]
    config["additional_special_tokens"] = _tokens_of(metadata, _CONTROL)
    if template := metadata.get("tokenizer.chat_template"):
        config["chat_template"] = template
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def build_tokenizer(metadata: dict[str, Any], source: Path) -> Tokenizer:
    """Byte-level BPE with the file's vocabulary, merges and pre-tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    kind = metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ModelError(
            f"{source} has a {kind!r} tokenizer; only byte-level BPE ('gpt2') is read from GGUF files",
            "give the model's safetensors folder or hub id as base_model instead",
        )
    vocabulary = {token: number for number, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ", 1)) for merge in metadata.get("tokenizer.ggml.merges") or ()]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(
            f"{source}: its vocabulary and merges don't fit together: {error}",
            "give the model's safetensors folder or hub id as base_model instead",
        ) from error
    tokenizer.pre_tokenizer = pre_tokenizer(str(metadata.get("tokenizer.ggml.pre", "gpt-2")), source)
    tokenizer.decoder = decoders.ByteLevel()
    control, added = _tokens_of(metadata, _CONTROL), _tokens_of(metadata, _USER_DEFINED)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in added])
    return tokenizer


def _tokens_of(metadata: dict[str, Any], kind: int) -> list[str]:
    """The tokens of one type, in the vocabulary's order."""
    kinds = metadata.get("tokenizer.ggml.token_type") or ()
    return [token for token, own in zip(metadata["tokenizer.ggml.tokens"], kinds, strict=False) if own == kind]


def pre_tokenizer(name: str, source: Path) -> Any:
    """How a text is split before the merges, by llama.cpp's name for it; ModelError, naming ``source``, for others."""
    from tokenizers import Regex, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=name in ("smollm", "gpt-2"))
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    if name == "gpt-2":
        return byte_level
    if name in ("qwen2", "llama-bpe"):
        pattern = Regex(_QWEN2 if name == "qwen2" else _LLAMA3)
        return pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, behavior="isolated"), byte_level])
    raise ModelError(
        f"{source} names the pre-tokenizer {name!r}; known: {', '.join(PRE_TOKENIZERS)}",
        "give the model's safetensors folder or hub id as base_model instead",
    )
