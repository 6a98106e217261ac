"""Squeeze-and-excitation as a modifier, against the facts of the paper (arXiv 1709.01507)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from scaler.cost.counting import count_by_blocks
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.build import Gate, build
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import Position
from scaler.networks.squeeze import with_se
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

KINDS = (
    "resnet-18", "resnet-50", "resnet-20", "wide-resnet-16-4", "densenet-bc-100-12", "mobilenet-v1",
    "mobilenet-v2", "googlenet", "inception-v3", "vgg-16",
)  # fmt: skip
#: Blocks and output channels of ResNet-50's stages.
RESNET_50 = ((3, 256), (4, 512), (6, 1024), (3, 2048))


def added(name: str, **options: Any) -> int:
    return cost(with_se(base(name), **options)).params - cost(base(name)).params


def biases(stages: Sequence[tuple[int, int]]) -> int:
    return sum(depth * (width + width // 16) for depth, width in stages)


def test_resnet_50_gains_the_weights_of_equation_5() -> None:
    assert added("resnet-50") - biases(RESNET_50) == 2_514_944
    assert added("resnet-50", skip_last_stage=True) - biases(RESNET_50[:3]) == 942_080


@pytest.mark.parametrize(("reduction", "params"), [(2, 45.7), (4, 35.7), (8, 30.7), (16, 28.1), (32, 26.9)])
def test_parameters_by_reduction_are_the_papers(reduction: int, params: float) -> None:
    """Table 10, in millions (its ResNet-50 has 25.6)."""
    assert cost(with_se(base("resnet-50"), reduction)).params / 1e6 == pytest.approx(params, abs=0.1)


def test_se_mobilenet_is_as_large_as_the_papers() -> None:
    """Table 3: 4.2 to 4.7 M parameters, 569 to 572 M multiply-adds."""
    counted = cost(with_se(base("mobilenet-v1")))
    assert counted.params / 1e6 == pytest.approx(4.7, abs=0.05)
    assert counted.macs / 1e6 == pytest.approx(572, abs=3)


@pytest.mark.parametrize("position", ["standard", "pre", "post"])
@pytest.mark.parametrize("name", KINDS)
def test_every_network_takes_it_and_is_counted_right(name: str, position: Position) -> None:
    spec = scale(small(base(name), 24), Multipliers(0.01, 0.25), Rounding(divisor=4))
    excited = with_se(spec, 4, position=position)
    assert cost(excited) == count_by_blocks(excited)
    assert cost(excited).params > cost(spec).params
    assert build(excited).eval()(torch.randn(1, 3, 24, 24)).shape == (1, spec.classes)


@pytest.mark.parametrize("name", ["resnet-50", "resnet-20", "wide-resnet-16-4", "densenet-bc-100-12"])
def test_identity_position_is_on_the_shortcut(name: str) -> None:
    thin = scale(small(base(name), 24), Multipliers(0.25, 0.25), Rounding(divisor=4))
    spec = with_se(thin, position="identity")
    assert cost(spec) == count_by_blocks(spec)
    network = build(spec, short_training=True).eval()
    gates = [label for label, part in network.named_modules() if isinstance(part, Gate)]
    assert len(gates) == spec.depth
    assert all("shortcut" in label or "passed" in label for label in gates)
    assert network(torch.randn(1, 3, 24, 24)).shape == (1, spec.classes)


@pytest.mark.parametrize("name", ["vgg-16", "googlenet", "mobilenet-v1"])
def test_identity_position_needs_a_shortcut(name: str) -> None:
    with pytest.raises(UserError, match="needs blocks with a shortcut"):
        cost(with_se(base(name), position="identity"))


def test_standard_position_is_before_the_addition_and_post_after_the_activation() -> None:
    def order(position: Position) -> list[str]:
        spec = with_se(small(base("resnet-20"), 16), position=position)
        block = dict(build(spec).named_modules())["stages.0.0"]
        return [label for label, part in block.named_modules() if isinstance(part, Gate)]

    assert order("standard") == ["body.se"]
    assert order("pre") == ["body.pre"]
    assert order("post") == ["se"]
    assert order("identity") == ["shortcut.se"]


@pytest.mark.parametrize(
    ("name", "stages"),
    [("resnet-50", 4), ("vgg-16", 5), ("googlenet", 3), ("inception-v3", 3), ("densenet-121", 4)],
)
def test_stages_are_runs_of_one_map_size(name: str, stages: int) -> None:
    whole = added(name)
    parts = [added(name, stages=[number]) for number in range(1, stages + 1)]
    assert sum(parts) == whole
    assert added(name, skip_last_stage=True) == whole - parts[-1]
    with pytest.raises(UserError, match=f"has stages 1 to {stages}; there is no stage {stages + 1}"):
        with_se(base(name), stages=[stages + 1])


def test_it_replaces_what_efficientnet_has() -> None:
    assert with_se(base("effnet-b0"), 4).stages == base("effnet-b0").stages
    assert added("effnet-b0", reduction=16) < 0
    assert with_se(base("effnet-b0"), 4, skip_last_stage=True).stages[-1].se is None


def test_identity_position_in_mobilenet_is_where_shapes_stay() -> None:
    network = build(with_se(base("mobilenet-v2"), position="identity"))
    assert sum(isinstance(part, Gate) for part in network.modules()) == 10


def test_pooling_and_transitions_have_none() -> None:
    for name in ("vgg-16", "densenet-121"):
        spec = with_se(base(name))
        assert all((stage.se is None) == stage.fixed for stage in spec.stages)


def test_bases_are_made_by_the_modifier() -> None:
    for name in ("resnet-50", "inception-v3", "googlenet", "vgg-16"):
        assert base(f"se-{name}") == replace(with_se(base(name), 16), family="senet")


def test_a_reduction_larger_than_the_channels_leaves_one() -> None:
    spec = with_se(base("resnet-20"), 1000)
    assert added("resnet-20", reduction=1000) == sum(3 * (2 * width + width + 1) for width in (16, 32, 64))
    assert cost(spec) == count_by_blocks(spec)


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(UserError, match=r"reduction .* at least 1, not 0"):
        with_se(base("resnet-18"), 0)
    with pytest.raises(UserError, match="no stage of resnet-18 is left"):
        with_se(base("resnet-18"), stages=[4], skip_last_stage=True)
