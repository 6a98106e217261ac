"""Training on one core: against a plain loop, and against the core's own limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaler.cost.network_cost import cost
from scaler.data.dataset import DataSet, Part, PartName
from scaler.networks.build import Network
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.networks.spec import NetworkSpec
from scaler.search.candidates.proxy_base import bases
from scaler.search.space import read_space
from scaler.training.device import Device
from scaler.training.optimiser import is_matrix, optimiser
from scaler.training.recipe import PASSES, Recipe, TrainingSeeds
from scaler.training.trainer import Training, fresh
from tests.benchmarks.speed.plain_baseline import plain_network, plain_training
from tests.benchmarks.speed.ratio import Row, Timed, elsewhere, ratio, timed

GROUP = "training"
BATCH, IMAGES = 32, 256
RECIPE = Recipe(epochs=1000, batch_size=BATCH, learning_rate=0.1)


@dataclass(frozen=True)
class Case:
    """A network to train; ``steps`` take a second or so."""

    name: str
    steps: int

    @property
    def spec(self) -> NetworkSpec:
        """The network."""
        if self.name == "thin effnet-b0, 16 px":
            return bases(read_space("quick"), 96)[1].base.without_regularisation()
        if self.name == "effnet-b0, 64 px":
            return small(base("effnet-b0"), 64).with_classes(10).without_regularisation()
        return base(self.name.partition(",")[0]).with_classes(10)


CASES = (
    Case("thin effnet-b0, 16 px", 8),
    Case("effnet-b0, 64 px", 1),
    Case("resnet-20, 32 px", 4),
    Case("densenet-bc-100-12, 32 px", 1),
)


def rows() -> Iterator[Row]:
    """A row per network against a plain loop, one against the nearer of the core's limits, one for Muon."""
    torch.set_num_threads(1)
    rate, copied = matrix_rate(), copy_rate()
    for case in CASES:
        with elsewhere(partial(_scaler, case)) as ours, elsewhere(partial(_plain, case)) as plain:
            found = ratio(ours, plain)
        images = BATCH * case.steps / found.seconds
        yield found.row(GROUP, case.name, "plain loop, one thread", images, "images/s/core")
        yield _against_limits(case.spec, images, rate, copied, case.name)
    for case in CASES:
        found = ratio(timed(_muon(case)), timed(_torchs_muon(case)))
        name = f"{case.name}: a step of Muon"
        yield found.row(GROUP, name, "torch.optim.Muon, matrices alone", 1000 * found.seconds, "ms")


def _against_limits(spec: NetworkSpec, images: float, rate: float, copied: float, name: str) -> Row:
    """Which limit is nearer, and the part of it that is reached."""
    flops, moved = 2 * PASSES * cost(spec).macs, bytes_moved(spec)
    limits = {"matrix product": rate / flops, "copy": copied / moved}
    nearer = min(limits, key=lambda limit: limits[limit])
    part = round(images / limits[nearer], 3)
    note = (
        f"{images * flops / rate:.0%} of {rate / 1e9:.0f} GFLOP/s, "
        f"{images * moved / copied:.0%} of {copied / 1e9:.1f} GB/s read and written"
    )
    return Row(GROUP, f"{name}: part of the limit", nearer, part, part, part, images, "images/s/core", note)


def pictures(spec: NetworkSpec, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Made-up images of the network's size; speed does not see what is on them."""
    side = spec.resolution
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return images, np.arange(count, dtype=np.int64) % spec.classes


def made_up(spec: NetworkSpec, count: int) -> DataSet:
    """A data set of such images in every part."""

    def render(name: PartName, side: int) -> Part:
        return Part(*pictures(replace(spec, resolution=side), count))

    sizes: dict[PartName, int] = {"train": count, "validation": count, "test": count}
    classes = tuple(str(number) for number in range(spec.classes))
    return DataSet("noise", classes, sizes, spec.resolution, "noise", (), render)


def _plain(case: Case) -> Callable[[], None]:
    return plain_training(case.spec, RECIPE, *pictures(case.spec, IMAGES), case.steps)


def _scaler(case: Case) -> Callable[[], None]:
    """An epoch of so many steps."""
    torch.set_num_threads(1)
    data = made_up(case.spec, BATCH * case.steps)
    return Training(case.spec, RECIPE, data, TrainingSeeds(0, 0), Device()).epoch


def _with_gradients(case: Case) -> Network:
    network = fresh(case.spec, 0)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    return network


def _muon(case: Case) -> Callable[[], None]:
    network = _with_gradients(case)
    return optimiser(network, replace(RECIPE, optimiser="muon", learning_rate=0.03)).step


def _torchs_muon(case: Case) -> Callable[[], object]:
    """It takes matrices; filters are laid out as such for it."""
    matrices = []
    for parameter in filter(is_matrix, _with_gradients(case).parameters()):
        assert parameter.grad is not None
        matrices.append(nn.Parameter(parameter.detach().flatten(1)))
        matrices[-1].grad = parameter.grad.flatten(1)
    return torch.optim.Muon(matrices, lr=0.03, momentum=0.6).step


def bytes_moved(spec: NetworkSpec) -> float:
    """Bytes that a training step cannot but move per image, were every operation a pass over memory.

    Each output of a convolution, norm or activation is written and read forward; backward it and its gradient
    are read, and a gradient is written: five times four bytes.
    """
    values = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal values
        values += out.numel()

    network = plain_network(spec).eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.SiLU | nn.ReLU):
            part.register_forward_hook(add)
    with torch.no_grad():
        network(torch.zeros(1, 3, spec.resolution, spec.resolution))
    return 5 * 4 * values


def matrix_rate() -> float:
    """FLOP/s of a matrix product on one core."""
    matrix = torch.randn(1024, 1024)
    return 2 * 1024**3 / _least(timed(lambda: matrix @ matrix))


def copy_rate() -> float:
    """Bytes a second, read and written, of a copy that no cache holds, on one core."""
    source = torch.randn(1 << 25)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _least(timed(lambda: target.copy_(source)))


def _least(work: Timed) -> float:
    return min(work() for _ in range(7))
