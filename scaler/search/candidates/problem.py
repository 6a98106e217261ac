"""The problem of a search: base, proxy and candidates, all counted; nothing trained yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaler.cost.exponents import measure
from scaler.execution.protocol import Experiment
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import Exponents, Shares, shares_of
from scaler.search.candidates.candidate import Candidate
from scaler.search.candidates.enumeration import Candidates, enumerate_candidates
from scaler.search.candidates.grid import grid_points
from scaler.search.candidates.off_budget import OffBudget, octaves
from scaler.search.candidates.proxy_base import bases, budget_ratio
from scaler.search.candidates.realise import Scalable, Target
from scaler.search.space import Space
from scaler.training.recipe import training_flops


@dataclass(frozen=True)
class Problem:
    """What a search is about.

    Attributes:
        native: the base at its own size.
        proxy: what is trained in its place, for the data's classes.
        target: the budget at phi = 1.
        exponents: how FLOPs grow with each multiplier.
        candidates: what meets the budget.
    """

    native: Scalable
    proxy: Scalable
    target: Target
    exponents: Exponents
    candidates: Candidates


def pose(space: Space, classes: int) -> Problem:
    """Realise a space's grid.

    Args:
        space: what is searched.
        classes: of the data set.

    Raises:
        UserError: the budget is the base's own cost, or no point of the grid meets it.
    """
    native, proxy = bases(space, classes)
    target = Target(budget_ratio(space.budget, native.base), space.tolerance)
    exponents = measure(native.base, budget=target.ratio).exponents
    points = grid_points(space.grid, target.ratio, exponents)
    candidates = enumerate_candidates(points, native, proxy, target, exponents)
    return Problem(native, proxy, target, exponents, candidates)


def experiment(
    problem: Problem, off: Sequence[OffBudget], space: Space, images: int, seed: int
) -> Experiment:
    """What a strategy knows of a problem; ``images`` is the number trained per epoch."""
    kept, powers = problem.candidates.kept, problem.exponents
    networks = [*(c.proxy for c in kept), *(network.proxy for network in off)]
    return Experiment(
        shares=tuple(effective_shares(candidate, powers) for candidate in kept),
        epoch_flops=tuple(float(training_flops(network.cost.flops, images)) for network in networks),
        rungs=space.rungs,
        max_seeds=space.seeds,
        seed=seed,
        budget=problem.target.ratio,
        octaves=tuple(octaves(network.effective, powers) for network in networks),
        up_to=space.up_to,
    )


def effective_shares(candidate: Candidate, exponents: Exponents) -> Shares:
    """The shares of the network that a candidate became.

    An axis that was not to be scaled may have moved a step the other way to meet the budget: no share.
    """
    found = candidate.coefficients
    bound = max if candidate.native.ratio > 1 else min
    return shares_of(
        Coefficients(bound(found.alpha, 1.0), bound(found.beta, 1.0), bound(found.gamma, 1.0)), exponents
    )
