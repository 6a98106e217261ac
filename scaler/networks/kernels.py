"""Faster gradients on a CPU, equal to torch's own but for rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Pair = tuple[int, int]

#: Widest kernel whose weight gradient oneDNN computes with vector code; beyond it is 4 to 15 times slower.
FAST_COLUMNS = 3


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with a kernel wider than 3, for training on a CPU.

    In eval mode and elsewhere it is :class:`torch.nn.Conv2d`. In training the gradient of its weights
    is put together from kernels of 3 columns (see :func:`weight_gradient`).
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        assert isinstance(self.padding, tuple)
        out: Tensor = _Depthwise.apply(input, self.weight, self.stride, self.padding)  # type: ignore[no-untyped-call]
        return out if self.bias is None else out + self.bias[:, None, None]


def suits(kernel: Pair, padding: Pair) -> bool:
    """Whether :class:`DepthwiseConv2d` computes a depthwise convolution of this kernel, and faster."""
    rows, columns = kernel
    return rows > 1 and columns > FAST_COLUMNS and columns % 2 == 1 and padding[1] == columns // 2


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

    The three columns in the middle are the gradient of a kernel of 3 columns. Any column further out is
    the outer one of such a kernel on the input moved sideways. Maps no higher than the kernel get their
    padding as rows of zeros, for oneDNN has vector code only where a window is not mostly padding.

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
    farthest = columns // 2 - 1
    parts = []
    for shift in range(farthest, -farthest - 1, -1):
        if abs(shift) >= x.shape[3]:  # moved out of sight
            parts.append(weight.new_zeros(channels, 1, rows, 1))
            continue
        moved = functional.pad(x, (shift, -shift, explicit, explicit)) if shift or explicit else x
        part = _convolution_backward(
            gradient, moved, narrow, stride, (padding[0] - explicit, 1), to_weight=True
        )
        parts.append(part[..., :1] if shift > 0 else part[..., -1:] if shift < 0 else part)
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
