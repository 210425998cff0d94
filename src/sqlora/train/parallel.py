"""Training in several processes: each has the whole model and takes its share of every step's examples.

    torchrun --standalone --nproc-per-node 2 …      one process a GPU, or a few on the cores of one machine

The loss is a sum over completion tokens, divided by how many the step has in all processes together. So the sum of all
gradients is that of one process with the same step, and so are the losses, to rounding; a checkpoint of so many
processes goes on with any other number. The adapter's gradients are all that is exchanged: some megabytes a step.
The leader (rank 0) alone measures time, writes files and tells how it goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sqlora.errors import TrainingError
from sqlora.train.packing import Branch, Pack, fill

Value = TypeVar("Value")
STARTED_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"  # set in every process that it starts, and nowhere else


@dataclass(frozen=True)
class Group:
    """The processes of one training; ``rank`` is this one's number of ``size``. Every process calls the same methods
    in the same order. TrainingError when another one has ended."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one measures, writes and tells."""
        return self.rank == 0

    def share(self, packs: Sequence[Pack], pack_tokens: int) -> list[Pack]:
        """This process's part of a step. Every prefix is in it, if need be without a branch: all hold the same ones."""
        return share(packs, self.rank, self.size, pack_tokens)

    def sum(self, values: Tensor) -> Tensor:
        """Element by element over the processes, in place."""
        if self.size > 1:
            with together():
                dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Sequence[nn.Parameter], *others: float) -> list[float]:
        """Every parameter's gradient becomes the sum over the processes; the sums of the ``others`` are returned."""
        if self.size == 1:
            return list(others)
        device, sizes = parameters[0].device, [parameter.numel() for parameter in parameters]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        extra = torch.tensor(others, dtype=torch.float32, device=device)
        flat = self.sum(torch.cat([*(part.flatten().float() for part in parts), extra]))
        *summed, extra = torch.split(flat, [*sizes, len(others)])
        for parameter, gradient in zip(parameters, summed, strict=True):
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
        return [float(value) for value in extra]

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.sum(torch.tensor(float(flag), device=_device())) > 0) if self.size > 1 else flag

    def of_leader(self, value: Value) -> Value:
        """The leader's value, in every process; that of the others is not looked at."""
        if self.size == 1:
            return value
        box = [value if self.leads else None]
        with together():
            dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def start_equal(self, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Every process goes on from the leader's parameters and optimizer, which only it may have read from disk."""
        if self.size == 1:
            return
        with together():
            for parameter in parameters:
                dist.broadcast(parameter.data, src=0)
        optimizer.load_state_dict(self.of_leader(optimizer.state_dict()))


ALONE = Group()


def share(packs: Sequence[Pack], rank: int, size: int, pack_tokens: int) -> list[Pack]:
    """Every ``size``-th branch, counted through all packs, which are ordered by length and so differ little.

    Packs of one prefix that have become small are put together again.
    """
    if size == 1:
        return list(packs)
    shares: dict[tuple[int, ...], list[Branch]] = {}
    place = 0
    for packed in packs:
        mine = shares.setdefault(packed.prefix, [])
        for branch in packed.branches:
            if place % size == rank:
                mine.append(branch)
            place += 1
    return [each for prefix, branches in shares.items() for each in fill(prefix, branches, pack_tokens)]


@contextmanager
def joined() -> Iterator[Group]:
    """The group of this process: of those that torchrun started with it, or of itself alone.

    TrainingError when there are more processes than GPUs, or when the others are not found.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if STARTED_BY_TORCHRUN not in os.environ or size == 1:
        yield ALONE
        return
    if dist.is_initialized():  # whoever began it ends it
        yield Group(dist.get_rank(), dist.get_world_size())
        return
    local, locals_ = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if torch.cuda.is_available():
        if locals_ > (count := torch.cuda.device_count()):
            raise TrainingError(f"{locals_} processes, but {count} GPUs", f"processes = {count} in [train]")
        torch.cuda.set_device(local)
    else:
        # torchrun says one thread each; without a word, each would take all cores.
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // locals_))
    with together():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def together() -> Iterator[None]:
    """What needs the other processes goes in here; torch's errors say where it noticed, this one what it means."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"another process of this training has ended, or cannot be reached ({str(error).splitlines()[0][:200]})",
            "what the others wrote before this says why",
        ) from error
