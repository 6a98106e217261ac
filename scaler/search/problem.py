"""A search made ready: base, proxy, candidates, all counted; nothing trained yet."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from scaler.cost.closed_form import cost
from scaler.cost.exponents import measure
from scaler.errors import UserError
from scaler.networks.registry import base as named_base
from scaler.networks.scale import small, thinnest, usual_rounding, without_bottlenecks
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import with_se
from scaler.scaling.budget import format_count, parse_budget, parse_count
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import Exponents, Shares, shares_of
from scaler.search.candidate import Candidate, Point
from scaler.search.candidates import Candidates, enumerate_candidates
from scaler.search.points import lattice_points, rectangular_points
from scaler.search.realise import Scalable, Target
from scaler.search.space import Grid, Proxy, Space
from scaler.search.types import Contest
from scaler.training.recipe import training_flops

#: A budget nearer than this to the base asks for no other network.
NO_CHANGE = 0.05

#: With fewer blocks, a proxy could not deepen in steps as fine as the native network's.
FEWEST_BLOCKS = 8


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


def bases(space: Space, classes: int) -> tuple[Scalable, Scalable]:
    """The native base, and its proxy for this many classes.

    Raises:
        UserError: the base is unknown, or the proxy's images are too small for it.
    """
    spec = named_base(space.base)
    if space.se is not None:
        se = space.se
        spec = with_se(spec, se.reduction, skip_last_stage=se.skip_last_stage, position=se.position)
    native = Scalable(spec, space.rounding or usual_rounding(spec))
    whole = small(spec, space.proxy.resolution).with_classes(classes)
    proxy = space.proxy
    if budget_ratio(space.budget, native.base) < 1:  # candidates are shallower, and have to differ
        proxy = proxy.model_copy(update={"depth": 1.0})
    return native, reduced(whole, proxy, proxy.width or widest(whole, proxy))


def reduced(whole: NetworkSpec, proxy: Proxy, width: float) -> Scalable:
    """The base for small images at this width, and at the proxy's depth or with :data:`FEWEST_BLOCKS`.

    Stages whose channels grow with every block keep their depth: shallower, they would be thinner again.
    """
    rounding = Rounding(divisor=proxy.divisor)
    depth = max(proxy.depth, min(1.0, FEWEST_BLOCKS / max(whole.depth, 1)))
    if any(stage.grows for stage in whole.stages):
        depth = 1.0
    return Scalable(without_bottlenecks(whole, width, rounding), rounding, Multipliers(depth, width, 1))


def widest(whole: NetworkSpec, proxy: Proxy) -> float:
    """The largest width multiplier, up to 1 and in hundredths, whose network costs at most the proxy's FLOPs.

    Never so thin that widths could no longer grow evenly, though it may then cost more.
    """
    flops = parse_count(proxy.flops) or math.inf
    least = math.ceil(100 * thinnest(whole, Rounding(divisor=proxy.divisor)))
    hundredths = range(least, 101)
    fitting = bisect_right(
        hundredths, flops, key=lambda width: cost(reduced(whole, proxy, width / 100).base).flops
    )
    return hundredths[max(fitting - 1, 0)] / 100


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


def budget_ratio(text: str, base: NetworkSpec) -> float:
    """A budget as a factor on the base's counted FLOPs; below 1 the base shrinks.

    Raises:
        UserError: it is the base's own FLOPs, within :data:`NO_CHANGE`.
    """
    flops = cost(base).flops
    ratio = parse_budget(text).ratio(flops)
    if abs(ratio - 1) < NO_CHANGE:
        raise UserError(
            f"the budget {text} is what {base.name} itself costs ({format_count(flops)} FLOPs): "
            "ask for more, such as 2x, or for less, such as 0.5x"
        )
    return ratio


def grid_points(grid: Grid, ratio: float, exponents: Exponents) -> list[Point]:
    """The points of a grid for a budget, single dimensions and published direction first."""
    if grid.lattice is not None:
        return lattice_points(grid.lattice, ratio, exponents)
    if grid.alpha is None or grid.beta is None or grid.gamma is None or grid.step is None:
        raise UserError("the grid has neither a lattice nor bounds for alpha, beta and gamma")
    return rectangular_points((grid.alpha, grid.beta, grid.gamma), grid.step, ratio, exponents)


def contest(problem: Problem, space: Space, images: int, seed: int) -> Contest:
    """What a strategy knows of a problem; ``images`` is the number trained per epoch."""
    kept = problem.candidates.kept
    return Contest(
        shares=tuple(effective_shares(candidate, problem.exponents) for candidate in kept),
        epoch_flops=tuple(float(training_flops(c.proxy.cost.flops, images)) for c in kept),
        rungs=space.rungs,
        repetitions=space.seeds,
        seed=seed,
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
