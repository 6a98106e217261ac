"""One training on several devices, a process for each: torch's own DistributedDataParallel.

Every process takes its part of each batch. Gradients and the norms' statistics are those of the whole batch,
so the training is the same, to rounding, on however many devices it runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from scaler.errors import UserError
from scaler.training.device import Device, resolve


@dataclass(frozen=True)
class Seat:
    """Where a process finds the others that it trains with.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        meeting: a file that none of them has written yet.
    """

    rank: int
    size: int
    meeting: Path


@dataclass(frozen=True)
class Group:
    """The processes that train one network together; by default this one alone.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes checkpoints and tells of epochs."""
        return self.rank == 0

    @property
    def part(self) -> slice:
        """This process's part of the rows of a batch, or of the images of an evaluation."""
        return slice(self.rank, None, self.size)

    def check(self, batch: int) -> None:
        """Make sure that a batch has equal parts.

        Raises:
            UserError: it has not, and a mean over processes would not be one over its images.
        """
        if batch % self.size:
            raise UserError(
                f"a batch of {batch} images has no {self.size} equal parts: choose --gpus-per-training so "
                "that it divides the space's batch_size (and that there are so many training images)."
            )

    def parallel(self, network: nn.Module, device: Device) -> nn.Module:
        """What trains a network in all processes at once; the network itself where there is one process.

        Its norms become those that share their statistics: a part of a batch is too small to have its own
        (SyncBatchNorm; its code runs on GPUs alone, so that CPUs have :class:`SharedNorm`).
        """
        if self.size == 1:
            return network
        if device.torch.type == "cpu":
            _share_norms(network)
        else:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=device.indices or None)

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values


#: A training on one device.
ALONE = Group()


@contextlib.contextmanager
def joined(seat: Seat, device: str) -> Iterator[tuple[Group, Device]]:
    """Meet the other processes, and leave them at the end; gives the group and this process's device.

    Args:
        seat: of this process.
        device: ``auto``, ``cpu`` or ``cuda``; of several GPUs every process takes its own.
    """
    found = resolve(device)
    if found.torch.type == "cuda":
        found = resolve(f"cuda:{seat.rank}")
        torch.cuda.set_device(seat.rank)
    backend = "gloo" if found.torch.type == "cpu" else "nccl"
    meeting = f"file://{seat.meeting}"
    distributed.init_process_group(backend, init_method=meeting, rank=seat.rank, world_size=seat.size)
    try:
        yield Group(seat.rank, seat.size), found
    finally:
        distributed.destroy_process_group()


class SharedNorm(_BatchNorm):
    """Batch normalisation by the mean and variance of all processes' images, on a CPU, in training alone.

    Its running statistics stand still: an evaluation measures its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` ``[N, C, ...]``."""
        axes = (0, *range(2, x.ndim))
        shape = (1, -1, *(1 for _ in axes[1:]))
        # Every process has as many images: the mean of their means is that of all.
        size = distributed.get_world_size()
        mean: Tensor = _Sum.apply(x.mean(axes)) / size  # type: ignore[no-untyped-call]
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().mean(axes)) / size  # type: ignore[no-untyped-call]
        scale = torch.rsqrt(variance + self.eps)
        if not self.affine:
            return centred * scale.view(shape)
        return centred * (self.weight * scale).view(shape) + self.bias.view(shape)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _share_norms(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, _BatchNorm):
                shared = SharedNorm(norm.num_features, norm.eps, norm.momentum, norm.affine)
                # The same tensors under the same names, so that whoever holds them trains these.
                shared._parameters, shared._buffers = norm._parameters, norm._buffers
                setattr(parent, name, shared)
