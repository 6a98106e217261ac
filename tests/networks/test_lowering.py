from __future__ import annotations

import pytest

from scaler.errors import UserError
from scaler.networks.lowering import LARGEST_SOUGHT, lower, smallest_resolution
from scaler.networks.spec import Head, NetworkSpec, Stage


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
