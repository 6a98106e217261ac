"""Blocks of DenseNet (Huang et al., arXiv 1608.06993)."""

from __future__ import annotations

from scaler.networks.blocks.parts import gate, norm, unit
from scaler.networks.layers import Act, Concat, Layer, Pool, Seq, conv, seq
from scaler.networks.spec import Stage, Style


def dense(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """A layer whose ``width`` new features join its input; it has no stride.

    With ``expand`` a 1x1 convolution to ``expand`` times as many channels comes first (DenseNet-B).
    An excitation stands on the new features, before the layer, after the joining or on the input passed on.
    """
    growth, se = stage.width, stage.se
    inner = int(growth * stage.expand) or c_in
    features = seq(
        pre=gate(se, c_in, style, "pre"),
        norm=norm(c_in, style),
        act=Act(style.activation),
        bottleneck=unit(c_in, inner, 1, style) if stage.expand else None,
        conv=conv(inner, growth, stage.kernel, bias=style.conv_bias),
        se=gate(se, growth, style, "standard"),
    )
    passed: Layer = seq(se=gate(se, c_in, style, "identity"))
    joined = Concat((("passed", passed), ("features", features)))
    after = gate(se, c_in + growth, style, "post")
    return seq(joined=joined, se=after) if after is not None else joined


def transition(c_in: int, stage: Stage, stride: int, style: Style) -> Seq:
    """Between dense stages: a 1x1 convolution to ``expand`` times the channels, and average pooling."""
    return seq(
        norm=norm(c_in, style),
        act=Act(style.activation),
        conv=conv(c_in, max(1, int(c_in * stage.expand)), 1, bias=style.conv_bias),
        pool=Pool("avg", stride, stride) if stride > 1 else None,
    )
