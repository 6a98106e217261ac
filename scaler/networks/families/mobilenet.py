"""MobileNet v1 (Howard et al., arXiv 1704.04861) and v2 (Sandler et al., arXiv 1801.04381)."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage, Style

ABOUT = "depthwise separable convolutions: v1 as in timm (average pooling), v2 as in torchvision"
SCALING = (
    "depth multiplies the blocks of every stage; width multiplies the channels of stem and stages, and of "
    "v2's last convolution only above 1 (as in its paper); resolution is the input's"
)

_STYLE = Style(activation="relu6")

#: Table 1 of v1: width, blocks, stride of the first.
_V1 = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))

#: Table 2 of v2: expand ratio, width, blocks, stride of the first.
_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def bases() -> Iterator[NetworkSpec]:
    """Version 1 and version 2."""
    stem = (Stage("plain", 1, 32, stride=2),)
    yield NetworkSpec(
        name="mobilenet-v1",
        family="mobilenet",
        stem=stem,
        stages=tuple(Stage("separable", depth, width, stride) for width, depth, stride in _V1),
        head=Head(),
        resolution=224,
        style=_STYLE,
    )
    yield NetworkSpec(
        name="mobilenet-v2",
        family="mobilenet",
        stem=stem,
        stages=tuple(
            Stage("mbconv", depth, width, stride, expand=expand) for expand, width, depth, stride in _V2
        ),
        head=Head(width=1280, never_narrower=True, dropout=0.2),
        resolution=224,
        style=_STYLE,
    )
