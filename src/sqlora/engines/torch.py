"""The reference engine: PyTorch on CPU or GPU, batches of rows over a shared prefix, adapters switched by pointer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sqlora.engines.base import Completion, Delta, Request, Sampling
from sqlora.engines.beam import Search
from sqlora.engines.prefixes import BUDGET_BYTES, Pairs, PrefixCache
from sqlora.engines.row import Row
from sqlora.engines.sampling import cut, generator, sample
from sqlora.engines.turns import Turns
from sqlora.errors import ModelError, NotFoundError
from sqlora.models.adapter import load_adapter
from sqlora.models.attention import BranchCache, Layout, use_shared_prefix
from sqlora.models.base import BaseModel
from sqlora.models.lora import LoraLinear, apply_adapter, inject, peft_name
from sqlora.models.precision import choose_precision
from sqlora.models.tensor_file import read_tensors

UNKNOWN_CONTEXT = 2**20  # tokens, for a model whose configuration gives no limit
CHUNK = 512  # tokens of a prompt read in one step: others take their turn between, and attention is CHUNK · context
STEP_TOKENS = 4096  # of all rows together
MAX_ROWS = 128  # rows decoded together; 140 answered 2.4 times as fast as by 16 (docs/LOG.md, 2026-11-24)


@dataclass
class _Adapter:
    tensors: dict[str, Tensor]
    scale: float
    digest: str


class TorchEngine:
    """`Engine` over transformers' model code; safe to call from several threads (one computes at a time).

    The key/value caches of prefixes take at most ``prefix_bytes``.
    """

    def __init__(self, base: BaseModel, prefix_bytes: int = BUDGET_BYTES) -> None:
        precision = choose_precision()
        self.base, self.device = base, precision.device
        self.tokenizer: Any = base.load_tokenizer()
        self.model: Any = base.load_model(precision.dtype).to(precision.device).eval().requires_grad_(False)
        use_shared_prefix(self.model)
        self._layers = inject(self.model)
        self._adapters: dict[str, _Adapter] = {}
        self.prefixes = PrefixCache(prefix_bytes)
        self._turns = Turns()  # one computes at a time, a step each
        self._prefixing = threading.Lock()  # a prefix is computed once, however many ask for it
        self.context = int(getattr(self.model.config, "max_position_embeddings", None) or UNKNOWN_CONTEXT)
        self._end = {self.tokenizer.eos_token_id} | set(_as_list(self.model.generation_config.eos_token_id))

    # adapters -----------------------------------------------------------------------------------------------

    def load_adapter(self, name: str, folder: Path) -> int:
        """See `Engine`."""
        tensors, config, manifest = load_adapter(folder)
        if manifest.get("base_sha256") not in (None, self.base.sha256):
            raise ModelError(
                f"adapter {name!r} ({folder}) was trained on another base than {self.base.name}", "sqlora train"
            )
        rank = int(config["r"])
        expected = {key: shape for layer, linear in self._layers.items() for key, shape in _shapes(layer, linear, rank)}
        for key, tensor in tensors.items():
            if expected.get(key) != tuple(tensor.shape):
                raise ModelError(
                    f"adapter {name!r} ({folder}) has a matrix {self.base.name} has no place for: "
                    f"{key} {list(tensor.shape)}"
                )
        digest = hashlib.sha256()
        for key in sorted(tensors):
            digest.update(tensors[key].contiguous().view(torch.uint8).numpy().tobytes())
        moved = {key: tensor.to(self.device, self.model.dtype) for key, tensor in tensors.items()}
        self.unload_adapter(name)
        self._adapters[name] = _Adapter(moved, float(config["lora_alpha"]) / rank, digest.hexdigest())
        return sum(tensor.nbytes for tensor in moved.values())

    def unload_adapter(self, name: str) -> None:
        """See `Engine`."""
        if self._adapters.pop(name, None) is not None:
            with self._turns:
                apply_adapter(self._layers, None)  # the layers may still hold its matrices
        self.prefixes.forget(name)

    def adapters(self) -> tuple[str, ...]:
        """See `Engine`."""
        return tuple(self._adapters)

    def _switch(self, name: str | None) -> None:
        if name is None:
            apply_adapter(self._layers, None)
        elif name in self._adapters:
            apply_adapter(self._layers, self._adapters[name].tensors, self._adapters[name].scale)
        else:
            raise NotFoundError(f"adapter {name!r} is not loaded", "sqlora deployments list")

    # prefixes -----------------------------------------------------------------------------------------------

    def forget_prefixes(self) -> None:
        """Drop the prefix caches in memory (for measuring a cold start)."""
        self.prefixes.clear()

    def has_prefix(self, adapter: str | None, prefix: Sequence[int]) -> bool:
        """See `Engine`."""
        return self.prefixes.get((adapter, tuple(prefix))) is not None

    def _prefix(self, adapter: str | None, prefix: tuple[int, ...]) -> tuple[Pairs, bool]:
        """Keys and values of a prefix, a pair [k, P, d] a layer, and whether they were at hand."""
        if not prefix:
            return [], True
        if (known := self.prefixes.get((adapter, prefix))) is not None:
            return known, True
        with self._prefixing:
            if (known := self.prefixes.get((adapter, prefix))) is not None:
                return known, True
            cache = self._empty_cache([], 1, len(prefix))
            for at in range(0, len(prefix), CHUNK):
                part = prefix[at : at + CHUNK]
                with self._computing(adapter):
                    layout = Layout.of(0, [len(part)], self.device, cache, [at])
                    self._forward(list(part), list(range(at, at + len(part))), layout)
            pairs = [(key[:, 0], value[:, 0]) for key, value in zip(cache.keys, cache.values, strict=True)]
            self.prefixes.put((adapter, prefix), pairs)
            return pairs, False

    def _identity(self, adapter: str | None, prefix: Sequence[int]) -> str:
        digest = self._adapters[adapter].digest if adapter is not None else "base"
        words = f"{self.base.sha256} {digest} {self.model.dtype} {list(prefix)}"
        return hashlib.sha256(words.encode()).hexdigest()

    def save_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> None:
        """See `Engine`."""
        pairs, _ = self._prefix(adapter, tuple(prefix))
        identity = self._identity(adapter, prefix)
        flat = {f"k.{layer}": key.contiguous() for layer, (key, _) in enumerate(pairs)}
        flat |= {f"v.{layer}": value.contiguous() for layer, (_, value) in enumerate(pairs)}
        aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(flat, aside, metadata={"identity": identity})
            os.replace(aside, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                aside.unlink()

    def load_prefix(self, adapter: str | None, prefix: Sequence[int], path: Path) -> bool:
        """See `Engine`."""
        try:
            tensors, metadata = read_tensors(path)
            if metadata.get("identity") != self._identity(adapter, prefix):
                return False
            layers = range(self.model.config.num_hidden_layers)
            pairs = [(tensors[f"k.{n}"].to(self.device), tensors[f"v.{n}"].to(self.device)) for n in layers]
        except (OSError, ValueError, KeyError, SafetensorError):
            return False
        self.prefixes.put((adapter, tuple(prefix)), pairs)
        return True

    # generation ---------------------------------------------------------------------------------------------

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """See `Engine`."""
        groups: dict[tuple[str | None, tuple[int, ...], int], list[int]] = {}
        for index, request in enumerate(requests):
            key = (request.adapter, request.prompt[: request.prefix], request.sampling.beams)
            groups.setdefault(key, []).append(index)
        answers: dict[int, Completion] = {}
        for (*_, beams), members in groups.items():
            # by length: rows of a batch are padded to the longest inside attention
            members.sort(key=lambda index: len(requests[index].prompt))
            size = max(1, MAX_ROWS // beams)
            for first in range(0, len(members), size):
                chunk = members[first : first + size]
                for row, item in self._answer([requests[index] for index in chunk]):
                    if isinstance(item, Completion):
                        answers[chunk[row]] = item
        return [answers[index] for index in range(len(requests))]

    def stream(self, request: Request) -> Iterator[Delta | Completion]:
        """See `Engine`."""
        for _, item in self._answer([request]):
            yield item

    def _answer(self, requests: list[Request]) -> Iterator[tuple[int, Delta | Completion]]:
        return self._search(requests) if requests[0].sampling.beams > 1 else self._run(requests)

    def _run(self, requests: list[Request]) -> Iterator[tuple[int, Delta | Completion]]:
        """Answer requests of one adapter and prefix together; yields (request's place, delta or completion)."""
        started = time.perf_counter()
        adapter, size = requests[0].adapter, requests[0].prefix
        rows = [Row(request, generator(request.sampling)) for request in requests]
        active = list(range(len(rows)))
        cache, seen, hidden, cached = self._read(requests)
        with self._computing(adapter):
            tokens = self._choose(hidden, rows)
        while True:
            for place, token in zip(active, tokens, strict=True):
                row = rows[place]
                delta = row.take(token, self.tokenizer, self._end)
                seconds = time.perf_counter() - started
                if len(row.tokens) == 1:
                    row.first_token_seconds = seconds
                if delta:
                    yield place, delta
                if row.stop_reason:
                    yield place, row.completion(size if cached else 0, seconds)
            going = [n for n, place in enumerate(active) if not rows[place].stop_reason]
            if not going:
                return
            with self._computing(adapter):
                parents = going if len(going) < len(active) else None
                active, seen = [active[n] for n in going], [seen[n] for n in going]
                hidden = self._next(cache, size, [rows[place].tokens[-1] for place in active], seen, parents)
                tokens = self._choose(hidden, [rows[p] for p in active])
            seen = [n + 1 for n in seen]

    def _read(self, requests: list[Request]) -> tuple[BranchCache, list[int], Tensor, bool]:
        """Compute the prompts: the rows' cache, how many tokens each has in it beside the prefix, hidden states
        [rows, width] to choose the first tokens by, and whether the prefix was at hand."""
        adapter, size = requests[0].adapter, requests[0].prefix
        pairs, cached = self._prefix(adapter, requests[0].prompt[:size])
        suffixes = [request.prompt[size:] for request in requests]
        seen = [len(suffix) for suffix in suffixes]
        cache = self._empty_cache(pairs, len(requests), max(seen) + 32)
        last: dict[int, Tensor] = {}
        chunk = max(64, min(CHUNK, STEP_TOKENS // len(requests)))
        for at in range(0, max(seen), chunk):
            parts = [suffix[at : at + chunk] for suffix in suffixes]
            starts = [min(at, length) for length in seen]
            with self._computing(adapter):
                layout = Layout.of(0, [len(part) for part in parts], self.device, cache, starts, known=cache.prefix)
                hidden = self._forward(
                    [token for part in parts for token in part],
                    [size + at + place for part in parts for place in range(len(part))],
                    layout,
                )
            end = 0
            for row, part in enumerate(parts):
                end += len(part)
                if part and at + len(part) == seen[row]:
                    last[row] = hidden[end - 1]
        return cache, seen, torch.stack([last[row] for row in range(len(requests))]), cached

    def _next(
        self, cache: BranchCache, size: int, last: Sequence[int], seen: Sequence[int], parents: Sequence[int] | None
    ) -> Tensor:
        """Hidden states [rows, width] after the rows' ``last`` tokens; ``parents``: which cached row each goes on."""
        if parents is not None:
            cache.select(torch.tensor(parents, device=self.device))
        if max(seen) >= cache.keys[0].shape[2]:
            cache.reserve(cache.keys[0].shape[2] + 64)
        layout = Layout.of(0, [1] * len(last), self.device, cache, seen, known=cache.prefix)
        return self._forward(list(last), [size + place for place in seen], layout)

    def _search(self, requests: list[Request]) -> Iterator[tuple[int, Delta | Completion]]:
        """Answer requests of one adapter, prefix and number of beams by beam search."""
        started = time.perf_counter()
        adapter, size = requests[0].adapter, requests[0].prefix
        searches = [Search(r.sampling.beams, frozenset(self._end), r.sampling.max_tokens) for r in requests]
        cache, seen, hidden, cached = self._read(requests)
        first = time.perf_counter() - started
        while True:
            with self._computing(adapter):
                best = self.model.lm_head(hidden).float().log_softmax(-1).topk(searches[0].candidates, dim=-1)
            tokens, scores = best.indices.tolist(), best.values.tolist()
            parents: list[int] = []
            done = 0
            for search in searches:
                rows = slice(done, done + len(search.live))
                parents += [done + place for place in search.advance(tokens[rows], scores[rows])]
                done = rows.stop
            if not parents:
                break
            seen = [seen[parent] for parent in parents]
            last = [beam.tokens[-1] for search in searches for beam in search.live]
            with self._computing(adapter):
                hidden = self._next(cache, size, last, seen, parents)
            seen = [place + 1 for place in seen]
        seconds = time.perf_counter() - started
        for place, (request, search) in enumerate(zip(requests, searches, strict=True)):
            texts = list(dict.fromkeys(self._text(beam.tokens, request.sampling) for beam in search.finished))
            best_beam = search.finished[0]
            assert best_beam.stop_reason is not None
            yield (
                place,
                Completion(
                    text=texts[0],
                    input_tokens=len(request.prompt),
                    output_tokens=sum(len(beam.tokens) for beam in search.finished),
                    cached_tokens=size if cached else 0,
                    stop_reason=best_beam.stop_reason,
                    first_token_seconds=first,
                    seconds=seconds,
                    alternatives=tuple(texts[1:]),
                ),
            )

    def _text(self, tokens: Sequence[int], sampling: Sampling) -> str:
        """The text of a whole answer, cut before the first stop sequence."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text[: cut(text, sampling.stop)]

    @contextlib.contextmanager
    def _computing(self, adapter: str | None) -> Iterator[None]:
        """The model with this adapter, for one step: held no longer, so that streams may be read in turns."""
        with self._turns, torch.no_grad():
            self._switch(adapter)
            yield

    def _forward(self, tokens: list[int], positions: list[int], layout: Layout) -> Tensor:
        """Flat tokens [T] → hidden states [T, width]."""
        hidden: Tensor = self.model.model(
            input_ids=torch.tensor([tokens], device=self.device),
            position_ids=torch.tensor([positions], device=self.device),
            layout=layout,
            use_cache=False,
        ).last_hidden_state[0]
        return hidden

    def _empty_cache(self, pairs: Pairs, rows: int, slots: int) -> BranchCache:
        config = self.model.config
        heads = config.num_key_value_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (heads, rows, slots, width)
        layers = range(config.num_hidden_layers)
        empty = {"dtype": self.model.dtype, "device": self.device}
        return BranchCache(
            pairs, [torch.zeros(shape, **empty) for _ in layers], [torch.zeros(shape, **empty) for _ in layers]
        )

    def _choose(self, hidden: Tensor, rows: list[Row]) -> list[int]:
        """The next token of each row; hidden [rows, width]."""
        logits = self.model.lm_head(hidden).float()
        best = logits.argmax(-1).tolist()
        return [
            best[n] if row.generator is None else sample(logits[n], row.request.sampling, row.generator)
            for n, row in enumerate(rows)
        ]


def _shapes(layer: str, linear: LoraLinear, rank: int) -> Iterator[tuple[str, tuple[int, int]]]:
    yield peft_name(layer, "A"), (rank, linear.in_features)
    yield peft_name(layer, "B"), (linear.out_features, rank)


def _as_list(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]
