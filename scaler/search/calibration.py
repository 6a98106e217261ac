"""How fast this machine trains, from a few steps on made-up images."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from scaler.cost.closed_form import cost
from scaler.networks.spec import NetworkSpec
from scaler.training.device import Device, cores
from scaler.training.recipe import Recipe, training_flops
from scaler.training.trainer import fresh

#: Steps that are timed; the quickest counts, because whatever disturbs a step only makes it slower.
STEPS = 3


@dataclass(frozen=True)
class Speed:
    """Training FLOPs and images a second of one process on one thread (or on one GPU)."""

    flops_per_second: float
    images_per_second: float


def calibrate(spec: NetworkSpec, recipe: Recipe, device: Device) -> Speed:
    """Time a few training steps of a network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = min(_steps(spec, recipe.batch_size, device))
    finally:
        torch.set_num_threads(threads)
    images = recipe.batch_size / seconds
    return Speed(training_flops(cost(spec).flops, 1) * images, images)


def _steps(spec: NetworkSpec, batch: int, device: Device) -> list[float]:
    network: nn.Module = fresh(spec, 0).train().to(device.torch)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(batch, 3, spec.resolution, spec.resolution, device=device.torch)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.long, device=device.torch)
    seconds = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        with device.autocast():
            loss = functional.cross_entropy(network(images).float(), labels)
        torch.autograd.backward(loss)
        float(loss.detach())
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def default_workers(device: Device) -> int:
    """One process per core on a CPU, one per GPU."""
    return cores() if device.torch.type == "cpu" else max(1, torch.cuda.device_count())
