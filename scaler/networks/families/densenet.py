"""DenseNet (Huang et al., arXiv 1608.06993): every layer reads all layers before it in its stage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from scaler.networks.spec import Head, NetworkSpec, Stage

ABOUT = "dense connections; 121 to 264 for ImageNet, bc-100-12 and 40-12 for 32 px images"
SCALING = (
    "depth multiplies the layers of every dense stage, width the growth rate and the stem; transitions "
    "stay, and halve whatever comes (in 40-12 they keep it). Every layer reads all before it, so twice the "
    "depth costs 2.9 times the FLOPs for 121, 3.8 times for 40-12"
)

_IMAGENET = {
    "densenet-121": (32, (6, 12, 24, 16)),
    "densenet-161": (48, (6, 12, 36, 24)),
    "densenet-169": (32, (6, 12, 32, 32)),
    "densenet-201": (32, (6, 12, 48, 32)),
    "densenet-264": (32, (6, 12, 64, 48)),
}


def _stages(growth: int, depths: tuple[int, ...], expand: float, compression: float) -> tuple[Stage, ...]:
    """Dense stages with a transition between each two."""
    pairs = (
        (
            Stage("dense", depth, growth, expand=expand),
            Stage("transition", 1, 0, stride=2, expand=compression, fixed=True),
        )
        for depth in depths
    )
    return tuple(chain(*pairs))[:-1]


def _imagenet(name: str, growth: int, depths: tuple[int, ...]) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        family="densenet",
        stem=(Stage("plain", 1, 2 * growth, stride=2, kernel=7), Stage("maxpool", 1, 0, stride=2)),
        stages=_stages(growth, depths, expand=4, compression=0.5),
        head=Head(norm=True),
        resolution=224,
    )


def _cifar(name: str, stem: int, layers: int, expand: float, compression: float) -> NetworkSpec:
    """Three stages of equal depth with growth rate 12 (section 4.1 of the paper)."""
    return NetworkSpec(
        name=name,
        family="densenet",
        stem=(Stage("bare", 1, stem),),
        stages=_stages(12, (layers,) * 3, expand, compression),
        head=Head(norm=True),
        resolution=32,
        classes=10,
    )


def bases() -> Iterator[NetworkSpec]:
    """Those for ImageNet, then the two for CIFAR that train on small machines."""
    for name, (growth, depths) in _IMAGENET.items():
        yield _imagenet(name, growth, depths)
    yield _cifar("densenet-bc-100-12", 24, 16, expand=4, compression=0.5)
    yield _cifar("densenet-40-12", 16, 12, expand=0, compression=1.0)
