"""ResNeXt (Xie et al., arXiv 1611.05431): bottlenecks with a grouped 3x3 convolution."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.families.resnet import resnet
from scaler.networks.spec import NetworkSpec

ABOUT = "ResNet with grouped convolutions; 32x4d is 32 groups of 4 channels in the first stage"
SCALING = (
    "as ResNet; width keeps the channels of a group as they are, so the number of groups grows, and output "
    "channels are rounded so that the inner ones make whole groups"
)

_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def resnext(layers: int, groups: int, group_width: int) -> NetworkSpec:
    """``resnext-50-32x4d`` for 50, 32, 4: its first stage has ``groups * group_width`` inner channels."""
    return resnet(
        f"resnext-{layers}-{groups}x{group_width}d",
        _DEPTHS[layers],
        expand=groups * group_width / 256,
        group_width=group_width,
        family="resnext",
    )


def bases() -> Iterator[NetworkSpec]:
    """The three of torchvision."""
    yield resnext(50, 32, 4)
    yield resnext(101, 32, 8)
    yield resnext(101, 64, 4)
