"""Several processes that train one network, as torchrun or `accelerate launch` start them: each is a rank.

Each step's pairs are dealt out to the ranks, losses and gradients are averaged over them, and batch normalisation
takes its statistics from the whole batch, so that the network is that of one process to rounding. The first rank judges
and writes. Objectives use parts of their networks, which torch's own wrapper of networks would not see: gradients are
averaged here, through accelerate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.distributed import DistError, ReduceOp, all_reduce

from subnet.errors import DataError, SettingsError, StateError

T = TypeVar("T")
_LOST = ("gloo", "nccl", "connection", "timed out")  # words in errors of a rank whose neighbour is gone


@dataclass(frozen=True)
class Rank:
    """One of `of` processes, counted from 0."""

    number: int = 0
    of: int = 1

    @property
    def leads(self) -> bool:
        """Whether it judges, writes and tells."""
        return self.number == 0


def world() -> int:
    """How many processes were started together; 1 for a process of its own. Raises SettingsError."""
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"WORLD_SIZE: {text!r} is no number of processes; start them with torchrun")
    return int(text)


def here(device: str) -> Rank:
    """This process among those that torchrun started; it meets the others when this is called first."""
    if world() == 1:
        return Rank()
    with neighbours_needed(Rank(0, world())):
        state = PartialState(cpu=device == "cpu")
    return Rank(state.process_index, state.num_processes)


def check_share(pairs: int, items: int, rank: Rank) -> None:
    """Raises SettingsError for pairs of a step that cannot be dealt out evenly, DataError for too few items."""
    if items < rank.of:
        raise DataError(
            f"data: {items} items are fewer than the {rank.of} processes that would share them; start {items} or fewer"
        )
    if pairs % rank.of:
        fits = [number for number in range(1, pairs + 1) if pairs % number == 0]
        raise SettingsError(
            f"--pairs: {pairs} pairs of a step cannot be dealt out evenly to {rank.of} processes; start "
            f"{', '.join(map(str, fits))} of them, or give --pairs {-(-pairs // rank.of) * rank.of}"
        )


@contextmanager
def neighbours_needed(rank: Rank) -> Iterator[None]:
    """Inside, the end of another rank is a StateError that says so."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, DistError) or any(word in str(error).lower() for word in _LOST)
        if rank.of == 1 or not lost:
            raise
        raise StateError(
            f"process {rank.number} of {rank.of}: another process of this training run has ended or cannot be reached "
            f"({str(error).splitlines()[0]}); look at its own message, and go on with --resume: what was saved is kept"
        ) from error


def told(work: Callable[[], T], rank: Rank) -> T:
    """What the first rank finds, for all of them."""
    if rank.of == 1:
        return work()
    box = [work() if rank.leads else None]
    with neighbours_needed(rank):
        broadcast_object_list(box)
    value: T = box[0]  # type: ignore[assignment]
    return value


def average(accelerator: Accelerator, tensors: list[Tensor], rank: Rank) -> None:
    """Replace the values of `tensors` by their means over all ranks."""
    if rank.of == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    parts = accelerator.reduce(flat, "mean").split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.reshape(tensor.shape))


class _Summed(torch.autograd.Function):
    """The sum of a tensor over all ranks; so is its gradient."""

    @staticmethod
    def forward(ctx: object, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        all_reduce(total, ReduceOp.SUM)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        all_reduce(total, ReduceOp.SUM)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the batches of all ranks, which are equally large. On any device."""

    def forward(self, input: Tensor) -> Tensor:
        """`input` (N, C, H, W), normalised; running statistics follow as those of one process would."""
        if not self.training:
            return super().forward(input)
        dims, ranks = (0, 2, 3), torch.distributed.get_world_size()
        count = ranks * input.numel() // input.shape[1]
        x = input if input.dtype == torch.float64 else input.float()
        mean = _Summed.apply(x.sum(dims)) / count
        centred = x - mean[None, :, None, None]
        variance = _Summed.apply(centred.square().sum(dims)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            rate = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean.detach(), rate)
            self.running_var.lerp_(variance.detach() * count / max(1, count - 1), rate)
        y = centred * torch.rsqrt(variance + self.eps)[None, :, None, None]
        if self.affine:
            y = y * self.weight[None, :, None, None] + self.bias[None, :, None, None]
        normalised: Tensor = y.to(input.dtype)
        return normalised


def share_statistics(network: nn.Module, rank: Rank) -> None:
    """Let batch normalisation in `network` see the whole batch."""
    if rank.of == 1:
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm(
                    child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
                )
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared.train(child.training))
