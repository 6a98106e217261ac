"""Blocks with depthwise convolutions."""

from __future__ import annotations

from scaler.networks.blocks.parts import excitation, unit, with_shortcut, without_shortcut
from scaler.networks.layers import Layer, seq
from scaler.networks.spec import Stage, Style


def mbconv(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Inverted residual (Sandler et al. 2018), with squeeze-and-excitation in EfficientNet.

    At the standard position the excitation works on the expanded channels, and its hidden width comes
    from the block's input, as in EfficientNet's code; at the others it is as in any residual block, and
    blocks without shortcut have none at ``identity``.
    """
    inner = max(1, int(c_in * stage.expand))
    inside = stage.se if stage.se and stage.se.position == "standard" else None
    outside = None if inside else stage.se
    hidden = max(1, int(c_in / inside.reduction)) if inside else 0
    body = seq(
        expand=unit(c_in, inner, 1, style) if inner != c_in else None,
        depthwise=unit(inner, inner, stage.kernel, style, stride, groups=inner),
        se=excitation(inner, hidden, style.activation) if hidden else None,
        project=unit(inner, stage.width, 1, style, act=False),
    )
    if stride == 1 and c_in == stage.width:
        return with_shortcut(body, None, c_in, stage.width, outside, style, act=False)
    if outside and outside.position == "identity":
        return body
    return without_shortcut(body, c_in, stage.width, outside, style)


def separable(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Depthwise and pointwise convolution (Howard et al. 2017), each normalised and activated."""
    body = seq(
        depthwise=unit(c_in, c_in, stage.kernel, style, stride, groups=c_in),
        pointwise=unit(c_in, stage.width, 1, style),
    )
    return without_shortcut(body, c_in, stage.width, stage.se, style)
