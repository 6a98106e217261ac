"""Cost from the tree of layers alone, in well under a millisecond for a block; no torch.

The conventions are fvcore's (one multiply-add = 1, one image, eval mode), and tests hold the two equal.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from scaler.cost.counts import Cost
from scaler.networks.layers import (
    Concat,
    Conv,
    Gate,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Residual,
    ResolutionTooSmallError,
    Seq,
    Shape,
)
from scaler.networks.lowering import lower, lower_block, lower_head
from scaler.networks.spec import Head, NetworkSpec, Stage, Style


@lru_cache(maxsize=65536)
def closed_form(spec: NetworkSpec) -> Cost:
    """Cost of a network at its resolution.

    Networks of one grid share most of their stages, so these are counted once and no network is lowered as
    a whole: a tree takes longer to make, and to look up, than to count.

    Raises:
        UserError: the resolution is too small for the network's strides.
    """
    shape: Shape = (3, spec.resolution, spec.resolution)
    style = replace(spec.style, drop_path=0.0)  # costs nothing
    total = Cost()
    try:
        for stage in (*spec.stem, *spec.stages):
            found, shape = _stage(stage, shape, style)
            total = total + found
        return total + _head(shape, spec.head, style, spec.classes)
    except (ResolutionTooSmallError, KeyError):
        lower(spec)  # says what is wrong with the network
        raise


@lru_cache(maxsize=65536)
def _stage(stage: Stage, shape: Shape, style: Style) -> tuple[Cost, Shape]:
    """Cost of a stage's blocks, and the shape that they leave."""
    total, alike = Cost(), replace(stage, depth=1)
    for index in range(stage.depth):
        found, shape = _block(alike, min(index, 1), shape, style)
        total = total + found
    return total, shape


@lru_cache(maxsize=65536)
def _block(stage: Stage, index: int, shape: Shape, style: Style) -> tuple[Cost, Shape]:
    block = lower_block(stage, index, shape[0], style)
    return layer_cost(block, shape), block.out(shape)


@lru_cache(maxsize=65536)
def _head(shape: Shape, head: Head, style: Style, classes: int) -> Cost:
    return layer_cost(lower_head(shape, head, style, classes), shape)


def layer_cost(layer: Layer, shape: Shape) -> Cost:
    """Cost of a layer, and of all it holds, for an input of ``shape``."""
    match layer:
        case Conv():
            return _conv(layer, shape)
        case Linear():
            macs = layer.c_in * layer.c_out
            return Cost(macs + layer.c_out, macs, macs, layer.c_out)
        case Norm():
            return Cost(2 * layer.channels, 2 * _size(shape))
        case GlobalPool():
            return Cost(flops=_size(shape))
        case Seq():
            return _seq(layer, shape)
        case Residual():
            added = layer_cost(layer.shortcut, shape) if layer.shortcut else Cost()
            after = layer_cost(layer.after, layer.out(shape)) if layer.after else Cost()
            return layer_cost(layer.body, shape) + added + after
        case Concat():
            return sum((layer_cost(branch, shape) for _, branch in layer.branches), Cost())
        case Gate():
            return layer_cost(layer.body, shape)
    return Cost()


def _size(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _conv(layer: Conv, shape: Shape) -> Cost:
    weights = layer.c_out * (layer.c_in // layer.groups) * layer.kernel[0] * layer.kernel[1]
    channels, height, width = layer.out(shape)
    macs = weights * height * width
    return Cost(weights + (channels if layer.bias else 0), macs, macs, channels * height * width)


def _seq(layer: Seq, shape: Shape) -> Cost:
    total = Cost()
    for _, child in layer.children:
        total = total + layer_cost(child, shape)
        shape = child.out(shape)
    return total
