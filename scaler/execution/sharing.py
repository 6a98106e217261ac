"""How many small trainings share a GPU: as many as memory holds and as make it faster, by a short trial."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.spawn import spawn

from scaler.execution.calibration import steps
from scaler.execution.executors.forking import no_main
from scaler.networks.spec import NetworkSpec
from scaler.training.device import Device
from scaler.training.recipe import Recipe

#: Twice as many trainings must do at least so much more together, and leave the rest of the memory free.
GAIN, MEMORY = 1.15, 0.8
#: Seconds that a trial measures, and those of trainings that are worth one: it starts processes four times.
SECONDS, LEAST_SECONDS = 1.5, 300.0


@dataclass(frozen=True)
class Load:
    """What some trainings do on a GPU at once.

    Attributes:
        speed: training steps a second, all together; 0 where memory was too short for them.
        memory: the part of the GPU's memory that is taken meanwhile.
    """

    speed: float
    memory: float


@dataclass(frozen=True)
class Sharing:
    """How a GPU is shared.

    Attributes:
        places: trainings at the same time.
        pace: speed of each, as a part of what one alone has.
    """

    places: int = 1
    pace: float = 1.0


def sharing(probe: Callable[[int], Load], most: int) -> Sharing:
    """Double the trainings on a GPU for as long as that pays.

    Args:
        probe: tries so many trainings at once.
        most: how many there may be; each keeps a core busy.
    """
    alone = last = probe(1)
    places = 1
    while 2 * places <= most and 2 * last.memory <= MEMORY:
        more = probe(2 * places)
        if more.speed < GAIN * last.speed or more.memory > MEMORY:
            break
        places, last = 2 * places, more
    return Sharing(places, last.speed / (places * alone.speed) if alone.speed else 1.0)


@dataclass(frozen=True)
class Trial:
    """A probe with processes that train a network on made-up images.

    Attributes:
        spec: the network; the largest of a run, for memory.
        recipe: how it is trained.
        device: that they share.
    """

    spec: NetworkSpec
    recipe: Recipe
    device: Device

    def __call__(self, count: int) -> Load:
        """What so many trainings do at once."""
        context: Any = multiprocessing.get_context("spawn")
        start, told = context.Barrier(count), context.SimpleQueue()
        with no_main():
            spawn(_train, (self, start, told), count)  # type: ignore[no-untyped-call]
        loads = [told.get() for _ in range(count)]
        fitted = all(load.speed for load in loads)
        return Load(sum(load.speed for load in loads) if fitted else 0.0, max(load.memory for load in loads))


def _train(_: int, trial: Trial, start: Any, told: Any) -> None:
    """What a process of a trial does: warm up, wait for the others, count its steps."""
    torch.set_num_threads(1)
    try:
        step = steps(trial.spec, trial.recipe, trial.device)
        step()
        start.wait()
        done, began = 0, time.monotonic()
        while (passed := time.monotonic() - began) < SECONDS:
            step()
            done += 1
        told.put(Load(done / passed, _memory(trial.device)))
    except torch.OutOfMemoryError:
        start.abort()
        told.put(Load(0.0, 1.0))
    except threading.BrokenBarrierError:
        told.put(Load(0.0, 1.0))


def _memory(device: Device) -> float:
    """The part of a GPU's memory that is taken, by whomever."""
    if device.torch.type == "cpu":
        return 0.0
    free, total = torch.cuda.mem_get_info(device.torch)
    return 1 - free / total
