"""Images a second in training on one CPU thread, and what each measure against slowness is worth.

    python tests/benchmarks/training_speed.py [--resolutions 16,24,32] [--widths 0.125,0.25,0.5]

Every network is trained as the trainer does it, with one measure after the other taken back. The
variants take turns within one run, and the least processor time of each counts, so that the ratios hold
on a busy machine; only ratios of one run are comparable. The C library's setting cannot be taken back
in a running process, so `freed memory` is measured in one of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from scaler.cost.network_cost import cost
from scaler.networks.build import Network
from scaler.networks.kernels import DepthwiseConv2d
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.training.device import Device, keep_memory
from scaler.training.optimiser import optimiser
from scaler.training.recipe import Recipe
from scaler.training.trainer import fresh, step

ROUNDS = 6


def thin(resolution: int, width: float) -> NetworkSpec:
    """EfficientNet-B0, thin and for small images."""
    whole = scale(small(base("effnet-b0"), resolution), Multipliers(1, width), Rounding(divisor=2))
    return whole.with_classes(96).without_regularisation()


def plain_depthwise(network: Network) -> None:
    """Torch's own gradient for wide depthwise kernels."""
    wide: list[nn.Module] = [part for part in network.modules() if isinstance(part, DepthwiseConv2d)]
    for part in wide:
        part.__class__ = nn.Conv2d


def activations_in_place(network: Network) -> None:
    """SiLU that copies its input for the gradient, then overwrites it."""
    for part in network.modules():
        if isinstance(part, nn.SiLU):
            part.inplace = True


def stepper(spec: NetworkSpec, batch: int, change: Callable[[Network], None]) -> Callable[[], None]:
    """One training step on made-up images."""
    recipe = Recipe(batch_size=batch)
    network = Device().place(fresh(spec, 0)).train()
    change(network)
    descent = optimiser(network, recipe)
    images = torch.randn(batch, 3, spec.resolution, spec.resolution).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % spec.classes

    def once() -> None:
        float(step(network, descent, images, labels, recipe, Device()))

    return once


def speeds(spec: NetworkSpec, steppers: dict[str, tuple[int, Callable[[], None]]]) -> dict[str, float]:
    """Images a second of processor time."""
    seconds = dict.fromkeys(steppers, float("inf"))
    for _ in range(ROUNDS):
        for name, (_, once) in steppers.items():
            started = time.process_time()
            once()
            seconds[name] = min(seconds[name], time.process_time() - started)
    return {name: batch / seconds[name] for name, (batch, _) in steppers.items()}


def report(resolution: int, width: float, batch: int) -> None:
    """One line: the speed, and how many times faster each measure makes it."""
    spec = thin(resolution, width)
    variants = {
        "all": (batch, stepper(spec, batch, lambda network: None)),
        "depthwise": (batch, stepper(spec, batch, plain_depthwise)),
        "in place": (batch, stepper(spec, batch, activations_in_place)),
        "batch / 2": (batch // 2, stepper(spec, batch // 2, lambda network: None)),
    }
    found = speeds(spec, variants)
    ratios = "  ".join(f"{found['all'] / found[name]:9.2f}" for name in list(variants)[1:])
    print(f"{resolution:4} {width:6} {cost(spec).macs / 1e6:7.1f}  {found['all']:8.0f}  {ratios}", flush=True)


def freed_memory(resolution: int, width: float, batch: int) -> None:
    """Speed of a process with, and of one without, the C library's setting."""
    call = [sys.executable, __file__, "--one", "--resolutions", str(resolution), "--widths", str(width)]
    kept, freed = (
        max(
            float(subprocess.run([*call, *more, "--batch", str(batch)], capture_output=True).stdout)
            for _ in range(2)
        )
        for more in (["--keep"], [])
    )
    print(f"freed memory kept, at {resolution} px and width {width}: {kept / freed:.2f} times faster")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--resolutions", default="16,24,32")
    parser.add_argument("--widths", default="0.125,0.25,0.5")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    resolutions = [int(text) for text in options.resolutions.split(",")]
    widths = [float(text) for text in options.widths.split(",")]
    if options.keep or not options.one:
        keep_memory()
    if options.one:
        spec = thin(resolutions[0], widths[0])
        only = {"all": (options.batch, stepper(spec, options.batch, lambda network: None))}
        print(speeds(spec, only)["all"])
        return
    print(
        "  px  width  M macs  images/s  times faster by: depthwise, no copies in place, batch instead of half"
    )
    for resolution in resolutions:
        for width in widths:
            report(resolution, width, options.batch)
    freed_memory(resolutions[0], widths[0], options.batch)


if __name__ == "__main__":
    main()
