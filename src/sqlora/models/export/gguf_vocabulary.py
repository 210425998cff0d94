"""A byte-level BPE tokenizer → the vocabulary part of a GGUF file.

llama.cpp names the rules that split a text before the merges (``tokenizer.ggml.pre``) and keeps them in its code. Which
of them a tokenizer has is found by what it does: it must split a text full of traps as the named rules do.
Source: llama.cpp's convert_hf_to_gguf.py (``get_vocab_base``) and its docs/gguf.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlora.errors import ModelError
from sqlora.models.base import BaseModel
from sqlora.models.tokenizer import PRE_TOKENIZERS, pre_tokenizer

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # gguf.TokenType

# Digits alone and in runs, contractions, kinds of white space at all ends, marks beside line breaks, other scripts.
TRAPS = (
    "SELECT a.b_c,  COUNT(*)\n\tFROM t WHERE x >= 12 AND d='2026-03-31' -- it's; I'LL, we've\r\n\r\n   ;\n"
    " 1234567.89 7a a7 ½² ٣٤ naïve café 東京 한국어 🙂🙂 !!\n\n  ...\n#x@y \u00a0z\t\t\tend   "
)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids with their types, merges, the name of the pre-tokenizer, special ids."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    special: dict[str, int]
    """``bos``, ``eos``, ``unk``, ``pad``, ``eot`` → id."""
    chat_template: str


def read_vocabulary(base: BaseModel, size: int) -> Vocabulary:
    """That of the base model's tokenizer, filled up to ``size`` tokens (the rows of the embedding).

    ModelError for a kind of tokenizer that GGUF files here do not hold.
    """
    tokenizer, folder = base.load_tokenizer(), base.folder
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = content["model"].get("type")
    if kind != "BPE" or content["model"].get("byte_fallback"):
        raise _unknown(folder, f"its tokenizer is {kind!r}, not byte-level BPE")
    if (content.get("normalizer") or {}).get("type") not in (None, "NFC"):
        raise _unknown(folder, f"its tokenizer changes texts first ({content['normalizer']['type']})")
    vocabulary: dict[str, int] = content["model"]["vocab"]
    added = {item["id"]: item for item in content.get("added_tokens") or ()}
    texts = {number: token for token, number in vocabulary.items()}
    texts |= {number: item["content"] for number, item in added.items()}
    if texts and max(texts) >= size:
        raise _unknown(folder, f"its tokenizer has {max(texts) + 1:,} tokens, its embedding {size:,} rows")
    tokens, types = [], []
    for number in range(size):
        tokens.append(texts.get(number, f"[PAD{number}]"))
        types.append(_type(added.get(number), number in texts))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"]]
    special = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "unk", "pad")}
    special["eot"] = next((id for id in answer_ends(base, tokenizer) if id != special["eos"]), None)
    return Vocabulary(
        tokens,
        types,
        merges,
        _pre_tokenizer_name(tokenizer, folder),
        {name: int(id) for name, id in special.items() if id is not None},
        tokenizer.chat_template,
    )


def answer_ends(base: BaseModel, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the tokenizer's, and those that the model's generation settings add."""
    try:
        settings = json.loads((base.folder / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = {}
    more = settings.get("eos_token_id", [])
    ids = [tokenizer.eos_token_id, *(more if isinstance(more, list) else [more])]
    return list(dict.fromkeys(int(id) for id in ids if id is not None))


def _type(added: dict[str, Any] | None, known: bool) -> int:
    if added is not None:
        return CONTROL if added.get("special") else USER_DEFINED
    return NORMAL if known else UNUSED


def _pre_tokenizer_name(tokenizer: Any, folder: Path) -> str:
    own = tokenizer.backend_tokenizer.pre_tokenizer
    pieces = [] if own is None else _pieces(own)
    for name in PRE_TOKENIZERS:
        if pieces == _pieces(pre_tokenizer(name, folder)):
            return name
    raise _unknown(folder, f"its tokenizer splits text by none of the rules known here ({', '.join(PRE_TOKENIZERS)})")


def _pieces(splitter: Any) -> list[str]:
    return [piece for piece, _ in splitter.pre_tokenize_str(TRAPS)]


def _unknown(folder: Path, why: str) -> ModelError:
    return ModelError(
        f"{folder} can't be written as GGUF: {why}",
        "--format merged, and llama.cpp's own convert_hf_to_gguf.py on that folder",
    )
