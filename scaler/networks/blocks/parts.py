"""What blocks are put together from."""

from __future__ import annotations

from scaler.errors import UserError
from scaler.networks.layers import (
    Act,
    Activation,
    DropPath,
    Gate,
    GlobalPool,
    Layer,
    Norm,
    Residual,
    Seq,
    conv,
    seq,
)
from scaler.networks.spec import Position, SqueezeExcite, Style


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


def gate(se: SqueezeExcite | None, channels: int, style: Style, *positions: Position) -> Gate | None:
    """The excitation of ``channels``, if the setting asks for one at one of these positions."""
    if se is None or se.position not in positions:
        return None
    return excitation(channels, max(1, int(channels // se.reduction)), style.activation)


def drop_path(style: Style) -> DropPath | None:
    """Stochastic depth at the end of a residual branch, if the style asks for it."""
    return DropPath(style.drop_path) if style.drop_path > 0 else None


def without_shortcut(body: Layer, c_in: int, c_out: int, se: SqueezeExcite | None, style: Style) -> Layer:
    """A block without shortcut, with its excitation before or after it.

    Raises:
        UserError: the excitation is to stand on the shortcut.
    """
    if se is None:
        return body
    if se.position == "identity":
        raise UserError(
            "squeeze-and-excitation at position identity needs blocks with a shortcut; use standard"
        )
    return seq(pre=gate(se, c_in, style, "pre"), body=body, se=gate(se, c_out, style, "standard", "post"))


def with_shortcut(
    body: Seq, shortcut: Layer | None, c_in: int, c_out: int, se: SqueezeExcite | None, style: Style,
    *, act: bool = True,
) -> Layer:  # fmt: skip
    """A residual block with its excitation at one of four positions (Hu et al., fig. 5).

    ``standard`` is before the addition, ``pre`` before the branch, ``post`` after the addition and its
    activation, ``identity`` on the shortcut.
    """
    on_shortcut = gate(se, c_out, style, "identity")
    if on_shortcut is not None:
        shortcut = seq(project=shortcut, se=on_shortcut)
    start = seq(pre=gate(se, c_in, style, "pre"))
    end = seq(se=gate(se, c_out, style, "standard"), drop=drop_path(style))
    branch = Seq((*start.children, *body.children, *end.children))
    block = Residual(branch, shortcut, Act(style.activation) if act else None)
    after = gate(se, c_out, style, "post")
    return seq(block=block, se=after) if after is not None else block
