"""VGG (Simonyan & Zisserman, arXiv 1409.1556) with batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage, Style

ABOUT = "plain 3x3 convolutions with batch normalisation, as torchvision's vgg16_bn"
SCALING = (
    "depth multiplies the convolutions between two poolings; width multiplies the channels of all "
    "convolutions and of the two hidden fully connected layers; resolution is the input's (the head "
    "always pools to 7x7, less in variants for small images)"
)


def bases() -> Iterator[NetworkSpec]:
    """VGG-16 (configuration D)."""
    yield NetworkSpec(
        name="vgg-16",
        family="vgg",
        stem=(),
        stages=tuple(
            stage
            for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
            for stage in (
                Stage("plain", depth, width),
                Stage("maxpool", 1, 0, stride=2, kernel=2, fixed=True),
            )
        ),
        head=Head(pool=7, hidden=(4096, 4096), dropout=0.5),
        resolution=224,
        style=Style(conv_bias=True),
    )
