"""Counts by fvcore against published figures, and the closed form against fvcore."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from torch import Tensor, nn

from scaler.cost import counting
from scaler.cost.closed_form import layer_cost
from scaler.cost.counting import count, count_by_blocks, count_module
from scaler.cost.counts import Cost
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.build import module
from scaler.networks.layers import (
    Act,
    Concat,
    Conv,
    Flatten,
    Gate,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    Residual,
    Seq,
    conv,
    seq,
)
from scaler.networks.registry import base

#: fvcore 0.1.5.post20221221 on torchvision 0.29's EfficientNets, eval mode, native resolution.
PUBLISHED = {
    "effnet-b0": Cost(params=5288548, flops=401659392, macs=385814752, activations=6748036),
    "effnet-b1": Cost(params=7794184, flops=712732416, macs=686802832, activations=10884328),
    "effnet-b4": Cost(params=19341616, flops=4512495200, macs=4393771024, activations=49489032),
    "effnet-b7": Cost(params=66347960, flops=38449437600, macs=37745884192, activations=289939464),
}


def efficientnets(*indices: int) -> list[Any]:
    """Names of EfficientNets; the counts of B0, B1 and B4 are quick, and show what the others show."""
    marks = {index: [] if index in (0, 1, 4) else [pytest.mark.slow] for index in indices}
    return [pytest.param(f"effnet-b{index}", marks=marks[index]) for index in indices]


@pytest.mark.parametrize("name", efficientnets(0, 1, 4, 7))
def test_fvcore_gives_the_published_counts(name: str) -> None:
    assert count_by_blocks(base(name)) == PUBLISHED[name]


@pytest.mark.parametrize("name", efficientnets(*range(8)))
def test_closed_form_equals_fvcore(name: str) -> None:
    assert cost(base(name)) == count_by_blocks(base(name))


@pytest.mark.parametrize("name", ["effnet-b0", pytest.param("effnet-b1", marks=pytest.mark.slow)])
def test_whole_network_equals_sum_of_blocks(name: str) -> None:
    assert count(base(name)) == count_by_blocks(base(name)) == PUBLISHED[name]


def test_a_block_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = base("mobilenet-v2").with_classes(7)
    first = count_by_blocks(spec)
    monkeypatch.setattr(counting, "_trace", lambda *_: pytest.fail("traced again"))
    assert count_by_blocks(spec) == first


# Trees with 3 input channels at 9 px; expected counts by hand as (params, flops, macs, activations).
TREES: dict[str, tuple[Layer, Cost]] = {
    "convolution": (Conv(3, 6, (3, 3), 2, (1, 1)), Cost(162, 162 * 25, 162 * 25, 6 * 25)),
    "bias": (Conv(3, 6, (1, 1), bias=True), Cost(24, 18 * 81, 18 * 81, 6 * 81)),
    "groups": (Conv(3, 6, (3, 3), padding=(1, 1), groups=3), Cost(54, 54 * 81, 54 * 81, 6 * 81)),
    "oblong kernel": (Conv(3, 2, (1, 7), padding=(0, 3)), Cost(42, 42 * 81, 42 * 81, 2 * 81)),
    "valid": (conv(3, 4, 3, valid=True), Cost(108, 108 * 49, 108 * 49, 4 * 49)),
    "norm": (seq(norm=Norm(3), act=Act("silu")), Cost(6, 2 * 3 * 81, 0, 0)),
    "concatenation": (
        Concat((("x", Seq(())), ("new", conv(3, 5, 3)))),
        Cost(135, 135 * 81, 135 * 81, 5 * 81),
    ),
    "projection": (
        Residual(conv(3, 4, 3, 2), shortcut=conv(3, 4, 1, 2), after=Act("relu")),
        Cost(108 + 12, 120 * 25, 120 * 25, 2 * 4 * 25),
    ),
    "excitation": (
        Gate(seq(pool=GlobalPool(), down=conv(3, 2, 1, bias=True), up=conv(2, 3, 1, bias=True))),
        Cost(8 + 9, 3 * 81 + 12, 12, 2 + 3),
    ),
    "head": (
        seq(pool=GlobalPool(2), flatten=Flatten(), classifier=Linear(12, 10)),
        Cost(130, 3 * 81 + 120, 120, 10),
    ),
    "pooling": (
        seq(pool=Pool("max", 3, 2, 1, ceil=True), conv=conv(3, 1, 1)),
        Cost(3, 3 * 25, 3 * 25, 25),
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_trees_by_hand(name: str) -> None:
    tree, expected = TREES[name]
    assert layer_cost(tree, (3, 9, 9)) == expected
    assert count_module(module(tree), 9) == expected
    assert (
        module(tree)(torch.zeros(2, 3, 9, 9)).flatten(1).shape[1] == torch.Size(tree.out((3, 9, 9))).numel()
    )


class Products(nn.Module):
    """Every operator that fvcore counts activations of, beside some that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.linear, self.weight = nn.Linear(36, 5), nn.Parameter(torch.ones(5, 6))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.norm(self.conv(x)).flatten(2)
        pairs = torch.bmm(maps, maps.transpose(1, 2)) + torch.einsum("ncp,nkp->nck", maps, maps)
        scores = torch.matmul(self.linear(maps.mean(1)), self.weight)
        return torch.addmm(scores, scores.T @ scores, torch.ones(6, 6)) + pairs.sum()


def test_one_trace_counts_what_fvcores_two_analyses_count() -> None:
    network = Products().eval()
    by_operator = [
        analysis(network, torch.rand(1, 3, 8, 8)).unsupported_ops_warnings(False).by_operator()
        for analysis in (FlopCountAnalysis, ActivationCountAnalysis)
    ]
    flops, activations = by_operator
    assert {"conv", "linear", "matmul", "bmm", "einsum", "addmm"} == set(activations)
    found = count_module(network, 8)
    assert (found.flops, found.activations) == (flops.total(), activations.total())
    assert found.macs == flops.total() - flops["batch_norm"]


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (3, 3, 1)]
)
def test_pool_shapes_are_torchs(kernel: int, stride: int, padding: int, ceil: bool) -> None:
    pool = Pool("avg", kernel, stride, padding, ceil)
    for size in range(4, 20):
        built = module(pool)(torch.zeros(1, 2, size, size))
        assert pool.out((2, size, size)) == tuple(built.shape[1:])


def test_counting_leaves_no_trace() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    count_module(network, 8)
    count_by_blocks(base("resnet-20").with_classes(11))
    assert torch.equal(torch.rand(3), expected)
    assert all(part.training for part in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_network_that_cannot_take_the_image_is_the_users_error() -> None:
    with pytest.raises(UserError, match="Sequential cannot be counted on an image of 2 px"):
        count_module(nn.Sequential(nn.Conv2d(3, 4, 3)), 2)
    with pytest.raises(UserError, match="channels"):
        count_module(nn.Sequential(nn.Conv2d(1, 4, 3)), 8)


def test_a_network_of_ones_own_is_counted_alike_by_blocks() -> None:
    spec = base(str(Path(__file__).parents[1] / "networks" / "example_network.yaml"))
    assert count_by_blocks(spec).flops == count(spec).flops
