"""Attention over a shared prefix: the layout that training packs and serving decodes.

Rows of a batch share their first ``P`` tokens (instructions and schema). The prefix is laid out once, the rows
("branches") attend to it and to themselves:

    tokens   [ prefix | branch 1 | branch 2 | … ]        T = P + Σ lengths, no padding in the linear layers
    scores   [ kv heads, branches, group·L, P + S ]      padded, a few branches at a time, only in here

Written out as batched matrix products because the CPU flash-attention backward took 36 % of a training step
and expanding keys over query heads another tenth (docs/explanation/decisions.md). Shapes: ``h`` query heads,
``k`` key/value heads, ``g = h/k``, ``n`` branches, ``d`` head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "sqlora_shared_prefix"
GROUP = 4  # branches padded together in training


@dataclass
class BranchCache:
    """Keys and values of tokens already seen, one tensor a layer.

    ``prefix``: [k, P, d] pairs shared by all rows; ``keys``/``values``: [k, n, S, d] of the rows themselves.
    """

    prefix: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def select(self, rows: Tensor) -> None:
        """Keep only ``rows`` (finished rows leave the batch)."""
        self.keys = [key.index_select(1, rows) for key in self.keys]
        self.values = [value.index_select(1, rows) for value in self.values]

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` tokens a row."""
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                if old.shape[2] < slots:
                    new = old.new_zeros(old.shape[0], old.shape[1], slots, old.shape[3])
                    new[:, :, : old.shape[2]] = old
                    tensors[layer] = new


@dataclass
class Group:
    """Branches of similar length that are padded to the longest of them: ``branches`` rows of ``length`` queries.

    ``first`` and ``tokens``: their slice of the flat branch tokens. ``gather`` [n·L]: index into that slice of each
    (branch, place), any valid index at padding. ``scatter`` [Σ lengths]: the inverse. ``mask`` [n, 1, L, S]: 0 where
    a query may see a key of its branch, −inf elsewhere.
    """

    first: int
    tokens: int
    branches: int
    length: int
    gather: Tensor
    scatter: Tensor
    mask: Tensor

    @classmethod
    def of(cls, first: int, lengths: Sequence[int], starts: Tensor, device: str | torch.device) -> Group:
        """Branches of the given lengths, whose ``starts`` [n] tokens before are cached."""
        count, length = len(lengths), max(lengths)
        size = torch.tensor(lengths, dtype=torch.long)
        offset = torch.cumsum(size, 0) - size
        place = torch.arange(length)
        real = place[None, :] < size[:, None]  # [n, L]
        index = torch.where(real, offset[:, None] + place[None, :], 0)
        key = torch.arange(int((starts + size).max()))
        visible = key[None, None, :] <= (starts[:, None] + place[None, :])[:, :, None]  # [n, L, S]
        mask = torch.zeros(visible.shape).masked_fill_(~visible, float("-inf"))
        return cls(
            first=first,
            tokens=sum(lengths),
            branches=count,
            length=length,
            gather=index.reshape(-1).to(device),
            scatter=real.reshape(-1).nonzero().squeeze(1).to(device),
            mask=mask[:, None].to(device),
        )


