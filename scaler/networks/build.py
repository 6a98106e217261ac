"""From a tree of layers to a torch module: the only way to a network that trains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch

import torch
from torch import Tensor, nn

from scaler.networks import layers
from scaler.networks.kernels import DepthwiseConv2d, GlobalMean, PointwiseConv2d, suits
from scaler.networks.lowering import lower
from scaler.networks.python_network import PythonNetwork, construct
from scaler.networks.spec import NetworkSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}


class Residual(nn.Module):
    """``after(body(x) + shortcut(x))``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.after = body, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.after(self.body(x) + self.shortcut(x))
        return out


class Concat(nn.Module):
    """Branches on the same input, joined along the channels."""

    def __init__(self, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


class Gate(nn.Module):
    """``x * body(x)``."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.body(x)
        return out


class Subsample(nn.Module):
    """Every ``stride``-th pixel, with zero channels after the given ones; surplus channels are cut."""

    def __init__(self, c_out: int, stride: int) -> None:
        super().__init__()
        self.c_out, self.stride = c_out, stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.c_out - x.shape[1]))


class DropPath(nn.Module):
    """Zero the branch of some images in training and scale the others up, so that the mean stays."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
        return x * mask / keep


class Network(nn.Sequential):
    """A built network with its ``spec``: images ``[N, 3, R, R]`` to scores ``[N, classes]``.

    Its parts are ``stem``, ``stages`` and ``head``, or ``network`` alone if it is the user's own code.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        if isinstance(spec, PythonNetwork):
            parts = {"network": construct(spec)}
        else:
            parts = {name: module(layer) for name, layer in lower(spec).children}
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.spec = spec


def build(spec: NetworkSpec, *, short_training: bool = False) -> Network:
    """Build and initialise a network; the weights come from torch's global generator.

    A network that is the user's own code starts as that code leaves it.

    Args:
        spec: the network.
        short_training: start as :func:`start_evenly` says.

    Raises:
        UserError: the resolution is too small for the network's strides, or the user's code fails.
    """
    network = Network(spec)
    if not isinstance(spec, PythonNetwork):
        initialise(network)
        if short_training:
            start_evenly(network)
    return network


def initialise(network: nn.Module) -> None:
    """He initialisation of convolutions (fan out); linear layers normal with deviation 0.01."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.zeros_(part.bias)


def start_evenly(network: nn.Module) -> None:
    """Make short trainings depend less on depth and on the luck of the first weights.

    Every residual branch starts at zero, by its last norm or convolution, which helps deep networks (Goyal
    et al. 2017, sec. 5.1). Convolutions that mix channels start orthogonal (Saxe et al. 2014): in layers
    of a few channels, rows drawn independently are often nearly parallel, and the network then lags.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d) and part.groups == 1:
            nn.init.orthogonal_(part.weight, gain=math.sqrt(2))
    for part in network.modules():
        if isinstance(part, Residual):
            for layer in list(_scaling_layers(part.body))[-1:]:
                nn.init.zeros_(layer.weight)


def _scaling_layers(branch: nn.Module) -> Iterator[nn.Conv2d | nn.BatchNorm2d]:
    """Convolutions and norms of a residual branch in order, without those that compute a gate.

    Zeroing the last one zeroes the branch. That is a norm, except with pre-activation: there a convolution
    follows, and a norm at zero before an activation would never get a gradient.
    """
    for child in branch.children():
        if isinstance(child, nn.Conv2d | nn.BatchNorm2d):
            yield child
        elif not isinstance(child, Gate):
            yield from _scaling_layers(child)


@singledispatch
def module(layer: layers.Layer) -> nn.Module:
    """The torch module of a layer."""
    raise TypeError(f"no module for {layer!r}")


@module.register
def _(layer: layers.Conv) -> nn.Module:
    return _convolution(layer)(
        layer.c_in,
        layer.c_out,
        layer.kernel,
        layer.stride,
        layer.padding,
        groups=layer.groups,
        bias=layer.bias,
    )


def _convolution(layer: layers.Conv) -> type[nn.Conv2d]:
    """Where there is a faster one than torch's, that."""
    if layer.groups == layer.c_in == layer.c_out and suits(layer.kernel, layer.padding):
        return DepthwiseConv2d
    if layer.kernel == (1, 1) and layer.stride == layer.groups == 1 and layer.padding == (0, 0):
        return PointwiseConv2d
    return nn.Conv2d


@module.register
def _(layer: layers.Norm) -> nn.Module:
    return nn.BatchNorm2d(layer.channels, eps=layer.eps, momentum=layer.momentum)


@module.register
def _(layer: layers.Act) -> nn.Module:
    kind = _ACTIVATIONS[layer.name]
    # In place only where the gradient needs no input: SiLU and sigmoid would copy theirs first.
    return kind(inplace=True) if kind in (nn.ReLU, nn.ReLU6) else kind()


@module.register
def _(layer: layers.Pool) -> nn.Module:
    if layer.kind == "max":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding, ceil_mode=layer.ceil)
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding, ceil_mode=layer.ceil)


@module.register
def _(layer: layers.GlobalPool) -> nn.Module:
    return GlobalMean(1) if layer.size == 1 else nn.AdaptiveAvgPool2d(layer.size)


@module.register
def _(layer: layers.Flatten) -> nn.Module:
    return nn.Flatten(1)


@module.register
def _(layer: layers.Linear) -> nn.Module:
    return nn.Linear(layer.c_in, layer.c_out)


@module.register
def _(layer: layers.Dropout) -> nn.Module:
    return nn.Dropout(layer.rate)


@module.register
def _(layer: layers.DropPath) -> nn.Module:
    return DropPath(layer.rate)


@module.register
def _(layer: layers.Seq) -> nn.Module:
    sequence = nn.Sequential()
    for name, child in layer.children:
        sequence.add_module(name, module(child))
    return sequence


@module.register
def _(layer: layers.Residual) -> nn.Module:
    shortcut = nn.Identity() if layer.shortcut is None else module(layer.shortcut)
    after = nn.Identity() if layer.after is None else module(layer.after)
    return Residual(module(layer.body), shortcut, after)


@module.register
def _(layer: layers.Concat) -> nn.Module:
    return Concat({name: module(branch) for name, branch in layer.branches})


@module.register
def _(layer: layers.Subsample) -> nn.Module:
    return Subsample(layer.c_out, layer.stride)


@module.register
def _(layer: layers.Gate) -> nn.Module:
    return Gate(module(layer.body))
