from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from scaler.cost.closed_form import closed_form
from scaler.cost.counting import count
from scaler.errors import UserError
from scaler.networks.build import build
from scaler.networks.lowering import LARGEST_SOUGHT, lower, smallest_resolution
from scaler.networks.scale import scale
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding


def network(*strides: int, resolution: int = 8) -> NetworkSpec:
    """Layers without padding; a stride takes maps of its own size and larger ones."""
    return NetworkSpec(
        name="big",
        family="own",
        stem=(),
        stages=tuple(Stage("plain", 1, 4, stride=stride, kernel=1) for stride in strides),
        head=Head(),
        resolution=resolution,
        classes=2,
    )


@pytest.mark.parametrize(
    ("strides", "least"),
    # A map of n px becomes one of ceil(n / 2), and the last must have 2.
    [((2,), 2), ((2,) * 5, 17), ((2,) * 12, 2049), ((LARGEST_SOUGHT,), LARGEST_SOUGHT)],
)
def test_the_smallest_resolution_is_the_least_that_is_taken(strides: tuple[int, ...], least: int) -> None:
    assert smallest_resolution(network(*strides)) == least
    lower(network(*strides, resolution=least))
    with pytest.raises(UserError, match=f"the smallest it can take is {least} px"):
        lower(network(*strides, resolution=least - 1))


@pytest.mark.parametrize("strides", [(2,) * 14, (LARGEST_SOUGHT + 1,)])
@pytest.mark.parametrize("resolution", [32, LARGEST_SOUGHT])
def test_a_smallest_resolution_above_those_sought_is_not_made_up(
    strides: tuple[int, ...], resolution: int
) -> None:
    with pytest.raises(UserError, match=f"images of {resolution} px: .*; it takes none of up to 4096 px"):
        lower(network(*strides, resolution=resolution))


def test_a_head_may_have_a_norm_and_a_convolution() -> None:
    spec = replace(network(1), head=Head(width=6, norm=True))
    assert build(spec).eval()(torch.zeros(2, 3, 8, 8)).shape == (2, 2)
    # Norms of 4 channels and of 6, a convolution between them, and the last layer.
    assert closed_form(spec).params - closed_form(replace(spec, head=Head())).params == 8 + 24 + 12 + 4
    assert count(spec) == closed_form(spec)


def test_an_inverted_residual_that_narrows_can_be_thin() -> None:
    spec = replace(network(), stages=(Stage("plain", 1, 8), Stage("mbconv", 1, 8, expand=0.5)))
    thin = scale(spec, Multipliers(width=0.125), Rounding(divisor=1))
    assert thin.widths == (1, 1)
    assert count(thin) == closed_form(thin)
