"""Residual networks for 32 px images: He et al. (arXiv 1512.03385, section 4.2) and Wide ResNet."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage

ABOUT = "small ResNets for 32 px images (zero-padded shortcuts), and Wide ResNet with pre-activation"
SCALING = (
    "depth multiplies the blocks of the three stages; width multiplies the channels of stem and stages; "
    "resolution is the input's"
)


def _three_stages(
    name: str, block: str, depth: int, widths: tuple[int, int, int], *, preactivated: bool
) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        family="resnet_cifar",
        stem=(Stage("bare" if preactivated else "plain", 1, 16),),
        stages=tuple(
            Stage(block, depth, width, stride=1 if index == 0 else 2) for index, width in enumerate(widths)
        ),
        head=Head(norm=preactivated),
        resolution=32,
        classes=10,
    )


def bases() -> Iterator[NetworkSpec]:
    """``resnet-N`` has 6n + 2 layers, ``wide-resnet-N-k`` 6n + 4 layers and k times the channels."""
    for layers in (20, 56):
        depth = (layers - 2) // 6
        yield _three_stages(f"resnet-{layers}", "basic_padded", depth, (16, 32, 64), preactivated=False)
    layers, wide = 16, 4
    yield _three_stages(
        f"wide-resnet-{layers}-{wide}",
        "preactivation",
        (layers - 4) // 6,
        (16 * wide, 32 * wide, 64 * wide),
        preactivated=True,
    )
