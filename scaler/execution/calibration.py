"""How fast this machine trains, from a few steps on made-up images."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from scaler.cost.network_cost import cost
from scaler.networks.spec import NetworkSpec
from scaler.training.device import Device, cores, keep_memory
from scaler.training.optimiser import optimiser
from scaler.training.recipe import Recipe, training_flops
from scaler.training.trainer import fresh, step

#: Steps that are timed; the quickest counts, because whatever disturbs a step only makes it slower.
STEPS = 3


def flops_per_second(specs: Sequence[NetworkSpec], recipe: Recipe, device: Device) -> float:
    """Training FLOPs a second of one process on one thread (or one GPU), from a few steps of each network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = sum(min(_steps(spec, recipe, device)) for spec in specs)
    finally:
        torch.set_num_threads(threads)
    return sum(training_flops(cost(spec).flops, recipe.batch_size) for spec in specs) / seconds


def _steps(spec: NetworkSpec, recipe: Recipe, device: Device) -> list[float]:
    """Seconds of whole training steps, as the trainer does them; the first, which warms up, is left out."""
    keep_memory()
    network = device.place(fresh(spec, 0)).train()
    descent = optimiser(network, recipe)
    shape = (recipe.batch_size, 3, spec.resolution, spec.resolution)
    images = torch.rand(shape, device=device.torch).to(memory_format=torch.channels_last)
    labels = torch.zeros(recipe.batch_size, dtype=torch.long, device=device.torch)
    # What other programs take of a core comes and goes: the processor's time is what is left of it.
    clock = time.process_time if device.torch.type == "cpu" else time.perf_counter
    seconds = []
    for _ in range(STEPS + 1):
        started = clock()
        float(step(network, descent, images, labels, recipe, device))
        seconds.append(clock() - started)
    return seconds[1:]


def default_workers(device: Device) -> int:
    """One process per core on a CPU, one per GPU."""
    return cores() if device.torch.type == "cpu" else max(1, torch.cuda.device_count())
