"""Which layers a DenseNet's layers read (Huang et al., arXiv 1608.06993, section 5 and figure 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaler.errors import UserError
from scaler.networks.build import Gate, Network


@dataclass(frozen=True)
class DenseBlock:
    """A dense block and what reads its output.

    Attributes:
        number: counted from 1.
        reader: ``transition`` or ``classifier``; a 1x1 convolution of the head counts as the latter.
        weights: ``[readers, sources]``: mean absolute weight of what the l-th reader has on the features of
            source s, over filters, pixels and the features of that source (so that sources of many features
            count no more than others: the paper's normalisation). Sources: the block's input, then its
            layers; readers: its layers, then ``reader``. NaN where a reader comes before a source.
    """

    number: int
    reader: str
    weights: NDArray[np.float64]

    @property
    def relative(self) -> NDArray[np.float64]:
        """Each reader's weights as parts of its largest: what the heat map shows."""
        largest: NDArray[np.float64] = self.weights / np.nanmax(self.weights, axis=1, keepdims=True)
        return largest

    def share_of_last(self, layers: int) -> float:
        """Part of the last reader's (mean absolute) weights that goes to the last layers of the block."""
        row = self.weights[-1]
        return float(row[-layers:].sum() / row.sum())


def dense_blocks(network: Network) -> list[DenseBlock]:
    """The dense blocks of a network.

    Raises:
        UserError: it has none.
    """
    stages = network.spec.stages
    dense = [number for number, stage in enumerate(stages) if stage.block == "dense"]
    if not dense:
        raise UserError(
            f"{network.spec.name} has no dense blocks, so no layer reads all before it: feature reuse is "
            "seen in a DenseNet, such as densenet-121 or densenet-bc-100-12"
        )
    return [_block(network, number, index) for index, number in enumerate(dense, 1)]


def _block(network: Network, number: int, index: int) -> DenseBlock:
    stage = network.spec.stages[number]
    block = network.get_submodule(f"stages.{number}")
    layers = [_first(layer, network) for layer in block.children()]
    widths = [layers[0].shape[1], *[stage.width] * stage.depth]
    at_end = number + 1 == len(network.spec.stages)
    after = network.get_submodule("head" if at_end else f"stages.{number + 1}")
    readers = [*layers, _first(after, network, linear=at_end)]
    weights = np.full((len(readers), len(widths)), np.nan)
    for place, weight in enumerate(readers):
        # Every reader but the first knows one source more than the one before it.
        known = min(place + 1, len(widths))
        per_feature = weight.abs().flatten(2).mean((0, 2)).double()
        for source, part in enumerate(torch.split(per_feature, widths[:known])):
            weights[place, source] = float(part.mean())
    return DenseBlock(index, "classifier" if at_end else "transition", weights)


def _first(part: nn.Module, network: Network, *, linear: bool = False) -> Tensor:
    """Weights ``[out, in, pixels]`` of the first layer that reads the features; excitations read none."""
    gates = [gate for gate in part.modules() if isinstance(gate, Gate)]
    excitations = {layer for gate in gates for layer in gate.modules()}
    kinds = (nn.Conv2d, nn.Linear) if linear else (nn.Conv2d,)
    for layer in part.modules():
        if isinstance(layer, kinds) and layer not in excitations:
            weight: Tensor = layer.weight.detach()
            if isinstance(layer, nn.Linear):
                # After pooling to more than one pixel, a feature has one weight for each.
                weight = weight.reshape(len(weight), -1, network.spec.head.pool**2)
            return weight.flatten(2) if weight.dim() > 2 else weight[..., None]
    raise UserError(f"{network.spec.name}: nothing reads the features of a dense block")
