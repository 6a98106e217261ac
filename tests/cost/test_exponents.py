"""Measured exponents, against networks whose FLOPs are known as a formula."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler.cost.exponents import measure
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.registry import base
from scaler.networks.scale import scale
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import DEPTH_ONLY, coefficients


def test_a_plain_network_has_the_exponents_of_theory() -> None:
    # Wide and deep enough that its first layer and its head cost next to nothing.
    plain = NetworkSpec("plain", "user", (), (Stage("plain", 40, 256),), Head(), resolution=64, classes=2)
    found = measure(plain)
    assert found.depth.value == pytest.approx(1, abs=0.03)
    assert found.width.value == pytest.approx(2, abs=0.03)
    assert found.resolution.value == pytest.approx(2, abs=0.01)
    assert max(found.depth.stderr, found.width.stderr, found.resolution.stderr) < 0.01


def test_dense_layers_cost_the_square_of_the_depth() -> None:
    # Without compression (L = 40, k = 12) a stage's input grows with all layers before it.
    assert measure(base("densenet-40-12")).depth.value == pytest.approx(2, abs=0.1)
    # Transitions that halve the channels hold the growth down.
    assert 1.4 < measure(base("densenet-bc-100-12")).depth.value < 1.8


@pytest.mark.parametrize("name", ["effnet-b0", "densenet-bc-100-12", "resnet-20"])
def test_measured_exponents_meet_the_budget_where_theory_misses_it(name: str) -> None:
    spec = base(name)
    alpha = coefficients(DEPTH_ONLY, 2.0, measure(spec).exponents).alpha
    deeper = scale(spec, Multipliers(depth=alpha), Rounding(divisor=1))
    assert cost(deeper).flops / cost(spec).flops == pytest.approx(2, rel=0.08)


def test_theory_misses_the_budget_of_densenet() -> None:
    spec = base("densenet-bc-100-12")
    deeper = scale(spec, Multipliers(depth=2), Rounding(divisor=1))
    assert cost(deeper).flops / cost(spec).flops > 2.8


def test_the_error_says_how_lumpy_an_axis_is() -> None:
    # 224 px is the last size before every map of EfficientNet grows by a pixel; 32 px steps are smooth.
    by_pixels, by_strides = (
        measure(base("effnet-b0"), Rounding(divisor=1, resolution_step=step)).resolution for step in (1, 32)
    )
    assert by_pixels.value > by_strides.value == pytest.approx(2, abs=0.01)
    assert by_pixels.stderr > 10 * by_strides.stderr


SOURCE = """
from torch import nn

def net(depth, width, resolution, num_classes):
    c = round(32 * width)
    convs = [nn.Conv2d(c, c, 3, padding=1) for _ in range(round(8 * depth))]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes)]
    return nn.Sequential(nn.Conv2d(3, c, 1), *convs, *head)

net.base_resolution = 8

def shallow(depth, width, resolution, num_classes):
    return net(1.0, width, resolution, num_classes)

shallow.base_resolution = 8
"""


def test_python_networks_are_measured_by_counting(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SOURCE)
    found = measure(base(f"{tmp_path}/own.py:net").with_classes(4)).exponents
    assert found.depth == pytest.approx(1, abs=0.05)
    assert found.width == pytest.approx(2, abs=0.05)
    assert found.resolution == pytest.approx(2, abs=0.05)


def test_an_axis_that_changes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SOURCE)
    with pytest.raises(UserError, match="own-shallow do not reach 2x even at depth multiplier 32"):
        measure(base(f"{tmp_path}/own.py:shallow").with_classes(4))


def test_one_block_a_stage_cannot_become_fewer_and_the_other_axes_can() -> None:
    one = NetworkSpec(
        "one", "user", (), (Stage("plain", 1, 64), Stage("plain", 1, 64, 2)), Head(), resolution=32
    )
    shrunk, grown = measure(one, budget=0.5), measure(one, budget=2)
    assert shrunk.depth == grown.depth
    # The first layer, from three channels, grows with the width and not with its square.
    assert 1 < shrunk.width.value < grown.width.value < 2
    assert shrunk.resolution.value == pytest.approx(2, abs=0.15)


def test_a_small_budget_is_measured_as_far_down_as_the_network_takes_images() -> None:
    # resnet-20 takes 3 px and more: a hundredth of its FLOPs would be at 2.
    found = measure(base("resnet-20"), budget=0.002).resolution
    assert found.value == pytest.approx(2, abs=0.3)
