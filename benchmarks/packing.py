"""Speed of a training step with and without shared-prefix packing, against stock PEFT in the same run.

    python benchmarks/packing.py --prefix 700 --branches 16 --json packing.json

One optimizer step's forward and backward over the same examples, three ways in turn, round after round:

    packed     the prefix once, all branches after it (what `sqlora train` does)
    separate   sqlora's own model, every example a row of its own
    peft       transformers' model (SDPA) and PEFT's LoRA, padded batches of rows

Printed are seconds a step and, for every round, the ratio to ``packed`` (median, lowest, highest). The losses of the
three are printed too: they are the same sum in a different order.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sqlora.models.attention import use_shared_prefix
from sqlora.models.base import resolve_base_model
from sqlora.models.lora import TARGETS, initialise, inject
from sqlora.models.precision import choose_precision
from sqlora.prompting import Encoded
from sqlora.train.loss import completion_loss
from sqlora.train.memory import keep_freed_memory, peak_memory_mb
from sqlora.train.packing import Pack, pack, tensors


def examples(arguments: argparse.Namespace) -> list[Encoded]:
    """Random tokens: what they say does not change the work."""
    draw = random.Random(0)
    prefix = tuple(draw.randrange(1000, 40_000) for _ in range(arguments.prefix))

    def some(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(1000, 40_000) for _ in range(count))

    return [Encoded(prefix + some(arguments.prompt), some(arguments.completion)) for _ in range(arguments.branches)]


def sqlora_step(arguments: argparse.Namespace) -> tuple[Callable[[list[Pack]], float], list[Pack], list[Pack]]:
    """The step, and the packs of both ways: all in one, and one example each."""
    base, precision = resolve_base_model(arguments.base), choose_precision()
    model = base.load_model(precision.dtype).to(precision.device).requires_grad_(False)
    use_shared_prefix(model)
    parameters = initialise(inject(model), arguments.rank, 2.0 * arguments.rank, 0, precision.device)
    rows = examples(arguments)
    labels = len(rows) * arguments.completion

    def step(packs: list[Pack]) -> float:
        total = 0.0
        for packed in packs:
            batch = tensors(packed, precision.device)
            hidden = model.model(
                input_ids=batch.tokens, position_ids=batch.positions, layout=batch.layout, use_cache=False
            ).last_hidden_state[0]
            loss = completion_loss(hidden.index_select(0, batch.labelled), model.lm_head.weight, batch.labels) / labels
            loss.backward()
            total += loss.item()
        for parameter in parameters.values():
            parameter.grad = None
        return total

    separate = [Pack((), ((row.prompt, row.completion),)) for row in rows]
    return step, pack(rows, 10**6), separate


def peft_step(arguments: argparse.Namespace) -> Callable[[], float]:
    """The same sum by transformers and PEFT, ``--peer-batch`` rows at a time."""
    from peft import LoraConfig, get_peft_model

    base, precision = resolve_base_model(arguments.base), choose_precision()
    model = base.load_model(precision.dtype).to(precision.device)
    model = get_peft_model(
        model, LoraConfig(r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=list(TARGETS))
    )
    rows = examples(arguments)
    count = len(rows) * arguments.completion

    def step() -> float:
        total = 0.0
        for start in range(0, len(rows), arguments.peer_batch):
            chunk = rows[start : start + arguments.peer_batch]
            ids = torch.tensor([row.prompt + row.completion for row in chunk], device=precision.device)
            logits = model(input_ids=ids, logits_to_keep=arguments.completion + 1).logits[:, :-1]
            wanted = ids[:, -arguments.completion :]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="sum")
            (loss / count).backward()
            total += loss.item() / count
        model.zero_grad(set_to_none=True)
        return total

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2-135m")
    for name, value in (("prefix", 700), ("branches", 16), ("prompt", 20), ("completion", 50), ("rank", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-batch", type=int, default=4)
    parser.add_argument("--packed-only", action="store_true", help="only the speed of packed steps")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    step, packed, separate = sqlora_step(arguments)
    ways: dict[str, Callable[[], float]] = {"packed": lambda: step(packed)}
    if not arguments.packed_only:
        ways["separate"] = lambda: step(separate)
        ways["peft"] = peft_step(arguments)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, float] = {}
    for turn in range(arguments.rounds + 1):  # the first round warms up and is not counted
        for name, way in ways.items():
            started = time.perf_counter()
            losses[name] = way()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    tokens = sum(p.tokens for p in packed)
    found = {
        "precision": choose_precision().reason,
        "packed_tokens": tokens,
        "separate_tokens": sum(p.tokens for p in separate),
        "packed_tokens_per_second": [round(tokens / s, 1) for s in seconds["packed"]],
        "losses": {name: round(loss, 4) for name, loss in losses.items()},
        "seconds": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
        "peak_memory_mb": round(peak_memory_mb()),
        "speed_up": {
            name: spread([a / b for a, b in zip(times, seconds["packed"], strict=True)])
            for name, times in seconds.items()
            if name != "packed"
        },
    }
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def spread(ratios: list[float]) -> dict[str, float]:
    return {
        "n": len(ratios),
        "median": round(statistics.median(ratios), 2),
        "low": round(min(ratios), 2),
        "high": round(max(ratios), 2),
    }


if __name__ == "__main__":
    main()
