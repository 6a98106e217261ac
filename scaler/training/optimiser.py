"""Optimisers, set up as a recipe says: SGD with Nesterov momentum, and Muon.

:class:`torch.optim.SGD` takes its steps by the same function as :class:`Descent`, but imports torch's
compiler first, as all of ``torch.optim`` does: two seconds of every process that trains, as long as
importing torch itself. So does ``torch.optim.Muon``, which steps matrices alone, and by bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from scaler.training.orthogonal import SHORTEST, orthogonal
from scaler.training.recipe import Recipe

_BUFFER = "momentum_buffer"

#: How far Muon moves what is no matrix, as a part of the learning rate.
OTHERS = 0.6


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
        gradients = self._gradients(which)
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

    def _gradients(self, which: range) -> dict[int, Tensor]:
        """Those that are there, by the parameter's number."""
        return {i: g for i in which if (g := self._parameters[i].grad) is not None}

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


class Muon(Descent):
    """Steps as long as the learning rate, whatever the gradients' size.

    A matrix ``[out, in]`` (a linear layer, the filters of a convolution) moves by the orthogonal matrix
    nearest to its momentum, times ``sqrt(max(1, out / in))``: as far as that changes the layer's outputs,
    one learning rate suits layers of all widths (Jordan et al. 2024; Bernstein & Newhouse 2024, arXiv
    2409.20325). Norms, biases and the filters of depthwise layers move by their momentum over its root mean
    square, times :data:`OTHERS`, as Pethick et al. 2025 (arXiv 2502.07529) do with what is no matrix. The
    weight decay is decoupled. For a layer of ``m`` outputs or inputs, whichever are fewer, and images of
    ``p`` places in batches of ``b``, a step costs about ``10 m / (3 b p)`` of its training FLOPs.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__(network, recipe)
        self._alike: dict[torch.Size, list[int]] = {}
        for i, parameter in enumerate(self._parameters):
            if is_matrix(parameter):
                self._alike.setdefault(parameter.flatten(1).shape, []).append(i)

    @torch.no_grad()
    def step(self) -> None:
        """One step by the gradients that are there."""
        moved = self._moved()
        alike = [here for numbers in self._alike.values() if (here := [i for i in numbers if i in moved])]
        stacks = [torch.stack([moved.pop(i).flatten(1) for i in here]) for here in alike]
        matrices: dict[int, Tensor] = {}
        for here, steps in zip(alike, orthogonal(stacks), strict=True):
            steps *= math.sqrt(max(1.0, steps.shape[1] / steps.shape[2]))
            matrices |= {i: s.view_as(self._parameters[i]) for i, s in zip(here, steps, strict=True)}
        self._decay(matrices)
        self._move(matrices)
        self._move(_of_one_size(moved))

    def _decay(self, numbers: Collection[int]) -> None:
        if numbers and self._recipe.weight_decay:
            kept = 1 - self.rate * self._recipe.weight_decay
            torch._foreach_mul_([self._parameters[i] for i in numbers], kept)  # type: ignore[arg-type]

    def _move(self, steps: Mapping[int, Tensor]) -> None:
        if steps:
            scaled = torch._foreach_mul(list(steps.values()), self.rate)
            torch._foreach_sub_([self._parameters[i] for i in steps], scaled)

    def _moved(self) -> dict[int, Tensor]:
        """Nesterov's momentum of every parameter with a gradient: of its running averages, the next one."""
        gradients, keep = self._gradients(range(len(self._parameters))), self._recipe.momentum
        for i in gradients:
            if self._momenta[i] is None:
                self._momenta[i] = torch.zeros_like(gradients[i])
        momenta = [m for i in gradients if (m := self._momenta[i]) is not None]
        torch._foreach_lerp_(momenta, list(gradients.values()), 1 - keep)
        return dict(zip(gradients, torch._foreach_lerp(list(gradients.values()), momenta, keep), strict=True))


#: What a recipe may name.
OPTIMISERS = {"sgd": Descent, "muon": Muon}


def optimiser(network: nn.Module, recipe: Recipe) -> Descent:
    """The recipe's, for a network."""
    return OPTIMISERS[recipe.optimiser](network, recipe)


def is_matrix(parameter: Tensor) -> bool:
    """Whether it maps several channels to others: no norm, no bias, no filter of one channel alone."""
    return parameter.ndim > 1 and parameter.shape[1] > 1


def _of_one_size(momenta: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Each over its root mean square, times :data:`OTHERS`."""
    if not momenta:
        return {}
    tensors = list(momenta.values())
    values = torch.tensor([tensor.numel() for tensor in tensors], device=tensors[0].device)
    sizes = torch.stack(torch._foreach_norm(tensors)).clamp_min(SHORTEST) / (OTHERS * values.sqrt())
    return dict(zip(momenta, torch._foreach_div(tensors, sizes.unbind()), strict=True))
