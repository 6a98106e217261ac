"""Blocks: functions ``(c_in, stage, stride, style) -> Layer``, all with the same arguments.

A new block is one function and one line in :data:`BLOCKS`. ``stride`` is the stage's for its first
block and 1 for the others; ``style.drop_path`` is the rate for this very block.
"""

from __future__ import annotations

from collections.abc import Callable

from scaler.networks.layers import (
    Act,
    Activation,
    DropPath,
    Gate,
    GlobalPool,
    Layer,
    Norm,
    Pool,
    Residual,
    Seq,
    conv,
    seq,
)
from scaler.networks.spec import Stage, Style

Block = Callable[[int, Stage, int, Style], Layer]


def norm(channels: int, style: Style) -> Norm:
    """Batch normalisation in the network's style."""
    return Norm(channels, style.norm_eps, style.norm_momentum)


def unit(
    c_in: int, c_out: int, kernel: int | tuple[int, int], style: Style, stride: int = 1, groups: int = 1,
    *, valid: bool = False, act: bool = True,
) -> Seq:  # fmt: skip
    """Convolution, normalisation, activation."""
    return seq(
        conv=conv(c_in, c_out, kernel, stride, groups, valid=valid, bias=style.conv_bias),
        norm=norm(c_out, style),
        act=Act(style.activation) if act else None,
    )


def excitation(channels: int, hidden: int, activation: Activation) -> Gate:
    """Squeeze-and-excitation: pool, two 1x1 convolutions with bias, sigmoid, multiply."""
    return Gate(
        seq(
            squeeze=GlobalPool(),
            reduce=conv(channels, hidden, 1, bias=True),
            act=Act(activation),
            expand=conv(hidden, channels, 1, bias=True),
            gate=Act("sigmoid"),
        )
    )


def drop_path(style: Style) -> DropPath | None:
    """Stochastic depth at the end of a residual branch, if the style asks for it."""
    return DropPath(style.drop_path) if style.drop_path > 0 else None


def plain(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Convolution, normalisation, activation: stems and plain networks."""
    return unit(c_in, stage.width, stage.kernel, style, stride, valid=stage.valid)


def maxpool(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Maximum pooling, in stems."""
    return Pool("max", stage.kernel, stride, 0 if stage.valid else stage.kernel // 2)


def mbconv(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Inverted residual (Sandler et al. 2018), with squeeze-and-excitation in EfficientNet.

    The excitation's hidden width comes from the block's input, not from the expanded channels, as in
    EfficientNet's code.
    """
    inner = int(c_in * stage.expand)
    hidden = max(1, int(c_in / stage.se.reduction)) if stage.se else 0
    keeps = stride == 1 and c_in == stage.width
    body = seq(
        expand=unit(c_in, inner, 1, style) if inner != c_in else None,
        depthwise=unit(inner, inner, stage.kernel, style, stride, groups=inner),
        se=excitation(inner, hidden, style.activation) if hidden else None,
        project=unit(inner, stage.width, 1, style, act=False),
        drop=drop_path(style) if keeps else None,
    )
    return Residual(body) if keeps else body


BLOCKS: dict[str, Block] = {
    "plain": plain,
    "maxpool": maxpool,
    "mbconv": mbconv,
}
