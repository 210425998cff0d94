"""llama.cpp's server from the wheel xllamacpp: what it makes of the GGUF files that sqlora writes.

Skips the test, with the reason, where the wheel is not installed.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

GREEDY = {"temperature": 0, "cache_prompt": False}
F32 = 0  # ggml_type of the keys and values: as exact as the weights


class LlamaCpp:
    """A GGUF model, perhaps with an adapter's file over it."""

    def __init__(self, model: Path, adapter: Path | None = None, context: int = 2048) -> None:
        xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp (the wheel xllamacpp) is not installed")
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_parallel = context, context, context, 1
        params.port, params.warmup, params.verbosity, params.fit_params = 0, False, -1, False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type(F32)
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if adapter is not None:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self._server = xllamacpp.Server(params)

    def rendered(self, chat: Sequence[dict[str, str]]) -> str:
        """The prompt of a chat by the file's own template."""
        text: str = self._post("/apply-template", messages=list(chat))["prompt"]
        return text

    def tokens(self, text: str) -> list[int]:
        """Of a rendered prompt, as the server takes it: special tokens read, beginnings added."""
        found: list[int] = self._post("/tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        return found

    def greedy(self, prompt: Sequence[int], most: int) -> list[int]:
        """The answer to a prompt's tokens, without a token that ends it."""
        found = self._post("/completion", prompt=list(prompt), n_predict=most, return_tokens=True, **GREEDY)
        tokens: list[int] = found["tokens"]
        return tokens[:-1] if found["stop_type"] == "eos" else tokens

    def probabilities(self, prompt: Sequence[int]) -> dict[int, float]:
        """The natural logarithms of those of the 20 most probable next tokens.

        The server keeps them to itself when the most probable token ends the answer or is a part of a character.
        """
        found = self._post("/completion", prompt=list(prompt), n_predict=1, n_probs=20, **GREEDY)
        steps: list[dict[str, Any]] = found["completion_probabilities"]
        return {item["id"]: item["logprob"] for item in steps[0]["top_logprobs"]}

    def _post(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
