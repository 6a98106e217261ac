"""SGD with Nesterov momentum, set up as a recipe says."""

from __future__ import annotations

import torch
from torch import nn

from scaler.training.recipe import Recipe


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD for a network; the weight decay is on weights of convolutions and linear layers only.

    Norms' scales and shifts and all biases are the parameters of one dimension.
    """
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True, fused=True
    )
