"""Excitations planted in a network are found again; parameters are those that the paper prints."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.inspect.excitation import (
    BlockView,
    choose,
    class_share,
    counterparts,
    excitations,
    last_stage,
    saved,
    view,
)
from scaler.networks.build import Gate, Network, build
from scaler.networks.lowering import lower
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import with_se, without_se

#: Weights of the excitations of SE-ResNet-50 by equation 5, with and without those of the last stage.
PAPER_ALL, PAPER_WITHOUT_LAST = 2_514_944, 942_080


def places(spec: NetworkSpec) -> list[tuple[int, int]]:
    return [(i, j) for i, stage in enumerate(spec.stages) if stage.se for j in range(stage.depth)]


def biases(spec: NetworkSpec) -> int:
    """Of all excitations at reduction 16 of a residual network: hidden and channels, per block."""
    return sum(stage.depth * (stage.width // 16 + stage.width) for stage in spec.stages)


def planted(
    spec: NetworkSpec, bias: dict[tuple[int, int], float], slope: dict[tuple[int, int], float]
) -> Network:
    """Excitations that are ``sigmoid(bias + slope * mean of the block's input to the gate)``, per block."""
    torch.manual_seed(0)
    network = build(spec).eval()
    for name, gate in network.named_modules():
        if isinstance(gate, Gate):
            place = (int(name.split(".")[1]), int(name.split(".")[2]))
            reduce, expand = gate.body.get_submodule("reduce"), gate.body.get_submodule("expand")
            assert isinstance(reduce, torch.nn.Conv2d)
            assert isinstance(expand, torch.nn.Conv2d)
            assert reduce.bias is not None
            assert expand.bias is not None
            with torch.no_grad():
                expand.weight.fill_(slope.get(place, 0.0) / expand.weight.shape[1])
                expand.bias.fill_(bias.get(place, 0.0))
    return network


TINY = with_se(small(base("resnet-20"), 8), 4)


def test_constant_excitations_are_near_identity_and_class_dependent_ones_are_not() -> None:
    network = planted(TINY, {(0, 1): math.log(9)}, {(2, 2): 3.0})
    generator = torch.Generator().manual_seed(1)
    labels = np.arange(40) % 2
    # The classes differ in brightness, and hardly else.
    images = torch.from_numpy(labels).float().view(-1, 1, 1, 1) * 3 + 0.01 * torch.randn(
        40, 3, 8, 8, generator=generator
    )
    seen = excitations(network, torch.split(images, 16))
    assert [block.place for block in seen] == places(TINY)
    views = {one.place: one for one in view(seen, labels, TINY, TINY)}
    constant, dependent = views[(0, 1)], views[(2, 2)]
    assert constant.mean == pytest.approx(0.9, abs=1e-6)  # sigmoid(log 9)
    assert constant.variation == pytest.approx(0, abs=1e-6)
    assert constant.class_share == 0
    assert constant.near_identity()
    assert views[(0, 0)].mean == pytest.approx(0.5)
    assert dependent.class_share > 0.95
    assert not dependent.near_identity()
    assert choose("near-identity", list(views.values()), 0.05) == [p for p in places(TINY) if p != (2, 2)]


def test_the_values_are_what_the_gates_multiply_with() -> None:
    torch.manual_seed(0)
    network = build(TINY).eval()
    images = torch.randn(3, 3, 8, 8)
    first = next(part for part in network.modules() if isinstance(part, Gate))
    given: list[torch.Tensor] = []
    hook = first.register_forward_hook(lambda _, inputs, out: given.extend((inputs[0], out)))
    seen = excitations(network, [images])
    hook.remove()
    torch.testing.assert_close(given[0] * torch.from_numpy(seen[0].values)[:, :, None, None], given[1])


def test_the_share_of_the_class_is_one_when_it_decides_and_near_nothing_by_chance() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 20)
    decided = generator.random((5, 7))[labels]
    assert class_share(decided, labels) == pytest.approx(1)
    chance = np.mean([class_share(generator.standard_normal((100, 200)), labels) for _ in range(5)])
    assert chance < 0.01  # uncorrected it would be 4 / 99
    # Half of the variance between classes: a class effect and noise of the same variance.
    effect = generator.standard_normal((50, 400))
    many = np.repeat(np.arange(50), 20)
    mixed = effect[many] + generator.standard_normal((1000, 400))
    assert class_share(mixed, many) == pytest.approx(0.5, abs=0.02)


