"""Cost from the tree of layers alone, in well under a millisecond for a block; no torch.

The conventions are fvcore's (one multiply-add = 1, one image, eval mode), and tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

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
from scaler.networks.python_network import PythonNetwork
from scaler.networks.scale import identity
from scaler.networks.spec import NetworkSpec


@dataclass(frozen=True)
class Cost:
    """Counts for one image.

    Attributes:
        params: trainable numbers.
        flops: fvcore's total: multiply-adds, plus 2 per normalised and 1 per adaptively pooled value.
        macs: multiply-adds of convolutions and linear layers, as papers print.
        activations: outputs of convolutions and linear layers.
    """

    params: int = 0
    flops: int = 0
    macs: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.flops + other.flops,
            self.macs + other.macs,
            self.activations + other.activations,
        )


@lru_cache(maxsize=65536)
def cost(spec: NetworkSpec) -> Cost:
    """Cost of a network at its resolution; fvcore counts one that is the user's own code.

    Raises:
        UserError: the resolution is too small for the network's strides, or the user's code fails.
    """
    if isinstance(spec, PythonNetwork):
        return _traced(_Own(identity(spec), spec))
    return layer_cost(lower(spec), (3, spec.resolution, spec.resolution))


@dataclass(frozen=True)
class _Own:
    """A network of the user's own code, equal to all that it realises equally."""

    identity: Hashable
    spec: PythonNetwork = field(compare=False)


@lru_cache(maxsize=4096)
def _traced(own: _Own) -> Cost:
    """The one cost without a closed form; only it needs torch, so the import waits until then."""
    from scaler.cost.counting import count

    return count(own.spec)


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
