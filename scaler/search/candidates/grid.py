"""Points of the grid, before any network is realised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from scaler.errors import UserError
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import (
    CORNERS,
    PUBLISHED_SHARES,
    Exponents,
    Shares,
    coefficients,
    lattice,
    shares_of,
)
from scaler.search.candidates.candidate import Point
from scaler.search.space import Grid, steps_within


def grid_points(grid: Grid, ratio: float, exponents: Exponents) -> list[Point]:
    """The points of a grid for a budget, single dimensions and published direction first."""
    if grid.lattice is not None:
        return lattice_points(grid.lattice, ratio, exponents)
    if grid.alpha is None or grid.beta is None or grid.gamma is None or grid.step is None:
        raise UserError("the grid has neither a lattice nor bounds for alpha, beta and gamma")
    return rectangular_points((grid.alpha, grid.beta, grid.gamma), grid.step, ratio, exponents)


def fixed_points() -> Iterator[tuple[str, Shares]]:
    """What every search compares: the three single dimensions, and the published direction."""
    yield from ((f"{name}-only", shares) for name, shares in CORNERS.items())
    yield "published", PUBLISHED_SHARES


def lattice_points(divisions: int, ratio: float, exponents: Exponents) -> list[Point]:
    """The fixed points and the rest of a regular lattice on the triangle of shares.

    A point is named by its parts of depth, width and resolution, e.g. ``1-2-1`` for (1/4, 2/4, 1/4).
    """
    named = list(fixed_points())
    corners = set(CORNERS.values())
    for shares in lattice(divisions):
        if shares not in corners:
            parts = (shares.depth, shares.width, shares.resolution)
            named.append(("-".join(f"{part * divisions:.0f}" for part in parts), shares))
    return [Point(name, shares, coefficients(shares, ratio, exponents)) for name, shares in named]


def rectangular_points(
    axes: Sequence[tuple[float, float]], step: float, ratio: float, exponents: Exponents
) -> list[Point]:
    """The fixed points, and a grid of alpha, beta, gamma between bounds (Tan & Le 2019, sec. 4, step 1)."""
    points = [Point(name, s, coefficients(s, ratio, exponents)) for name, s in fixed_points()]
    values = [
        [round(low + i * step, 9) for i in range(steps_within(low, high, step) + 1)] for low, high in axes
    ]
    for alpha, beta, gamma in product(*values):
        found = Coefficients(alpha, beta, gamma)
        if found != Coefficients(1, 1, 1):
            name = f"{alpha:g}/{beta:g}/{gamma:g}"
            points.append(Point(name, shares_of(found, exponents), found, on_direction=False))
    return points
