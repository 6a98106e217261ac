"""Where a training runs: CPU or CUDA, in which precision, with how many threads."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from scaler.errors import UserError

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Device:
    """A device and its precision.

    Attributes:
        name: ``cpu`` or ``cuda:N``.
        bf16: run convolutions and products in bfloat16. Never on a CPU: without AVX512-BF16 it is ten
            times slower, and with AMX it gains nothing for thin networks.
    """

    name: str = "cpu"
    bf16: bool = False

    @property
    def torch(self) -> torch.device:
        """The torch device."""
        return torch.device(self.name)

    @property
    def indices(self) -> list[int]:
        """Its index among the CUDA devices, for ``torch.random.fork_rng``; none for a CPU."""
        return [self.torch.index] if self.torch.type == "cuda" else []

    def place(self, network: M) -> M:
        """Move a network there, its weights in the layout that is faster for most networks."""
        network.to(self.torch)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision where the device has it, else nothing."""
        return torch.autocast("cuda", torch.bfloat16) if self.bf16 else nullcontext()


def resolve(name: str) -> Device:
    """The device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; auto is CUDA where there is one.

    Raises:
        UserError: the name is none of these, or this machine has no such GPU.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", name)
    if match is None:
        raise UserError(f"unknown device {name!r}: write auto, cpu, cuda or cuda:N")
    gpus = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and gpus == 0):
        return Device()
    index = int(match[1] or 0)
    if index >= gpus:
        raise UserError(f"this machine has {gpus} CUDA GPUs, so there is no {name}; use --device cpu or auto")
    return Device(f"cuda:{index}", torch.cuda.get_device_capability(index) >= (8, 0))


def keep_memory() -> None:
    """Let glibc keep freed memory, or every step faults its activations in again: 1.3 times slower.

    mallopt(3): blocks of up to 1 GiB come from the heap, and the heap is not trimmed. Other C libraries
    have no such setting.
    """
    mmap_threshold, trim_threshold = -3, -1
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
