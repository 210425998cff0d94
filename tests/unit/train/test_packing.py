"""Shared-prefix packing computes the same loss and gradients as separate rows do in stock transformers and PEFT."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from sqlora.models.attention import BranchCache, Layout, use_shared_prefix
from sqlora.models.lora import TARGETS, initialise, inject
from sqlora.prompting import Encoded, shared_prefix
from sqlora.train.loss import completion_loss
from sqlora.train.packing import pack, tensors

VOCABULARY = 97


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).requires_grad_(False)


def rows(seed: int, prefix: int, count: int) -> list[Encoded]:
    draw = random.Random(seed)
    common = tuple(draw.randrange(VOCABULARY) for _ in range(prefix))
    return [
        Encoded(
            common + tuple(draw.randrange(VOCABULARY) for _ in range(draw.randint(1, 9))),
            tuple(draw.randrange(VOCABULARY) for _ in range(draw.randint(1, 12))),
        )
        for _ in range(count)
    ]


def separate_loss(model: torch.nn.Module, examples: list[Encoded]) -> torch.Tensor:
    """The textbook way: every example a row of its own, mean over completion tokens."""
    total, labels = torch.tensor(0.0), 0
    for example in examples:
        ids = torch.tensor([example.prompt + example.completion])
        logits = model(input_ids=ids).logits[0]
        start = len(example.prompt)
        total = total + torch.nn.functional.cross_entropy(logits[start - 1 : -1], ids[0, start:], reduction="sum")
        labels += len(example.completion)
    return total / labels


def packed_loss(model: LlamaForCausalLM, examples: list[Encoded], budget: int) -> torch.Tensor:
    total, labels = torch.tensor(0.0), 0
    for packed in pack(examples, budget):
        batch = tensors(packed)
        hidden = model.model(
            input_ids=batch.tokens, position_ids=batch.positions, layout=batch.layout, use_cache=False
        ).last_hidden_state[0]
        total = total + completion_loss(hidden[batch.labelled], model.lm_head.weight, batch.labels)
        labels += len(batch.labels)
    return total / labels


def both_models() -> tuple[LlamaForCausalLM, dict[str, torch.nn.Parameter], torch.nn.Module, dict[str, torch.Tensor]]:
    """Our model and stock PEFT's with the same adapter, each with its adapter's parameters by the same names."""
    ours = tiny()
    use_shared_prefix(ours)
    parameters = initialise(inject(ours), rank=4, alpha=8, seed=3, device="cpu")
    with torch.no_grad():
        for index, parameter in enumerate(parameters.values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)) * 0.2)
    reference = get_peft_model(
        tiny(), LoraConfig(r=4, lora_alpha=8, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    )
    theirs = {n.replace(".default", ""): p for n, p in reference.named_parameters() if p.requires_grad}
    assert set(theirs) == set(parameters)
    with torch.no_grad():
        for name, parameter in theirs.items():
            parameter.copy_(parameters[name])
    return ours, parameters, reference, theirs


@pytest.mark.parametrize(
    ("prefix", "count", "budget"), [(40, 6, 4096), (40, 6, 75), (0, 5, 4096), (70, 1, 4096), (5, 7, 30)]
)
def test_loss_and_gradients_equal_those_of_separate_rows(prefix: int, count: int, budget: int) -> None:
    examples = rows(prefix + count, prefix, count)
    ours, parameters, reference, theirs = both_models()
    expected = separate_loss(reference, examples)
    got = packed_loss(ours, examples, budget)
    expected.backward()
    got.backward()

    assert got.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in parameters.items():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-5)


def test_a_held_prefix_gives_the_loss_and_gradients_of_stock_rows_over_a_key_value_cache() -> None:
    examples = rows(11, 40, 5)
    ours, parameters, reference, theirs = both_models()
    [packed] = pack(examples, 4096)
    size = len(packed.prefix)
    cache = BranchCache()
    with torch.no_grad():
        ours.model(
            input_ids=torch.tensor([packed.prefix]), position_ids=torch.arange(size)[None],
            layout=Layout.of(size, [], cache=cache, keep_prefix=True), use_cache=False,
        )  # fmt: skip
        past = reference(input_ids=torch.tensor([packed.prefix]), use_cache=True).past_key_values
    batch = tensors(packed, known=cache.prefix)
    hidden = ours.model(
        input_ids=batch.tokens, position_ids=batch.positions, layout=batch.layout, use_cache=False
    ).last_hidden_state[0]
    got = completion_loss(hidden[batch.labelled], ours.lm_head.weight, batch.labels)
    expected = torch.tensor(0.0)
    for prompt, completion in packed.branches:
        ids = torch.tensor([prompt + completion])
        logits = reference(input_ids=ids, past_key_values=copy.deepcopy(past)).logits[0, len(prompt) - 1 : -1]
        expected = expected + torch.nn.functional.cross_entropy(logits, torch.tensor(completion), reduction="sum")
    expected.backward()
    got.backward()
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in parameters.items():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-5)
    exact = packed_loss(both_models()[0], examples, 4096).item()
    assert got.item() / len(batch.labels) == pytest.approx(exact, rel=1e-5)


def test_a_wrong_mask_would_be_noticed() -> None:
    """The comparison above can fail: letting branches see each other's keys changes the loss."""
    examples = rows(3, 20, 4)
    model = tiny()
    use_shared_prefix(model)
    batch = tensors(pack(examples, 4096)[0])
    right = packed_loss(model, examples, 4096).item()
    for group in batch.layout.groups:
        group.mask.zero_()
    hidden = model.model(
        input_ids=batch.tokens, position_ids=batch.positions, layout=batch.layout, use_cache=False
    ).last_hidden_state[0]
    wrong = torch.nn.functional.cross_entropy(model.lm_head(hidden[batch.labelled]), batch.labels).item()
    assert abs(wrong - right) > 1e-4


def test_the_prefix_is_computed_once() -> None:
    """16 branches over 700 tokens: 16 rows of their own would be several times the tokens."""
    examples = rows(0, 700, 16)
    packs = pack(examples, 4096)
    assert len(packs) == 1
    alone = sum(len(example.prompt) + len(example.completion) for example in examples)
    assert alone / packs[0].tokens > 10


@given(seed=st.integers(0, 10_000), prefix=st.integers(0, 90), count=st.integers(1, 9), budget=st.integers(10, 300))
@settings(max_examples=60, deadline=None)
def test_every_example_is_in_exactly_one_pack(seed: int, prefix: int, count: int, budget: int) -> None:
    examples = rows(seed, prefix, count)
    packs = pack(examples, budget)
    unpacked = sorted((p.prefix + prompt, completion) for p in packs for prompt, completion in p.branches)
    assert unpacked == sorted((e.prompt, e.completion) for e in examples)
    for packed in packs:
        assert packed.tokens <= budget or len(packed.branches) == 1


def test_shared_prefix_leaves_a_token_to_every_prompt() -> None:
    assert shared_prefix([(1, 2, 3), (1, 2)]) == 1
    assert shared_prefix([(1, 2, 3), (1, 2, 4)]) == 2
    assert shared_prefix([(5,), (5,)]) == 0
    assert shared_prefix([]) == 0


def test_the_chunked_loss_is_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlora.train.loss.CHUNK", 3)
    torch.manual_seed(0)
    hidden, head, labels = torch.randn(8, 5), torch.randn(11, 5), torch.randint(0, 11, (8,))
    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    got = completion_loss(ours, head, labels)
    expected = torch.nn.functional.cross_entropy(theirs @ head.t(), labels, reduction="sum")
    (2 * got).backward()
    (2 * expected).backward()
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
