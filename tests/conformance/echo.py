"""An engine without a model, and its tokenizer: the answer to a prompt is the end of the prompt.

Token for token it keeps the contract of `sqlora.engines.base.Engine` (adapters, prefixes, limits, stop sequences),
so that everything above engines can be tested in milliseconds and with answers known beforehand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlora.engines.base import Completion, Delta, Request, StopReason
from sqlora.errors import ModelError, NotFoundError

END = 2
_QUESTION = "<user>"


class EchoTokenizer:
    """One token a UTF-8 byte, and ``<end>`` as token 2."""

    eos_token_id = END

    def apply_chat_template(
        self, chat: Sequence[dict[str, str]], tokenize: bool = False, add_generation_prompt: bool = True
    ) -> str:
        """Turns one after the other, as ``<role>content``."""
        assert not tokenize
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in chat) + "<answer>"

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """Bytes, moved up by 3."""
        return {"input_ids": [byte + 3 for byte in text.encode()]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of whole characters."""
        return bytes(token - 3 for token in tokens if token != END).decode(errors="replace")


class EchoEngine:
    """Answers ``ADAPTER: QUESTION`` (``base: QUESTION`` without one). ``calls`` tells what it was made to do."""

    def __init__(self, context: int = 4096) -> None:
        self.tokenizer = EchoTokenizer()
        self.context = context
        self.calls: list[str] = []
        self._adapters: dict[str, str] = {}
        self._prefixes: set[tuple[str | None, tuple[int, ...]]] = set()

    def load_adapter(self, name: str, folder: Path) -> int:
        """The adapter's answer begins with what is in its weights."""
        weights = folder / "adapter_model.safetensors"
        if not weights.is_file():
            raise ModelError(f"no adapter in {folder}")
        self.calls.append(f"load {name}")
        self._adapters[name] = weights.read_text(encoding="utf-8")
        return len(self._adapters[name])

    def unload_adapter(self, name: str) -> None:
        """And its prefixes."""
        self.calls.append(f"unload {name}")
        self._adapters.pop(name, None)
        self._prefixes -= {key for key in list(self._prefixes) if key[0] == name}

    def adapters(self) -> tuple[str, ...]:
        """Loaded ones."""
        return tuple(self._adapters)

    def forget_prefixes(self) -> None:
        """All of them."""
        self._prefixes.clear()

    def has_prefix(self, adapter: str | None, prefix: Sequence[int]) -> bool:
        """As saved, loaded or answered with."""
        return (adapter, tuple(prefix)) in self._prefixes

    def save_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> None:
        """As JSON."""
        self.calls.append("save prefix")
        self._prefixes.add((adapter, tuple(prefix)))
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".part")
        aside.write_text(json.dumps([self._weights(adapter), list(prefix)]))
        os.replace(aside, path)

    def load_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> bool:
        """Only the one that was saved."""
        if not path.is_file() or json.loads(path.read_text()) != [self._weights(adapter), list(prefix)]:
            return False
        self.calls.append("load prefix")
        self._prefixes.add((adapter, tuple(prefix)))
        return True

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One after the other."""
        return [item for request in requests for item in self.stream(request) if isinstance(item, Completion)]

    def stream(self, request: Request) -> Iterator[Delta | Completion]:
        """A token at a time."""
        self.calls.append("answer")
        text = f"{self._weights(request.adapter)}: {self._question(request.prompt)}"
        key = (request.adapter, request.prompt[: request.prefix])
        cached = request.prefix if key in self._prefixes else 0
        self._prefixes.add(key)
        stop: StopReason = "end_turn"
        for sequence in request.sampling.stop:
            if sequence in text:
                text, stop = text[: text.index(sequence)], "stop_sequence"
        tokens = 0
        shown = ""
        for character in text:
            if tokens >= request.sampling.max_tokens:
                stop = "max_tokens"
                break
            tokens, shown = tokens + 1, shown + character
            yield Delta(character, 1)
        tokens += stop == "end_turn"
        self._weights(request.adapter)  # whoever unloads it meanwhile is found out
        yield Completion(shown, len(request.prompt), tokens, cached, stop, 0.001, 0.002)

    def _weights(self, adapter: str | None) -> str:
        if adapter is not None and adapter not in self._adapters:
            raise NotFoundError(f"adapter {adapter!r} is not loaded")
        return "base" if adapter is None else self._adapters[adapter]

    def _question(self, prompt: Sequence[int]) -> str:
        text = self.tokenizer.decode(prompt)
        return text.rsplit(_QUESTION, 1)[-1].removesuffix("<answer>")


def echo_adapter(folder: Path, weights: str, **manifest: Any) -> Path:
    """An adapter folder for the echo engine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_text(weights, encoding="utf-8")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