@dataclass
class Layout:
    """Where the tokens of a flat sequence belong: ``prefix`` leading tokens, then the branches of ``groups``.

    ``known``: keys and values [k, P, d] a layer of a prefix that was computed before and is not among the tokens.
    ``cache``: when serving, where new keys and values go, at column ``start`` [n] of each row.
    ``keep_prefix``: store the prefix's keys and values into the cache.
    """

    prefix: int
    groups: tuple[Group, ...]
    cache: BranchCache | None = None
    start: Tensor | None = None
    keep_prefix: bool = False
    known: Sequence[tuple[Tensor, Tensor]] = ()

    @classmethod
    def of(
        cls,
        prefix: int,
        lengths: Sequence[int],
        device: str | torch.device = "cpu",
        cache: BranchCache | None = None,
        start: Sequence[int] | None = None,
        keep_prefix: bool = False,
        known: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> Layout:
        """The layout of branches of the given lengths; ``start`` counts tokens a row has cached before.

        Without a cache the branches are padded in groups of `GROUP` neighbours: sorted by length, as packs are, they
        differ little, so little of what is computed is padding (docs/LOG.md).
        """
        starts = torch.tensor(start or [0] * len(lengths))
        each = max(1, len(lengths)) if cache is not None else GROUP
        groups = []
        first = 0
        for at in range(0, len(lengths), each):
            groups.append(Group.of(first, lengths[at : at + each], starts[at : at + each], device))
            first += groups[-1].tokens
        return cls(prefix, tuple(groups), cache, starts.to(device), keep_prefix, known)


class _Attention(torch.autograd.Function):
    """softmax(q·[prefix keys, own keys]ᵀ)·[prefix values, own values], with a backward that keeps only the weights.

    Plain autograd spends an eighth of a step on zero-filled gradients of slices and on softmax's backward; here
    dS = W ∘ (dO·Vᵀ − Σ dO ∘ O) is computed in place.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        prefix_key: Tensor | None,
        prefix_value: Tensor | None,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """Scaled query [k, n, g·L, d], prefix [k, P, d] or None, key and value [k, n, S, d], mask [n, 1, L, S]."""
        kv_heads, count, rows, width = query.shape
        length, slots = mask.shape[2:]
        own = torch.matmul(query, key.transpose(2, 3))  # [k, n, g·L, S]
        own.view(kv_heads, count, rows // length, length, slots).add_(mask[None])
        if prefix_key is None or prefix_value is None:
            own = own.softmax(-1)
            shared = own.new_empty(0)
            out = torch.matmul(own, value)
        else:
            flat = query.view(kv_heads, count * rows, width)
            shared = torch.matmul(flat, prefix_key.transpose(1, 2)).view(kv_heads, count, rows, -1)
            size = shared.shape[-1]
            weights = torch.cat([shared, own], -1).softmax(-1)
            shared = weights[..., :size].reshape(kv_heads, count * rows, size)
            own = weights[..., size:].contiguous()
            out = torch.matmul(own, value)
            out.view(kv_heads, count * rows, width).baddbmm_(shared, prefix_value)
        ctx.save_for_backward(query, prefix_key, prefix_value, key, value, shared, own, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, prefix_key, prefix_value, key, value, shared, own, out = ctx.saved_tensors
        grad = grads[0].contiguous()
        kv_heads, count, rows, width = query.shape
        total = (grad * out).sum(-1, keepdim=True)  # [k, n, g·L, 1]
        value_grad = torch.matmul(own.transpose(2, 3), grad)
        score_grad = torch.matmul(grad, value.transpose(2, 3)).sub_(total).mul_(own)
        query_grad = torch.matmul(score_grad, key)
        key_grad = torch.matmul(score_grad.transpose(2, 3), query)
        if prefix_key is None:
            return query_grad, None, None, key_grad, value_grad, None
        flat_grad = grad.view(kv_heads, count * rows, width)
        flat_query = query.view(kv_heads, count * rows, width)
        prefix_learns = ctx.needs_input_grad[1]
        prefix_value_grad = torch.matmul(shared.transpose(1, 2), flat_grad) if prefix_learns else None
        score_grad = torch.matmul(flat_grad, prefix_value.transpose(1, 2))
        score_grad.sub_(total.view(kv_heads, count * rows, 1)).mul_(shared)
        query_grad.view(kv_heads, count * rows, width).baddbmm_(score_grad, prefix_key)
        prefix_key_grad = torch.matmul(score_grad.transpose(1, 2), flat_query) if prefix_learns else None
        return query_grad, prefix_key_grad, prefix_value_grad, key_grad, value_grad, None


def _attend(
    query: Tensor, pair: tuple[Tensor, Tensor] | None, key: Tensor, value: Tensor, mask: Tensor, scale: float
) -> Tensor:
    """Query [n, L, h, d], pair of [k, P, d], key and value [k, n, S, d], mask [n, 1, L, S] → [n, L, h, d]."""
    count, length, heads, width = query.shape
    kv_heads = key.shape[0]
    rows = query.view(count, length, kv_heads, heads // kv_heads, width).permute(2, 0, 3, 1, 4)
    rows = (rows.reshape(kv_heads, count, -1, width) * scale).contiguous()
    out: Tensor = _Attention.apply(rows, *(pair or (None, None)), key, value, mask)  # type: ignore[no-untyped-call]
    return out.view(kv_heads, count, -1, length, width).permute(1, 3, 0, 2, 4).reshape(query.shape)


def _causal(size: int, like: Tensor) -> Tensor:
    """[1, 1, size, size]: 0 on and below the diagonal, −inf above."""
    return torch.full((1, 1, size, size), float("-inf"), dtype=like.dtype, device=like.device).triu_(1)


def _cached(layout: Layout, group: Group, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Write new keys and values [k, n, L, d] into the cache; return what the queries may look at."""
    cache = layout.cache
    assert cache is not None
    assert layout.start is not None
    slots = group.mask.shape[3]
    rows = torch.arange(group.branches, device=key.device)[:, None]
    places = layout.start[:, None] + torch.arange(group.length, device=key.device)[None, :]
    places = places.clamp_max(cache.keys[layer].shape[2] - 1)
    cache.keys[layer][:, rows, places] = key
    cache.values[layer][:, rows, places] = value
    return cache.keys[layer][:, :, :slots], cache.values[layer][:, :, :slots]


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    **_: Any,
) -> tuple[Tensor, None]:
    """The attention function registered with transformers: query [1, h, T, d], key and value [1, k, T, d]."""
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    flat_query = query[0].transpose(0, 1)  # [T, h, d]
    heads, width, kv_heads, size = query.shape[1], query.shape[3], key.shape[1], layout.prefix
    pair: tuple[Tensor, Tensor] | None = None
    pieces: list[Tensor] = []
    if size:
        pair = (key[0, :, :size].contiguous(), value[0, :, :size].contiguous())
        own = (pair[0][:, None], pair[1][:, None])
        pieces.append(_attend(flat_query[None, :size], None, *own, _causal(size, query), scaling)[0])
        if layout.keep_prefix and layout.cache is not None:
            layout.cache.prefix.append(pair)
    elif layout.known:
        pair = layout.known[layer]
    for group in layout.groups:
        here = slice(size + group.first, size + group.first + group.tokens)
        shape = (kv_heads, group.branches, group.length, width)
        rows = flat_query[here].index_select(0, group.gather).view(*shape[1:3], heads, width)
        own_key = key[0, :, here].index_select(1, group.gather).view(shape)
        own_value = value[0, :, here].index_select(1, group.gather).view(shape)
        if layout.cache is not None:
            own_key, own_value = _cached(layout, group, layer, own_key, own_value)
        out = _attend(rows, pair, own_key, own_value, group.mask.to(query.dtype), scaling)
        pieces.append(out.reshape(-1, heads, width).index_select(0, group.scatter))
    return torch.cat(pieces)[None] if len(pieces) > 1 else pieces[0][None], None


