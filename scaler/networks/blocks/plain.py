"""Blocks without shortcut: convolutions and pooling of stems and plain networks."""

from __future__ import annotations

from scaler.networks.blocks.parts import unit, without_shortcut
from scaler.networks.layers import Layer, Pool, conv
from scaler.networks.spec import Stage, Style


def bare(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """A convolution alone: the stem of networks whose blocks normalise their input."""
    return conv(c_in, stage.width, stage.kernel, stride, valid=stage.valid, bias=style.conv_bias)


def plain(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Convolution, normalisation, activation; its excitation follows the activation."""
    body = unit(c_in, stage.width, stage.kernel, style, stride, valid=stage.valid)
    return without_shortcut(body, c_in, stage.width, stage.se, style)


def maxpool(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Maximum pooling."""
    return Pool("max", stage.kernel, stride, 0 if stage.valid else (stage.kernel - 1) // 2)


def maxpool_ceil(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Maximum pooling whose last window may reach over the edge (GoogLeNet)."""
    return Pool("max", stage.kernel, stride, ceil=True)
