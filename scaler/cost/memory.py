"""Peak memory of one training step and of inference.

On CUDA both are measured (``torch.cuda.max_memory_allocated``). For a CPU they are counted: the same step
runs on torch's meta device, which computes nothing and holds nothing, and the bytes of all tensors alive
at one time are added up. That leaves out what kernels take inside themselves (a few per cent; more for
convolutions that copy their input), and the interpreter and libraries.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scaler.errors import MachineError, UserError
from scaler.networks.build import Network
from scaler.networks.spec import NetworkSpec


@dataclass(frozen=True)
class Memory:
    """Peak bytes, weights included.

    Attributes:
        training: of a step of SGD with momentum: weights, gradients, momentum, saved activations.
        inference: of a forward pass without gradients.
        batch: images at once.
        measured: on the device, or else counted.
    """

    training: int
    inference: int
    batch: int
    measured: bool


def memory(spec: NetworkSpec, batch: int, device: torch.device | str = "cpu") -> Memory:
    """Peak memory of a network in single precision for ``batch`` images at its resolution.

    Raises:
        UserError: the resolution is too small for the network's strides, or the batch for its norms.
        MachineError: it does not fit into the GPU's memory.
    """
    device = torch.device(device)
    measured = device.type == "cuda"
    peak = _measured if measured else _counted
    where = device if measured else torch.device("meta")
    devices = [device] if measured else []
    try:
        with torch.random.fork_rng(devices=devices):
            training = peak(lambda: _Steps(spec, batch, where).train, where)
            inference = peak(lambda: _Steps(spec, batch, where).infer, where)
    except UserError:
        raise
    except ValueError as error:  # a norm over one value
        raise UserError(
            f"{spec.name} cannot train on {batch} images of {spec.resolution} px: {error}"
        ) from error
    except torch.cuda.OutOfMemoryError as error:
        raise MachineError(
            f"{spec.name} with {batch} images of {spec.resolution} px does not fit into the memory of "
            f"{device}; try a smaller batch"
        ) from error
    return Memory(training, inference, batch, measured)


class _Steps:
    """A network with a batch of images, ready to train and to infer."""

    def __init__(self, spec: NetworkSpec, batch: int, device: torch.device) -> None:
        with device:
            self.network = Network(spec)
            self.images = torch.rand(batch, 3, spec.resolution, spec.resolution)
            self.labels = torch.zeros(batch, dtype=torch.long)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)

    def train(self) -> None:
        """A step as any after the first: the optimiser's state is there, made by gradients of zero."""
        self.network.train()
        for parameter in self.network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimiser.step()
        self.optimiser.zero_grad()
        nn.functional.cross_entropy(self.network(self.images), self.labels).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def infer(self) -> None:
        """One batch without gradients."""
        self.network.eval()
        with torch.no_grad():
            self.network(self.images)


def _measured(prepare: Callable[[], Callable[[], None]], device: torch.device) -> int:
    """Peak bytes on a CUDA device, above what was allocated before."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    prepare()()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


def _counted(prepare: Callable[[], Callable[[], None]], device: torch.device) -> int:
    """Peak bytes of all tensors alive at one time."""
    with _LiveBytes() as live:
        prepare()()
    peak: int = live.peak
    return peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operators make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._watch(tensor.untyped_storage())
        return out

    def _watch(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._seen:
            return
        self._seen[storage._cdata] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, storage._cdata)

    def _free(self, key: int) -> None:
        self.now -= self._seen.pop(key)