def test_parameters_saved_are_those_of_the_paper() -> None:
    """Equation 5 and section 6.4: 2,514,944 weights, 942,080 without the last stage; biases are extra."""
    spec = base("se-resnet-50")
    every, last = places(spec), last_stage(places(spec))
    assert last == [(3, 0), (3, 1), (3, 2)]
    assert saved(spec, every) - biases(spec) == PAPER_ALL
    kept = saved(spec, every) - saved(spec, last)
    stage = spec.stages[3]
    last_biases = stage.depth * (stage.width // 16 + stage.width)
    assert kept - (biases(spec) - last_biases) == PAPER_WITHOUT_LAST
    plain = cost(base("resnet-50")).params
    assert cost(without_se(spec, every)).params == plain
    # "~10 %" with all, "~4 %" without the last stage
    assert round(100 * saved(spec, every) / plain) == 10
    assert round(100 * kept / plain) == 4


@pytest.mark.parametrize("name", ["se-resnet-50", "effnet-b0", "se-inception-v3", "se-vgg-16"])
def test_every_block_saves_what_its_module_holds(name: str) -> None:
    spec = base(name)
    with torch.device("meta"):
        network = Network(spec)
    for path, gate in network.named_modules():
        if isinstance(gate, Gate):
            place = (int(path.split(".")[1]), int(path.split(".")[2]))
            assert saved(spec, [place]) == sum(p.numel() for p in gate.parameters())


def test_dropping_splits_stages_and_changes_nothing_else() -> None:
    assert lower(without_se(TINY, [])) == lower(TINY)
    dropped = without_se(TINY, [(0, 1), (2, 0)])
    assert [stage.depth for stage in dropped.stages] == [1, 1, 1, 3, 1, 2]
    network, whole = build(dropped), build(TINY)
    gates = sum(isinstance(part, Gate) for part in network.modules())
    assert gates == sum(isinstance(part, Gate) for part in whole.modules()) - 2
    # The other weights have the same shapes in the same order.
    shapes = [w.shape for n, w in network.named_parameters() if ".se." not in n]
    assert shapes == [w.shape for n, w in whole.named_parameters() if ".se." not in n]


def test_blocks_of_a_shallow_proxy_stand_for_all_native_ones() -> None:
    native = base("se-resnet-50")
    thin = replace(native, stages=tuple(replace(s, depth=max(1, s.depth // 2)) for s in native.stages))
    found = counterparts(thin, native, places(thin))
    assert sorted(place for group in found.values() for place in group) == places(native)
    assert found[(2, 0)] == ((2, 0), (2, 1))
    assert all(place[0] == other[0] for place, group in found.items() for other in group)


def test_a_network_without_excitations_is_refused_in_one_sentence() -> None:
    network = build(small(base("resnet-20"), 8)).eval()
    with pytest.raises(UserError, match="resnet-20 has no squeeze-and-excitation to look into"):
        excitations(network, [torch.zeros(1, 3, 8, 8)])


def a_view(place: tuple[int, int], variation: float) -> BlockView:
    return BlockView(place, 4, 0.5, variation, 0.0, 0.0, 10)


def test_blocks_to_drop_by_name() -> None:
    views = [a_view((0, 0), 0.3), a_view((1, 0), 0.01), a_view((1, 1), 0.2)]
    assert choose("near-identity", views, 0.05) == [(1, 0)]
    assert choose("last-stage", views, 0.05) == [(1, 0), (1, 1)]
    assert choose("1.1, 0.0", views, 0.05) == [(1, 1), (0, 0)]
    with pytest.raises(UserError, match=r"no block '2\.0' with an excitation; there are 0\.0, 1\.0, 1\.1"):
        choose("2.0", views, 0.05)
    with pytest.raises(UserError, match="no block is near identity"):
        choose("near-identity", views, 0.001)
