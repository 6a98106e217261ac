"""How long inference takes: the median of repeated forward passes, after a warm-up."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from scaler.errors import MachineError
from scaler.networks.build import Network
from scaler.networks.spec import NetworkSpec

#: Passes before the clock starts: caches, memory pools and (on CUDA) the choice of algorithms settle.
_WARM_UP = 3
_FEWEST, _MOST = 5, 200


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass for a whole batch.

    Attributes:
        median: over the repetitions.
        low: first quartile.
        high: third quartile.
        batch: images at once.
        threads: of the CPU.
        repetitions: timed passes.
        device: ``cpu`` or ``cuda:N``.
    """

    median: float
    low: float
    high: float
    batch: int
    threads: int
    repetitions: int
    device: str

    @property
    def per_image(self) -> float:
        """Milliseconds for one image of the batch."""
        return self.median / self.batch


def latency(
    spec: NetworkSpec,
    batch: int = 1,
    device: torch.device | str = "cpu",
    *,
    threads: int = 1,
    seconds: float = 2.0,
) -> Latency:
    """Time a network's inference in single precision, channels last.

    Args:
        spec: the network, at its resolution.
        batch: images at once.
        device: where it runs.
        threads: CPU threads; one by default, since several make times depend on what else runs.
        seconds: time to spend on the timed passes; there are 5 at least and 200 at most.

    Raises:
        UserError: the resolution is too small for the network's strides.
        MachineError: it does not fit into the memory.
    """
    device = torch.device(device)
    try:
        times = _times(spec, batch, device, threads, seconds)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MachineError(
            f"{spec.name} with {batch} images of {spec.resolution} px does not fit into the memory of "
            f"{device}; try a smaller batch"
        ) from error
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Latency(median, low, high, batch, threads, len(times), str(device))


def _times(spec: NetworkSpec, batch: int, device: torch.device, threads: int, seconds: float) -> list[float]:
    """Milliseconds of the timed passes."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _threads(threads):
        network = Network(spec).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.rand(batch, 3, spec.resolution, spec.resolution)
        images = images.to(device, memory_format=torch.channels_last)
        for _ in range(_WARM_UP):
            _pass(network, images)
        times: list[float] = []
        while len(times) < _FEWEST or (len(times) < _MOST and sum(times) < 1e3 * seconds):
            times.append(_pass(network, images))
    return times


@torch.inference_mode()
def _pass(network: Network, images: torch.Tensor) -> float:
    """Milliseconds of one forward pass."""
    _wait(images.device)
    start = time.perf_counter()
    network(images)
    _wait(images.device)
    return 1e3 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
