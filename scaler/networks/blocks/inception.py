"""Inception modules: branches on the same input, joined along the channels.

Their widths come from ``stage.branches``, in the order in which each module names them. An excitation
follows the joining (Hu et al., fig. 2).
"""

from __future__ import annotations

from itertools import pairwise

from scaler.networks.blocks.parts import unit, without_shortcut
from scaler.networks.layers import Concat, Layer, Pool, Seq, seq
from scaler.networks.spec import Stage, Style

Kernel = int | tuple[int, int]


def _chain(style: Style, widths: list[int], *kernels: Kernel, stride: int = 1, valid: bool = False) -> Seq:
    """Convolutions from ``widths[0]`` channels on; the last one has the stride and may be unpadded."""
    last = len(kernels) - 1
    return Seq(
        tuple(
            (
                str(index),
                unit(a, b, kernel, style, stride if index == last else 1, valid=valid and index == last),
            )
            for index, ((a, b), kernel) in enumerate(zip(pairwise(widths), kernels, strict=True))
        )
    )


def _joined(c_in: int, stage: Stage, style: Style, **branches: Layer) -> Layer:
    module = Concat(tuple(branches.items()))
    c_out = module.out((c_in, _ANY, _ANY))[0]
    return without_shortcut(module, c_in, c_out, stage.se, style)


#: Any size that all modules can take; channels do not depend on it.
_ANY = 64


def inception_v1(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """GoogLeNet's module: 1x1; 1x1 to 3x3; 1x1 to 3x3 (5x5 in the paper); pooling to 1x1."""
    one, reduce3, three, reduce5, five, pool = stage.branches
    return _joined(
        c_in, stage, style,
        one=_chain(style, [c_in, one], 1),
        three=_chain(style, [c_in, reduce3, three], 1, 3),
        five=_chain(style, [c_in, reduce5, five], 1, 3),
        pooled=seq(pool=Pool("max", 3, 1, 1), conv=unit(c_in, pool, 1, style)),
    )  # fmt: skip


def inception_a(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Szegedy et al., arXiv 1512.00567, fig. 5: 1x1; 1x1 to 5x5; 1x1 to two 3x3; pooling to 1x1."""
    one, reduce5, five, reduce3, middle, three, pool = stage.branches
    return _joined(
        c_in, stage, style,
        one=_chain(style, [c_in, one], 1),
        five=_chain(style, [c_in, reduce5, five], 1, 5),
        three=_chain(style, [c_in, reduce3, middle, three], 1, 3, 3),
        pooled=_pooled(c_in, pool, style),
    )  # fmt: skip


def inception_b(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """First reduction: 3x3; 1x1 to two 3x3; maximum pooling."""
    three, reduce, middle, stacked = stage.branches
    return _joined(
        c_in, stage, style,
        three=_chain(style, [c_in, three], 3, stride=stride, valid=stage.valid),
        stacked=_chain(style, [c_in, reduce, middle, stacked], 1, 3, 3, stride=stride, valid=stage.valid),
        pooled=_reduced(stage, stride),
    )  # fmt: skip


def inception_c(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Fig. 6 with n = 7: 1x1; 1x1, 1x7, 7x1; 1x1 and two pairs of 7x1, 1x7; pooling to 1x1."""
    one, a, b, seven, c, d, e, f, stacked, pool = stage.branches
    wide, tall = (1, 7), (7, 1)
    return _joined(
        c_in, stage, style,
        one=_chain(style, [c_in, one], 1),
        seven=_chain(style, [c_in, a, b, seven], 1, wide, tall),
        stacked=_chain(style, [c_in, c, d, e, f, stacked], 1, tall, wide, tall, wide),
        pooled=_pooled(c_in, pool, style),
    )  # fmt: skip


def inception_d(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Second reduction: 1x1 to 3x3; 1x1, 1x7, 7x1 to 3x3; maximum pooling."""
    reduce, three, a, b, c, seven = stage.branches
    return _joined(
        c_in, stage, style,
        three=_chain(style, [c_in, reduce, three], 1, 3, stride=stride, valid=stage.valid),
        seven=_chain(style, [c_in, a, b, c, seven], 1, (1, 7), (7, 1), 3, stride=stride, valid=stage.valid),
        pooled=_reduced(stage, stride),
    )  # fmt: skip


def inception_e(c_in: int, stage: Stage, stride: int, style: Style) -> Layer:
    """Fig. 7: 1x1; 1x1 to 1x3 beside 3x1; 1x1, 3x3 to 1x3 beside 3x1; pooling to 1x1."""
    one, reduce, wide, tall, reduce2, middle, wide2, tall2, pool = stage.branches
    return _joined(
        c_in, stage, style,
        one=_chain(style, [c_in, one], 1),
        three=seq(
            reduce=_chain(style, [c_in, reduce], 1),
            split=_split(reduce, wide, tall, style),
        ),
        stacked=seq(
            reduce=_chain(style, [c_in, reduce2, middle], 1, 3),
            split=_split(middle, wide2, tall2, style),
        ),
        pooled=_pooled(c_in, pool, style),
    )  # fmt: skip


def _split(c_in: int, wide: int, tall: int, style: Style) -> Concat:
    return Concat((("wide", unit(c_in, wide, (1, 3), style)), ("tall", unit(c_in, tall, (3, 1), style))))


def _pooled(c_in: int, width: int, style: Style) -> Seq:
    return seq(pool=Pool("avg", 3, 1, 1), conv=unit(c_in, width, 1, style))


def _reduced(stage: Stage, stride: int) -> Pool:
    return Pool("max", 3, stride, 0 if stage.valid else 1)
