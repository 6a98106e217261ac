"""GoogLeNet, Inception v1 (Szegedy et al., arXiv 1409.4842) with batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage, Style

ABOUT = (
    "Inception v1 with batch normalisation, without auxiliary heads, as in torchvision (whose 5x5 branch "
    "has 3x3 kernels)"
)
SCALING = (
    "every module is a stage: depth repeats modules (with their own output width; below 1 it changes "
    "nothing), width multiplies the channels of the stem and of all branches; pooling stays; resolution is "
    "the input's"
)

#: Table 1 of the paper: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection. None is pooling.
_MODULES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
#: The last pooling's window is 2 in torchvision (3 in the paper).
_POOLS = (3, 2)


def bases() -> Iterator[NetworkSpec]:
    """GoogLeNet alone."""
    kernels = iter(_POOLS)
    yield NetworkSpec(
        name="googlenet",
        family="googlenet",
        stem=(
            Stage("plain", 1, 64, stride=2, kernel=7),
            Stage("maxpool_ceil", 1, 0, stride=2),
            Stage("plain", 1, 64, kernel=1),
            Stage("plain", 1, 192),
            Stage("maxpool_ceil", 1, 0, stride=2),
        ),
        stages=tuple(
            Stage("inception_v1", 1, 0, branches=branches)
            if branches
            else Stage("maxpool_ceil", 1, 0, stride=2, kernel=next(kernels), fixed=True)
            for branches in _MODULES
        ),
        head=Head(dropout=0.2),
        resolution=224,
        style=Style(norm_eps=1e-3),
    )
