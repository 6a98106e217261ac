"""Counts by fvcore, which traces the built network: the measure that everything else is held against.

fvcore runs what it traces, so everything is counted on a copy in eval mode, without gradients, on one
real image on the CPU (its tracer fails on meta and fake tensors), and torch's random state is kept.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.activation_count import _DEFAULT_SUPPORTED_OPS as _ACTIVATION_HANDLES
from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as _FLOP_HANDLES
from torch import nn

from scaler.cost.counts import Cost
from scaler.errors import UserError
from scaler.networks.build import Network, module
from scaler.networks.layers import Concat, Gate, Layer, Linear, Residual, Seq, Shape
from scaler.networks.lowering import lower
from scaler.networks.python_network import PythonNetwork
from scaler.networks.spec import NetworkSpec

#: fvcore's names for what papers call multiply-adds; the rest of its total is norms and pooling.
_MAC_OPERATORS = ("conv", "linear", "addmm", "matmul", "mm", "bmm", "einsum")

#: What the activations are noted as, beside fvcore's names of operators.
_ACTIVATIONS = "activations"


def count(spec: NetworkSpec) -> Cost:
    """Cost of the whole built network; ``flops`` is exactly fvcore's total.

    Takes 0.2 s for EfficientNet-B0 and several seconds for large networks; :func:`count_by_blocks`
    gives the same number sooner.

    Raises:
        UserError: the resolution is too small for the network's strides, or nothing in it costs anything.
    """
    with torch.random.fork_rng(devices=[]):
        found = _trace(Network(spec), (3, spec.resolution, spec.resolution))
    if found.flops == 0:
        raise UserError(
            f"fvcore counts no FLOPs in {spec.name}, so there is no budget to spend on it: "
            "use layers of torch.nn, or functions of torch.nn.functional"
        )
    return found


def count_by_blocks(spec: NetworkSpec) -> Cost:
    """The same number as :func:`count`, tracing every distinct block and input shape once per process.

    A network that is the user's own code has no blocks to see; it is traced whole, once.

    Raises:
        UserError: the resolution is too small for the network's strides.
    """
    if isinstance(spec, PythonNetwork):
        return _count_once(spec)
    shape = (3, spec.resolution, spec.resolution)
    # Stochastic depth costs nothing, and its rates would tell apart blocks that are alike.
    tree = lower(spec.without_regularisation())
    return sum((_count_block(layer, size) for layer, size in _blocks(tree, shape)), Cost())


def count_module(network: nn.Module, resolution: int) -> Cost:
    """Cost of any network that takes images ``[1, 3, R, R]``; the network itself is left as it is.

    Raises:
        UserError: the network cannot be run on such an image.
    """
    try:
        return _trace(copy.deepcopy(network).cpu(), (3, resolution, resolution))
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{type(network).__name__} cannot be counted on an image of {resolution} px: {reason}"
        ) from error


def _blocks(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """The parts of a tree that are traced as a whole, with their input shapes.

    A sequence of simple layers is one part; one that holds larger parts is taken apart.
    """
    if isinstance(layer, Seq) and any(
        isinstance(child, Seq | Residual | Concat | Gate) for _, child in layer.children
    ):
        for _, child in layer.children:
            yield from _blocks(child, shape)
            shape = child.out(shape)
    else:
        yield layer, shape


@lru_cache(maxsize=4096)
def _count_once(spec: PythonNetwork) -> Cost:
    return count(spec)


@lru_cache(maxsize=65536)
def _count_block(layer: Layer, shape: Shape) -> Cost:
    with torch.random.fork_rng(devices=[]):
        # Linear layers take rows of features, which are shapes (features, 1, 1) in the tree.
        return _trace(module(layer), shape[:1] if isinstance(layer, Linear) else shape)


def _trace(network: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Count a network on one random input of ``shape``; the network is put into eval mode.

    FLOPs and activations come from one trace, where fvcore's two analyses would run the network twice.
    """
    network.eval()
    params = sum(parameter.numel() for parameter in network.parameters())
    with _quiet(), torch.random.fork_rng(devices=[]):
        analysis = FlopCountAnalysis(network, torch.rand(1, *shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.set_op_handle(**{name: _with_activations(name) for name in _ACTIVATION_HANDLES})
        found = Counter(analysis.by_operator())
    activations = found.pop(_ACTIVATIONS, 0)
    macs = sum(found[name] for name in _MAC_OPERATORS)
    return Cost(params, int(sum(found.values())), int(macs), int(activations))


def _with_activations(operator: str) -> Callable[[list[Any], list[Any]], Counter[str]]:
    """fvcore's counter of an operator's FLOPs that notes its activations as well."""

    def counted(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        flops = _FLOP_HANDLES[operator](inputs, outputs)
        activations = _ACTIVATION_HANDLES[operator](inputs, outputs)
        found = Counter(flops if isinstance(flops, Counter) else {operator.partition("::")[2]: flops})
        found[_ACTIVATIONS] = sum(activations.values()) if isinstance(activations, Counter) else activations
        return found

    return counted


@contextmanager
def _quiet() -> Iterator[None]:
    """Without gradients, and without the warnings of torch's tracer."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield
