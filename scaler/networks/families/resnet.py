"""ResNet v1.5 (He et al., arXiv 1512.03385; stride in the 3x3 convolution) and Wide ResNet for ImageNet."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage

ABOUT = "residual blocks, v1.5 as in torchvision; wide-resnet doubles the inner width of the bottlenecks"
SCALING = (
    "depth multiplies the blocks of every stage; width multiplies the channels of stem and stages (inner "
    "channels of a bottleneck follow, a wide one stays twice as wide); resolution is the input's"
)

_DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def resnet(
    name: str,
    depths: tuple[int, ...],
    *,
    block: str = "bottleneck",
    expand: float = 0.25,
    group_width: int = 0,
    family: str = "resnet",
) -> NetworkSpec:
    """A network of four stages after a 7x7 convolution and pooling; every stage doubles the channels.

    Args:
        name: of the base.
        depths: blocks of each stage.
        block: ``basic`` or ``bottleneck``, which has four times the channels.
        expand: inner over output channels of a bottleneck.
        group_width: channels per group in the first stage; doubles with every stage, so that the number
            of groups is the same in all.
        family: the file that it belongs to.
    """
    width = 256 if block == "bottleneck" else 64
    return NetworkSpec(
        name=name,
        family=family,
        stem=(Stage("plain", 1, 64, stride=2, kernel=7), Stage("maxpool", 1, 0, stride=2)),
        stages=tuple(
            Stage(
                block,
                depth,
                width * 2**index,
                stride=1 if index == 0 else 2,
                expand=expand if block == "bottleneck" else 1.0,
                group_width=group_width * 2**index,
            )
            for index, depth in enumerate(depths)
        ),
        head=Head(),
        resolution=224,
    )


def bases() -> Iterator[NetworkSpec]:
    """ResNet-18 to ResNet-152, and the wide ones with twice the inner width."""
    for layers, depths in _DEPTHS.items():
        yield resnet(f"resnet-{layers}", depths, block="basic" if layers < 50 else "bottleneck")
    for layers in (50, 101):
        yield resnet(f"wide-resnet-{layers}-2", _DEPTHS[layers], expand=0.5)
