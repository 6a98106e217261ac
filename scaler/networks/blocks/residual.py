"""Residual blocks."""

from __future__ import annotations

from scaler.networks.blocks.parts import norm, unit, with_shortcut
from scaler.networks.layers import Act, Layer, Seq, Subsample, conv, seq
from scaler.networks.spec import Stage, Style


def _projection(c_in: int, c_out: int, stride: int, style: Style) -> Layer | None:
    """A 1x1 convolution where the shortcut must change its shape (He et al. 2015, option B)."""
    return unit(c_in, c_out, 1, style, stride, act=False) if stride != 1 or c_in != c_out else None


def _two_convolutions(c_in: int, stage: Stage, stride: int, style: Style) -> Seq:
    return seq(
        first=unit(c_in, stage.width, stage.kernel, style, stride),
        second=unit(stage.width, stage.width, stage.kernel, style, act=False),
    )


def basic(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Two 3x3 convolutions (He et al., arXiv 1512.03385, fig. 5 left)."""
    body = _two_convolutions(c_in, stage, stride, style)
    shortcut = _projection(c_in, stage.width, stride, style)
    return with_shortcut(body, shortcut, c_in, stage.width, stage.se, style)


def basic_padded(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """The same with a shortcut without weights: every other pixel, new channels zero (option A)."""
    body = _two_convolutions(c_in, stage, stride, style)
    same = stride == 1 and c_in == stage.width
    shortcut = None if same else Subsample(stage.width, stride)
    return with_shortcut(body, shortcut, c_in, stage.width, stage.se, style)


def bottleneck(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """1x1, 3x3, 1x1 convolutions; the stride is in the 3x3 (v1.5), which may be grouped (ResNeXt).

    The inner width is ``expand`` times the output's.
    """
    inner = max(1, int(stage.width * stage.expand))
    groups = inner // stage.group_width if stage.group_width else 1
    body = seq(
        reduce=unit(c_in, inner, 1, style),
        spatial=unit(inner, inner, stage.kernel, style, stride, groups),
        expand=unit(inner, stage.width, 1, style, act=False),
    )
    shortcut = _projection(c_in, stage.width, stride, style)
    return with_shortcut(body, shortcut, c_in, stage.width, stage.se, style)


def preactivation(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Normalise and activate before each of two convolutions (Zagoruyko & Komodakis 2016).

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input.
    """
    width = stage.width
    start: dict[str, Layer] = {"norm": norm(c_in, style), "act": Act(style.activation)}
    rest: dict[str, Layer] = {
        "first": unit(c_in, width, stage.kernel, style, stride),
        "second": conv(width, width, stage.kernel, bias=style.conv_bias),
    }
    if stride == 1 and c_in == width:
        return with_shortcut(seq(**start, **rest), None, c_in, width, stage.se, style, act=False)
    shortcut = conv(c_in, width, 1, stride, bias=style.conv_bias)
    block = with_shortcut(seq(**rest), shortcut, c_in, width, stage.se, style, act=False)
    return seq(**start, block=block)
