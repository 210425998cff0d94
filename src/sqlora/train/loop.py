"""The training loop, top to bottom: encode, pack, forward, backward, step, validate, checkpoint."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sqlora.errors import DatasetError, TrainingError
from sqlora.models.adapter import save_adapter
from sqlora.models.attention import BranchCache, Layout, use_shared_prefix
from sqlora.models.base import resolve_base_model
from sqlora.models.lora import TARGETS, initialise, inject
from sqlora.models.precision import Precision, choose_precision
from sqlora.train import checkpoint
from sqlora.train.checkpoint import Position
from sqlora.train.examples import Batches, read_examples
from sqlora.train.loss import completion_loss
from sqlora.train.memory import keep_freed_memory, peak_memory_mb, release_freed_memory
from sqlora.train.packing import Pack, PackedBatch, pack, tensors
from sqlora.train.parallel import ALONE, Group, joined
from sqlora.train.prefix import HeldPrefix
from sqlora.train.progress import Progress
from sqlora.train.recipe import Recipe
from sqlora.train.validation import spread, validation_sums

CALIBRATION_STEPS = 6  # the first one is slow (memory is taken from the kernel) and not counted
SPEED_STEPS = 100  # steps that the present speed is the mean of: of 20, their lengths alone made it jump by a fifth


@dataclass(frozen=True)
class TrainingSpec:
    """What to train: a base model's name, a dataset folder (train.jsonl, validation.jsonl), a recipe, a seed."""

    base_model: str
    dataset: Path
    recipe: Recipe
    seed: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Changes with anything that changes the losses."""
        digest = hashlib.sha256(json.dumps([self.base_model, self.seed, self.recipe.model_dump()]).encode())
        for name in ("train.jsonl", "validation.jsonl"):
            path = self.dataset / name
            digest.update(path.read_bytes() if path.exists() else b"")
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class TrainingResult:
    """``adapter``: folder in PEFT's format, of the best validation. Losses are nats per completion token."""

    adapter: Path
    steps: int
    train_loss: float
    validation_loss: float | None
    validation_exact: float | None
    tokens: int
    seconds: float
    stopped: bool


