"""EfficientNet (Tan & Le 2019, arXiv 1905.11946): mobile inverted residuals with squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scaler.networks.scale import scale
from scaler.networks.spec import Head, NetworkSpec, SqueezeExcite, Stage, Style
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import OFFICIAL

ABOUT = "inverted residuals with squeeze-and-excitation; B1..B7 are B0 scaled by the official table"
SCALING = (
    "depth multiplies the blocks of every stage; width multiplies the channels of stem, stages and head "
    "convolution (expanded and excitation channels follow); resolution is the input's"
)

_SE = SqueezeExcite(reduction=4)

#: Table 1 of the paper: expand ratio, width, layers, stride, kernel.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)

B0 = NetworkSpec(
    name="effnet-b0",
    family="efficientnet",
    stem=(Stage("plain", 1, 32, stride=2),),
    stages=tuple(
        Stage("mbconv", layers, width, stride, kernel, expand, se=_SE)
        for expand, width, layers, stride, kernel in _STAGES
    ),
    head=Head(width=1280, dropout=0.2),
    resolution=224,
    style=Style(activation="silu", norm_eps=1e-3, norm_momentum=0.01, drop_path=0.2),
)

#: Official code (tensorflow/tpu, efficientnet_builder.py): width, depth, resolution, dropout.
_OFFICIAL = {
    "effnet-b1": (1.0, 1.1, 240, 0.2),
    "effnet-b2": (1.1, 1.2, 260, 0.3),
    "effnet-b3": (1.2, 1.4, 300, 0.3),
    "effnet-b4": (1.4, 1.8, 380, 0.4),
    "effnet-b5": (1.6, 2.2, 456, 0.4),
    "effnet-b6": (1.8, 2.6, 528, 0.5),
    "effnet-b7": (2.0, 3.1, 600, 0.5),
}


def bases() -> Iterator[NetworkSpec]:
    """B0 to B7."""
    yield B0
    for name, (width, depth, resolution, dropout) in _OFFICIAL.items():
        scaled = scale(B0, Multipliers(depth, width), OFFICIAL)
        yield replace(scaled, name=name, resolution=resolution, head=replace(scaled.head, dropout=dropout))
