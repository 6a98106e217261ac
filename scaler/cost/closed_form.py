"""Cost from the tree of layers alone, in well under a millisecond for a block; no torch.

The conventions are fvcore's (one multiply-add = 1, one image, eval mode), and tests hold the two equal.
"""

from __future__ import annotations

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
    Seq,
    Shape,
)
from scaler.networks.lowering import lower
from scaler.networks.spec import NetworkSpec


@lru_cache(maxsize=65536)
def closed_form(spec: NetworkSpec) -> Cost:
    """Cost of a network at its resolution.

    Raises:
        UserError: the resolution is too small for the network's strides.
    """
    return layer_cost(lower(spec), (3, spec.resolution, spec.resolution))


@lru_cache(maxsize=65536)
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
