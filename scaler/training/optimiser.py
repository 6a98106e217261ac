"""SGD with Nesterov momentum, set up as a recipe says.

:class:`torch.optim.SGD` takes its steps by the same function, but imports torch's compiler first: two seconds
of every process that trains, as long as importing torch itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from scaler.training.recipe import Recipe

_BUFFER = "momentum_buffer"


class Descent:
    """SGD for a network; the weight decay is on weights of convolutions and linear layers only.

    Norms' scales and shifts and all biases are the parameters of one dimension.

    Attributes:
        rate: learning rate of the next step; a tensor ``[]`` where it is only known on a device.
    """

    rate: float | Tensor

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        parameters = list(network.parameters())
        decayed = [p for p in parameters if p.ndim > 1]
        self.rate = recipe.learning_rate
        self._recipe = recipe
        self._parameters = [*decayed, *(p for p in parameters if p.ndim <= 1)]
        self._decayed = len(decayed)
        self._momenta: list[Tensor | None] = [None] * len(parameters)

    @torch.no_grad()
    def step(self) -> None:
        """One step by the gradients that are there."""
        self._step(range(self._decayed), self._recipe.weight_decay)
        self._step(range(self._decayed, len(self._parameters)), 0.0)

    def _step(self, which: range, weight_decay: float) -> None:
        gradients = {i: g for i in which if (g := self._parameters[i].grad) is not None}
        momenta = [self._momenta[i] for i in gradients]
        sgd(
            [self._parameters[i] for i in gradients],
            list(gradients.values()),
            momenta,
            fused=True,
            weight_decay=weight_decay,
            momentum=self._recipe.momentum,
            lr=self.rate,  # type: ignore[arg-type]  # a tensor too, where the step is fused
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )
        for i, momentum in zip(gradients, momenta, strict=True):
            self._momenta[i] = momentum

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What has to be known to go on, laid out as :class:`torch.optim.SGD` does."""
        return {"state": {i: {_BUFFER: m} for i, m in enumerate(self._momenta) if m is not None}}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from there."""
        for i, parameter in enumerate(self._parameters):
            momentum = saved["state"].get(i, {}).get(_BUFFER)
            self._momenta[i] = None if momentum is None else momentum.to(parameter).clone()
