"""Faster layers for training on a CPU, and a faster network for evaluation; torch's but for rounding.

Each module here is torch's module of the same purpose, with the same parameters, and is that module in eval
mode, on a GPU, and wherever its own way would be slower. docs/speed.md has what each is worth.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Pair = tuple[int, int]

#: Widest kernel whose weight gradient oneDNN computes with vector code; beyond it is 4 to 15 times slower.
FAST_COLUMNS = 3

#: Largest map, in pixels, on which a pointwise convolution is faster as a matrix product.
PRODUCT_PIXELS = 64


def suits(kernel: Pair, padding: Pair) -> bool:
    """Whether :class:`DepthwiseConv2d` computes a depthwise convolution of this kernel, and faster."""
    rows, columns = kernel
    return rows > 1 and columns > FAST_COLUMNS and columns % 2 == 1 and padding[1] == columns // 2


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with a kernel wider than 3, for training on a CPU.

    The gradient of its weights is put together from kernels of 3 columns (see :func:`weight_gradient`).
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        assert isinstance(self.padding, tuple)
        out: Tensor = _Depthwise.apply(input, self.weight, self.stride, self.padding)  # type: ignore[no-untyped-call]
        return out if self.bias is None else out + self.bias[:, None, None]


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1, as a matrix product on small maps."""

    def forward(self, input: Tensor) -> Tensor:
        pixels = input.shape[2] * input.shape[3]
        if not self.training or input.device.type != "cpu" or pixels > PRODUCT_PIXELS:
            return super().forward(input)
        out = functional.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return out.permute(0, 3, 1, 2)


class GlobalMean(nn.AdaptiveAvgPool2d):
    """The mean of every map, whose gradient is not written out for every pixel."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        out: Tensor = _Mean.apply(input)  # type: ignore[no-untyped-call]
        return out


def folded(network: nn.Module) -> nn.Module:
    """The network for evaluation, with the norms folded into the convolutions before them.

    What is not folded shares its weights with the network: copying all took a third of a small evaluation.

    Args:
        network: built of layers; in a user's own code a sequence need not run in its order.
    """
    evaluated = copy.copy(network)
    evaluated.training = False
    evaluated._modules = {name: folded(part) for name, part in network.named_children()}
    if not isinstance(evaluated, nn.Sequential):
        return evaluated
    for (name, convolution), (other, norm) in pairwise(list(evaluated.named_children())):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            evaluated.add_module(name, fuse_conv_bn_eval(convolution, norm))
            evaluated.add_module(other, nn.Identity())
    return evaluated


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return x.mean((2, 3), keepdim=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        to_pixel: Tensor = gradients[0] / (ctx.shape[2] * ctx.shape[3])
        return to_pixel.expand(ctx.shape)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        to_input = (
            _convolution_backward(gradient, x, weight, ctx.stride, ctx.padding, to_weight=False)
            if ctx.needs_input_grad[0]
            else None
        )
        to_weight = weight_gradient(gradient, x, weight, ctx.stride, ctx.padding)
        return to_input, to_weight, None, None


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Gradient of a depthwise convolution's weights ``[C, 1, K, L]``, L odd and padded by L // 2.

    Any three neighbouring columns are the gradient of a kernel of 3 columns on the input with its padding
    on the sides written out and cut to them. Maps no higher than the kernel get their padding above and
    below written out too, for oneDNN has vector code only where a window is not mostly padding.

    Args:
        gradient: of the output, ``[N, C, H', W']``.
        x: input, ``[N, C, H, W]``.
        weight: only its shape and type count.
        stride: of the convolution.
        padding: of the convolution.
    """
    channels, _, rows, columns = weight.shape
    narrow = weight.new_empty(channels, 1, rows, FAST_COLUMNS)
    explicit = padding[0] if x.shape[2] <= rows else 0
    parts = []
    for first in range(0, columns, FAST_COLUMNS):
        start = min(first, columns - FAST_COLUMNS)
        left, right = padding[1] - start, start + FAST_COLUMNS - 1 - padding[1]
        if x.shape[3] + min(left, right) <= 0:  # these columns see padding alone
            parts.append(weight.new_zeros(channels, 1, rows, FAST_COLUMNS)[..., first - start :])
            continue
        padded = functional.pad(x, (left, right, explicit, explicit))
        part = _convolution_backward(
            gradient, padded, narrow, stride, (padding[0] - explicit, 0), to_weight=True
        )
        parts.append(part[..., first - start :])
    return torch.cat(parts, dim=3)


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, *, to_weight: bool
) -> Tensor:
    """Gradient of a depthwise convolution's weights, or of its input."""
    mask = [not to_weight, to_weight, False]
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), mask
    )
    result: Tensor = gradients[1 if to_weight else 0]
    return result