class FusedNorm(torch.nn.Module):
    """RMS normalisation in one kernel; the same formula as the model's own, which makes six passes."""

    def __init__(self, weight: torch.nn.Parameter, epsilon: float) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        """[…, width] → […, width]."""
        return torch.nn.functional.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)


class _SwiGLU(torch.autograd.Function):
    """silu(gate) ∘ up, keeping only its two inputs: a tenth less memory a training step than plain autograd."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        sigmoid = gate.sigmoid()
        silu = gate * sigmoid
        up_grad = grads[0] * silu
        # d silu = sigmoid + silu·(1 − sigmoid)
        slope = silu.mul_(1 - sigmoid).add_(sigmoid)
        return slope.mul_(grads[0]).mul_(up), up_grad


class GatedMlp(torch.nn.Module):
    """down(silu(gate(x)) ∘ up(x)), the feed-forward block of the Llama family, over the model's own layers."""

    def __init__(self, block: torch.nn.Module) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = block.gate_proj, block.up_proj, block.down_proj

    def forward(self, hidden: Tensor) -> Tensor:
        """[…, width] → […, width]."""
        gate, up = self.gate_proj(hidden), self.up_proj(hidden)  # type: ignore[operator]
        out: Tensor = self.down_proj(_SwiGLU.apply(gate, up))  # type: ignore[operator, no-untyped-call]
        return out


def _is_gated(block: torch.nn.Module) -> bool:
    names = {name for name, _ in block.named_children()}
    activation = getattr(block, "act_fn", None)
    return {"gate_proj", "up_proj", "down_proj"} <= names and type(activation).__name__ in ("SiLU", "SiLUActivation")


def use_shared_prefix(model: PreTrainedModel) -> None:
    """Make ``model`` compute over a `Layout` (passed as the forward keyword ``layout``)."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, shared_prefix_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, lambda *_, **__: None)
    model.config._attn_implementation = NAME
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            epsilon = getattr(child, "variance_epsilon", None)
            if type(child).__name__.endswith("RMSNorm") and epsilon is not None:
                setattr(parent, name, FusedNorm(child.weight, epsilon))
            elif _is_gated(child):
                setattr(parent, name, GatedMlp(child))
