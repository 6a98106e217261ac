"""How fast this machine trains, from a few steps on made-up images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch

from scaler.cores import cores
from scaler.cost.network_cost import cost
from scaler.networks.spec import NetworkSpec
from scaler.training.device import Device, keep_memory
from scaler.training.optimiser import optimiser
from scaler.training.recipe import Recipe, training_flops
from scaler.training.recorded import warmed_up
from scaler.training.trainer import fresh, step

#: Steps that are timed; the quickest counts, because whatever disturbs a step only makes it slower.
STEPS = 3


def flops_per_second(specs: Sequence[NetworkSpec], recipe: Recipe, device: Device) -> float:
    """Training FLOPs a second of one process on one thread (or one GPU), from a few steps of each network.

    A network is timed once per process: a plan and the search that follows it wait once.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = sum(_seconds(spec, recipe, device) for spec in specs)
    finally:
        torch.set_num_threads(threads)
    return sum(training_flops(cost(spec).flops, recipe.batch_size) for spec in specs) / seconds


def steps(spec: NetworkSpec, recipe: Recipe, device: Device) -> Callable[[], None]:
    """What does a whole training step, as the trainer does it, each time it is called."""
    keep_memory()
    network = device.place(fresh(spec, 0)).train()
    descent = optimiser(network, recipe)
    shape = (recipe.batch_size, 3, spec.resolution, spec.resolution)
    images = torch.rand(shape, device=device.torch).to(memory_format=torch.channels_last)
    labels = torch.zeros(recipe.batch_size, dtype=torch.long, device=device.torch)

    def again() -> None:
        step(network, descent, images, labels, recipe, device)

    if device.torch.type == "cpu":
        return again
    replayed = warmed_up(again, device.torch)

    def on_device() -> None:
        replayed()
        torch.cuda.synchronize(device.torch)

    return on_device


@lru_cache(maxsize=256)
def _seconds(spec: NetworkSpec, recipe: Recipe, device: Device) -> float:
    """Of a step."""
    return _quickest(steps(spec, recipe, device), device)


def _quickest(step: Callable[[], None], device: Device) -> float:
    """Seconds of the quickest of some steps; the first, which warms up, is left out."""
    # What other programs take of a core comes and goes: the processor's time is what is left of it.
    clock = time.thread_time if device.torch.type == "cpu" else time.perf_counter
    step()
    found = []
    for _ in range(STEPS):
        started = clock()
        step()
        found.append(clock() - started)
    return min(found)


def devices(device: Device) -> int:
    """Cores that this process may use, or GPUs."""
    return cores() if device.torch.type == "cpu" else torch.cuda.device_count()


def places(device: Device, share: float) -> int:
    """How many trainings this machine has room for, each on one thread or on its share of the GPUs.

    Args:
        device: that they run on.
        share: devices of each; a part of a GPU is shared with others. 0 places are too few for one.
    """
    there = devices(device)
    if share < 1:
        return there if device.torch.type == "cpu" else there * int(1 / share + 1e-9)
    return there // int(share)
