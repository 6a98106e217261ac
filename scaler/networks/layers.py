"""Layers as data: a tree that is counted in closed form and built as a torch module. No torch here.

Every network is lowered to one such tree (:func:`scaler.networks.lowering.lower`), and the tree is read
twice: by :mod:`scaler.cost.closed_form` and by :mod:`scaler.networks.build`. So a network is never
described a second time for the sake of counting it.

A shape is ``(channels, height, width)`` of one image; after :class:`Flatten` it is ``(features, 1, 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaler.errors import UserError

Shape = tuple[int, int, int]
Pair = tuple[int, int]
Activation = Literal["relu", "relu6", "silu", "sigmoid"]


class ResolutionTooSmallError(UserError):
    """A layer's input is smaller than its kernel or its stride allows."""


def _slide(size: int, kernel: int, stride: int, padding: int, ceil: bool = False) -> int:
    """Output size of a sliding window along one dimension (torch's own rule, ceil mode included)."""
    if size < stride or size + 2 * padding < kernel:
        raise ResolutionTooSmallError(
            f"a map of {size} px is too small for a kernel of {kernel} with stride {stride}"
        )
    span = size + 2 * padding - kernel
    if not ceil:
        return span // stride + 1
    out = -(-span // stride) + 1
    return out - 1 if (out - 1) * stride >= size + padding else out


@dataclass(frozen=True)
class Conv:
    """2-d convolution. A depthwise one has ``groups == c_in``."""

    c_in: int
    c_out: int
    kernel: Pair
    stride: int = 1
    padding: Pair = (0, 0)
    groups: int = 1
    bias: bool = False

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        return (
            self.c_out,
            _slide(height, self.kernel[0], self.stride, self.padding[0]),
            _slide(width, self.kernel[1], self.stride, self.padding[1]),
        )


@dataclass(frozen=True)
class Norm:
    """Batch normalisation with scale and shift."""

    channels: int
    eps: float = 1e-5
    momentum: float = 0.1

    def out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Act:
    """An activation function; costs nothing, as in fvcore."""

    name: Activation

    def out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Pool:
    """Maximum or average over a sliding window; costs nothing, as in fvcore."""

    kind: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        window = (self.kernel, self.stride, self.padding, self.ceil)
        return channels, _slide(height, *window), _slide(width, *window)


@dataclass(frozen=True)
class GlobalPool:
    """Adaptive average pooling to ``size`` x ``size``; fvcore counts one FLOP per input."""

    size: int = 1

    def out(self, shape: Shape) -> Shape:
        return shape[0], self.size, self.size


@dataclass(frozen=True)
class Flatten:
    """To one row of features."""

    def out(self, shape: Shape) -> Shape:
        return shape[0] * shape[1] * shape[2], 1, 1


@dataclass(frozen=True)
class Linear:
    """Fully connected layer with bias."""

    c_in: int
    c_out: int

    def out(self, shape: Shape) -> Shape:
        return self.c_out, 1, 1


@dataclass(frozen=True)
class Dropout:
    """Zero single features in training."""

    rate: float

    def out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class DropPath:
    """Stochastic depth: zero the whole branch of an image in training (Huang et al. 2016)."""

    rate: float

    def out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Seq:
    """Named layers, one after another."""

    children: tuple[tuple[str, Layer], ...]

    def out(self, shape: Shape) -> Shape:
        for _, layer in self.children:
            shape = layer.out(shape)
        return shape


@dataclass(frozen=True)
class Residual:
    """``activation(body(x) + shortcut(x))``; no shortcut layer means the identity."""

    body: Layer
    shortcut: Layer | None = None
    after: Layer | None = None

    def out(self, shape: Shape) -> Shape:
        return self.body.out(shape)


@dataclass(frozen=True)
class Concat:
    """Named branches on the same input, joined along the channels. An empty Seq passes its input on."""

    branches: tuple[tuple[str, Layer], ...]

    def out(self, shape: Shape) -> Shape:
        shapes = [branch.out(shape) for _, branch in self.branches]
        return sum(channels for channels, _, _ in shapes), shapes[0][1], shapes[0][2]


@dataclass(frozen=True)
class Subsample:
    """Every ``stride``-th pixel, and zeros for further channels: a shortcut without weights.

    He et al., arXiv 1512.03385, section 3.3, option A. Costs nothing, as in fvcore.
    """

    c_out: int
    stride: int

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        return self.c_out, -(-height // self.stride), -(-width // self.stride)


@dataclass(frozen=True)
class Gate:
    """``x * body(x)``: squeeze-and-excitation multiplies every channel with its excitation."""

    body: Layer

    def out(self, shape: Shape) -> Shape:
        return shape


Layer = (
    Conv
    | Norm
    | Act
    | Pool
    | GlobalPool
    | Flatten
    | Linear
    | Dropout
    | DropPath
    | Seq
    | Residual
    | Concat
    | Subsample
    | Gate
)


def seq(**layers: Layer | None) -> Seq:
    """Layers by name, in order; those that are None are left out."""
    return Seq(tuple((name, layer) for name, layer in layers.items() if layer is not None))


def numbered(layers: list[Layer]) -> Seq:
    """Layers named 0, 1, 2, ..."""
    return Seq(tuple((str(index), layer) for index, layer in enumerate(layers)))


def conv(
    c_in: int,
    c_out: int,
    kernel: int | Pair,
    stride: int = 1,
    groups: int = 1,
    *,
    valid: bool = False,
    bias: bool = False,
) -> Conv:
    """A convolution padded so that stride 1 keeps the size, or not padded at all (``valid``)."""
    pair = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (0, 0) if valid else (pair[0] // 2, pair[1] // 2)
    return Conv(c_in, c_out, pair, stride, padding, groups, bias)
