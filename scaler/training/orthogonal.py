"""The orthogonal matrices nearest to others, by Newton-Schulz steps; many matrices of many shapes at once.

A thin network has dozens of small matrices, and the calls that multiply them cost more than the products.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

#: Newton-Schulz steps, and the coefficients of each: ``a X + b (X X') X + c (X X')^2 X``. They bring all
#: singular values near one, between .7 and 1.2, in few steps (Jordan et al. 2024,
#: kellerjordan.github.io/posts/muon).
_STEPS, _COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)
#: Matrices shorter than this stay the shorter the shorter they are.
SHORTEST = 1e-8
#: Squares of fewer rows are filled up with zeros to so many, and take their steps together.
_ROWS = 16


@torch.no_grad()
def orthogonal(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Nearly the orthogonal matrices nearest to those of some stacks ``[B, out, in]``.

    Those of zeros stay as they are. A step multiplies ``X`` with a polynomial in ``X X'``. So that square
    alone takes the steps, and ``X`` is multiplied once, with the product of all polynomials: half the work
    for matrices six times as long as high. That takes single precision: with bfloat16's products the squares
    of small singular values are rounding, turn negative and grow.
    """
    flat = [stack if stack.shape[1] <= stack.shape[2] else stack.mT for stack in stacks]
    together: dict[int, list[int]] = {}
    for i, stack in enumerate(flat):
        together.setdefault(max(stack.shape[1], _ROWS), []).append(i)
    found = list(stacks)
    for rows, those in together.items():
        squares = torch.cat([_filled_up(flat[i] @ flat[i].mT, rows) for i in those])
        parts = torch.split(_factors(squares), [len(flat[i]) for i in those])
        for i, factors in zip(those, parts, strict=True):
            high = flat[i].shape[1]
            steps = factors[:, :high, :high] @ flat[i]
            found[i] = steps if flat[i] is stacks[i] else steps.mT
    return found


def _filled_up(squares: Tensor, rows: int) -> Tensor:
    more = rows - squares.shape[-1]
    return pad(squares, (0, more, 0, more)) if more else squares


def _factors(squares: Tensor) -> Tensor:
    """What each ``X`` is to be multiplied with, from ``X X'``: ``[B, R, R]`` both."""
    sizes = squares.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt().clamp_min(SHORTEST)[:, None, None]
    squares = squares / sizes / sizes
    a, b, c = _COEFFICIENTS
    ones = a * torch.eye(squares.shape[-1], device=squares.device)
    factors = 1 / sizes
    for step in range(_STEPS):
        polynomials = torch.baddbmm(squares, squares, squares, beta=b, alpha=c).add_(ones)
        factors = polynomials * factors if step == 0 else torch.bmm(polynomials, factors)
        if step < _STEPS - 1:
            squares = torch.bmm(torch.bmm(polynomials, squares), polynomials)
    return factors