def train(
    spec: TrainingSpec,
    folder: Path,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train, or go on from ``folder``'s checkpoint; returns when finished, stopped, or out of patience.

    Raises `DatasetError`, `ModelError` or `TrainingError`; what was reached stays in the checkpoint. Started by
    torchrun, it is one process of several (`sqlora.train.parallel`), and only the leader's result has its files.
    """
    on_progress(Progress("loading", message=f"base model {spec.base_model}"))
    with joined() as group:
        return Run(spec, folder, on_progress, group).until_done(should_stop)


class Run:
    """One run: the model with its fresh or restored adapter, and where it stands."""

    def __init__(
        self,
        spec: TrainingSpec,
        folder: Path,
        on_progress: Callable[[Progress], None],
        group: Group = ALONE,
    ) -> None:
        keep_freed_memory()
        self.spec, self.recipe, self.folder, self.report, self.group = spec, spec.recipe, folder, on_progress, group
        if self.recipe.batch_size < group.size:
            raise TrainingError(
                f"{group.size} processes cannot share a step of {self.recipe.batch_size} examples",
                f"batch_size = {4 * group.size} in [train], or fewer processes",
            )
        self.precision: Precision = choose_precision()
        self.base = resolve_base_model(spec.base_model)
        tokenizer = self.base.load_tokenizer()
        self.examples = read_examples(spec.dataset / "train.jsonl", tokenizer)
        if not self.examples:
            raise DatasetError(f"{spec.dataset / 'train.jsonl'} has no records", "sqlora prepare")
        self.batches = Batches(self.examples, self.recipe.batch_size, spec.seed)
        held = spec.dataset / "validation.jsonl"
        validation = read_examples(held, tokenizer) if held.exists() else []
        self.validation = pack(spread(validation, self.recipe.validation_examples), self.recipe.pack_tokens)
        self.model = self.base.load_model(self.precision.dtype).to(self.precision.device)
        self.model.requires_grad_(False)
        use_shared_prefix(self.model)
        self.parameters = initialise(
            inject(self.model), self.recipe.rank, self.recipe.alpha, spec.seed, self.precision.device
        )
        self.optimizer = self._optimizer()
        self.position = Position(fingerprint=spec.fingerprint())
        self.best: dict[str, Tensor] = {}
        self.held: HeldPrefix | None = None
        resumed = self._restore()
        self.started = time.monotonic() - self.position.seconds
        self._announce(resumed)

    def _restore(self) -> bool:
        """Go on from the checkpoint, which only the leader reads: the others may be on another machine."""
        path, parameters = self.folder / "checkpoint", self.parameters
        found = (
            checkpoint.load(path, self.position.fingerprint, parameters, self.optimizer) if self.group.leads else None
        )
        found = self.group.of_leader(found)
        self.group.start_equal(list(parameters.values()), self.optimizer)
        if found is None:
            return False
        self.position, self.best, self.held = found
        if self.held is not None:
            here = {name: tensor.to(self.precision.device) for name, tensor in self.held.tensors().items()}
            self.held = HeldPrefix.of(self.held.tokens, self.held.step, here)
        return True

    def _optimizer(self) -> torch.optim.AdamW:
        """AdamW; B's matrices learn ``b_ratio`` times as fast as A's."""
        groups = [
            {"params": [p for n, p in self.parameters.items() if f"lora_{side}" in n], "ratio": ratio}
            for side, ratio in (("A", 1.0), ("B", self.recipe.b_ratio))
        ]
        return torch.optim.AdamW(
            groups, lr=self.recipe.learning_rate, betas=(0.9, 0.99), weight_decay=self.recipe.weight_decay
        )

    def _announce(self, resumed: bool) -> None:
        trainable = sum(p.numel() for p in self.parameters.values())
        total = sum(p.numel() for p in {*self.model.parameters(), *self.parameters.values()})
        number_format = str(self.precision.dtype).removeprefix("torch.")
        words = (
            f"{self.precision.device}, {number_format} ({self.precision.reason}); "
            f"{trainable:,} of {total:,} parameters train ({trainable / total:.1%}); {len(self.examples):,} examples"
        )
        words += f"; {self.group.size} processes" if self.group.size > 1 else ""
        self.report(self._progress("training", message=f"{words}; resumed" if resumed else words))

    # the schedule -------------------------------------------------------------------------------------------

    @property
    def full_steps(self) -> int:
        """Steps the recipe's epochs need."""
        return max(1, math.ceil(self.recipe.epochs * len(self.examples) / self.recipe.batch_size))

    @property
    def steps(self) -> int:
        """Steps this run will make, as far as known."""
        return self.position.planned or self.full_steps

    def _calibrate(self, seconds: list[float]) -> None:
        """Plan how many steps fit into the recipe's minutes, from the measured speed: after the first steps, and
        again when the plan is off by a tenth (other work came to the machine, or went). A new plan is saved at
        once, so that a resumed run follows it too."""
        if self.recipe.minutes is None:
            self.position.planned = self.full_steps
            return
        counted = seconds[1:][-SPEED_STEPS:]
        if len(counted) < CALIBRATION_STEPS - 1:
            return
        validation = self.validation_seconds / self.recipe.validate_every
        left = self.recipe.minutes * 60 - self._elapsed()
        fits = self.position.step + int(left / (sum(counted) / len(counted) + validation))
        planned = max(self.position.step, min(self.full_steps, fits))
        if self.position.planned is None:
            self.position.planned = max(planned, self.position.step + 1)
        elif abs(planned - self.position.planned) > 0.1 * self.position.planned:
            self.position.planned = planned
            self._save()

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then linear decay to a twentieth."""
        warmup = min(self.recipe.warmup_steps, self.steps // 4)
        if step < warmup:
            return self.recipe.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(1, self.steps - warmup)
        return self.recipe.learning_rate * max(0.05, 1 - share)

    # the work -----------------------------------------------------------------------------------------------

    validation_seconds = 0.0

    def until_done(self, should_stop: Callable[[], bool]) -> TrainingResult:
        """Steps until the plan is done, patience ends, or ``should_stop``."""
        seconds: list[float] = []
        if self.position.step == 0:
            self._validate()
        stopped = False
        while self.position.step < self.steps and self.position.stale < self.recipe.patience:
            if self.group.any(should_stop()):
                stopped = True
                break
            before = time.monotonic()
            loss, tokens = self._step()
            seconds.append(time.monotonic() - before)
            self.position.losses.append(loss)
            self.position.step += 1
            self.position.tokens += tokens
            if self.group.leads:
                self._calibrate(seconds)
            self.position.planned = self.group.of_leader(self.position.planned)
            self.report(self._progress("training", loss, rate=tokens / seconds[-1], seconds=seconds))
            if self.position.step % self.recipe.validate_every == 0 or self.position.step == self.steps:
                self._validate()
                self._save()
        if stopped:
            self._save()
        return self._finish(stopped)

    def _step(self) -> tuple[float, int]:
        """One optimizer step; (mean loss per completion token, packed tokens computed), of all processes together."""
        rate = self._learning_rate(self.position.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["ratio"]
        packs = pack(self.batches.of(self.position.step), self.recipe.pack_tokens)
        labels = sum(len(completion) for packed in packs for _, completion in packed.branches)
        packs = self.group.share(packs, self.recipe.pack_tokens)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for packed in packs:
            if not packed.branches:
                self._held_prefix(packed.prefix)  # the other processes hold it from now on, so this one does
                continue
            loss = self._loss_sum(packed) / labels
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
            release_freed_memory()
        tokens = sum(packed.tokens - self._not_computed(packed.prefix) for packed in packs)
        total, tokens_of_all = self.group.sum_gradients(list(self.parameters.values()), total, tokens)
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is {total} at step {self.position.step + 1}",
                f"lower learning_rate (now {self.recipe.learning_rate:g}) in [train] of sqlora.toml",
            )
        nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.gradient_clip)
        self.optimizer.step()
        return total, int(tokens_of_all)

    def _not_computed(self, prefix: tuple[int, ...]) -> int:
        """Tokens of a pack whose prefix was taken from an earlier step."""
        held = self.held is not None and self.held.tokens == prefix and self.held.step != self.position.step
        return len(prefix) if held else 0

    def _loss_sum(self, packed: Pack) -> Tensor:
        """Summed loss of a pack; logits [M, vocabulary] only at the M places that have a label."""
        batch = tensors(packed, self.precision.device, self._held_prefix(packed.prefix))
        return completion_loss(self._labelled(batch), self.model.lm_head.weight, batch.labels)

    @torch.no_grad()
    def _held_prefix(self, prefix: tuple[int, ...]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Keys and values of the prefix for this step; none where it is to be computed with the branches."""
        every, step = self.recipe.prefix_every, self.position.step
        if every == 1 or not prefix:
            return ()
        if self.held is None or not self.held.serves(prefix, step, every):
            cache, size = BranchCache(), len(prefix)
            self.model.model(
                input_ids=torch.tensor([prefix], device=self.precision.device),
                position_ids=torch.arange(size, device=self.precision.device)[None],
                layout=Layout.of(size, [], self.precision.device, cache, keep_prefix=True),
                use_cache=False,
            )
            self.held = HeldPrefix(prefix, step, tuple(cache.prefix))
        return self.held.pairs

    def _labelled(self, batch: PackedBatch) -> Tensor:
        """Hidden states [M, width] of the places that have a label."""
        hidden: Tensor = self.model.model(
            input_ids=batch.tokens, position_ids=batch.positions, layout=batch.layout, use_cache=False
        ).last_hidden_state[0]
        return hidden.index_select(0, batch.labelled)

    def _validate(self) -> None:
        """Loss and exact matches on the validation examples; remembers the best adapter.

        The better one has more examples whose every token is the most likely one, which greedy decoding would give
        to the letter; the loss decides between equals. One sure mistake can raise the loss while exact matches come.
        """
        if not self.validation:
            self.best = self._snapshot()
            return
        started = time.monotonic()
        packs = self.validation[self.group.rank :: self.group.size]
        sums = validation_sums(packs, self._labelled, self.model.lm_head.weight, self.precision.device)
        total, labels, hits, examples = self.group.sum(sums).tolist()
        loss, exact, position = total / labels, hits / examples, self.position
        position.validation.append((position.step, loss, exact))
        if position.step == 0:
            pass  # where the run starts from is shown, but the untrained adapter is never the result
        elif position.is_best(loss, exact):
            position.best_exact, position.best_loss, position.best_step, position.stale = exact, loss, position.step, 0
            self.best = self._snapshot()
        else:
            position.stale += 1
        self.validation_seconds = time.monotonic() - started
        release_freed_memory()
        self.report(self._progress("validating", position.losses[-1] if position.losses else None, (loss, exact)))

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _save(self) -> None:
        if not self.group.leads:
            return
        self.position.seconds = self._elapsed()
        folder = self.folder / "checkpoint"
        checkpoint.save(folder, self.position, self.parameters, self.best, self.optimizer, self.held)

    def _finish(self, stopped: bool) -> TrainingResult:
        self.report(self._progress("saving"))
        position, recipe = self.position, self.recipe
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.base.name,
            "r": recipe.rank,
            "lora_alpha": recipe.alpha,
            "lora_dropout": 0.0,
            "target_modules": list(TARGETS),
            "bias": "none",
            "inference_mode": True,
        }
        manifest = {
            "base_model": self.base.name,
            "base_sha256": self.base.sha256,
            "recipe": recipe.model_dump(),
            "steps": position.step,
            "best_step": position.best_step,
            "validation_loss": position.best_loss,
            "validation_exact": position.best_exact,
            **self.spec.manifest,
        }
        best = self.best or self._snapshot()
        adapter = self.folder / "adapter"
        if self.group.leads:
            save_adapter(adapter, {name: tensor.cpu().float() for name, tensor in best.items()}, config, manifest)
        recent = position.losses[-20:] or [float("nan")]
        return TrainingResult(
            adapter,
            position.step,
            sum(recent) / len(recent),
            position.best_loss,
            position.best_exact,
            position.tokens,
            self._elapsed(),
            stopped,
        )

    def _progress(
        self,
        phase: str,
        loss: float | None = None,
        validation: tuple[float, float] | None = None,
        rate: float = 0.0,
        seconds: Sequence[float] = (),
        message: str = "",
    ) -> Progress:
        recent = seconds[-SPEED_STEPS:]
        left = (self.steps - self.position.step) * sum(recent) / len(recent) if recent else None
        if left is not None and self.recipe.minutes is not None and self.position.planned is None:
            left = min(left, max(0.0, self.recipe.minutes * 60 - self._elapsed()))
        return Progress(
            phase=phase,
            step=self.position.step,
            steps=self.steps,
            epoch=self.position.step * self.recipe.batch_size / len(self.examples),
            loss=loss,
            validation_loss=validation[0] if validation else None,
            validation_exact=validation[1] if validation else None,
            tokens_per_second=rate,
            memory_mb=peak_memory_mb(),
            seconds_left=left,
            message=message,
        )
