"""Networks off the budget, against what their names say and what fvcore counts."""

import math
import re
from dataclasses import astuple, replace

import numpy as np
import pytest

from scaler.cost.counting import count_by_blocks
from scaler.networks.scale import identity
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.shares import Exponents
from scaler.search.candidates.off_budget import LARGEST, NEAR, SMALLEST, STEPS, OffBudget, octaves, off_budget
from scaler.search.candidates.problem import Problem, pose
from scaler.search.candidates.proxy_base import FEWEST_BLOCKS
from scaler.search.space import read_space

AXES = re.compile(r"d([+-]\d+) w([+-]\d+) r([+-]\d+)")


def named(network: OffBudget) -> tuple[float, ...]:
    found = AXES.fullmatch(network.name)
    assert found is not None
    return tuple(float(x) for x in found.groups())


@pytest.fixture(scope="module")
def problem() -> Problem:
    return pose(read_space("quick"), 64)


@pytest.fixture(scope="module")
def found(problem: Problem) -> list[OffBudget]:
    return off_budget(problem.candidates, problem.proxy, problem.exponents, 64)


def test_octaves_are_doublings_of_flops() -> None:
    exponents = Exponents(1.0, 2.0, 1.5)
    at = octaves(Multipliers(2.0, 2.0, 0.5), exponents)
    assert at == pytest.approx((1.0, 2.0, -1.5))
    flops = math.prod(m**e for m, e in zip((2.0, 2.0, 0.5), astuple(exponents), strict=True))
    assert 2 ** sum(at) == pytest.approx(flops)


def test_networks_lie_where_their_names_say(found: list[OffBudget]) -> None:
    assert len(found) >= 12
    for network in found:
        assert max(abs(x - y) for x, y in zip(network.octaves, named(network), strict=True)) <= NEAR
        assert set(named(network)) <= set(STEPS)
        assert SMALLEST <= sum(named(network)) <= LARGEST
    assert len({network.name for network in found}) == len(found)


def test_their_counted_cost_is_what_their_octaves_say(problem: Problem, found: list[OffBudget]) -> None:
    base = count_by_blocks(problem.proxy.base).flops
    cost = np.log2([count_by_blocks(n.proxy.spec).flops / base for n in found])
    missed = cost - [sum(n.octaves) for n in found]
    # FLOPs are no exact product of powers on small maps; no network is far from half to twice the base's.
    assert np.abs(missed).max() < 1.0
    assert np.abs(np.mean(missed)) < 0.3
    assert min(cost) > SMALLEST - 1.0
    assert max(cost) < LARGEST + 1.0


@pytest.mark.parametrize(
    ("base", "budget", "fewest", "shallower"),
    [
        ("resnet-20", "2x", FEWEST_BLOCKS, False),
        ("resnet-101", "2x", FEWEST_BLOCKS, True),
        ("resnet-20", "0.5x", 5, True),
    ],
)
def test_none_is_shallower_than_eight_blocks_or_than_what_is_compared(
    base: str, budget: str, fewest: int, shallower: bool
) -> None:
    problem = pose(read_space("quick").model_copy(update={"base": base, "budget": budget}), 64)
    shrink = problem.target.ratio < 1
    found = off_budget(problem.candidates, problem.proxy, problem.exponents, 64, shrink=shrink)
    assert min(n.proxy.spec.depth for n in found) == fewest
    assert any(n.octaves[0] < -0.5 for n in found) == shallower


def test_the_base_and_each_axis_alone_are_there(found: list[OffBudget]) -> None:
    points = {named(network) for network in found}
    assert (0.0, 0.0, 0.0) in points
    for axis in range(3):
        assert any(p[axis] != 0 and sum(map(abs, p)) == abs(p[axis]) for p in points)


def test_none_is_a_candidate_and_none_comes_twice(problem: Problem, found: list[OffBudget]) -> None:
    candidates = {identity(c.proxy.spec) for c in problem.candidates.kept}
    networks = [identity(n.proxy.spec) for n in found]
    assert len(set(networks)) == len(networks)
    assert not candidates & set(networks)
    # Were there no candidates, those at twice the base's FLOPs would be among them.
    free = off_budget(replace(problem.candidates, kept=()), problem.proxy, problem.exponents, 64)
    assert len(free) >= len(found)


@pytest.mark.parametrize("pixels", [16, 20, 24])
def test_none_needs_larger_images_than_there_are(problem: Problem, pixels: int) -> None:
    some = off_budget(problem.candidates, problem.proxy, problem.exponents, pixels)
    assert some
    assert max(n.proxy.spec.resolution for n in some) <= pixels
    everywhere = off_budget(problem.candidates, problem.proxy, problem.exponents, 64)
    assert {n.name for n in some} == {n.name for n in everywhere if n.proxy.spec.resolution <= pixels}


def test_budgets_below_one_mirror(problem: Problem) -> None:
    shrinking = off_budget(problem.candidates, problem.proxy, problem.exponents, 64, shrink=True)
    lattice = {tuple(-x for x in named(n)) for n in shrinking}
    assert lattice <= {(d, w, r) for d in STEPS for w in STEPS for r in STEPS}
    assert all(SMALLEST <= -sum(named(n)) <= LARGEST for n in shrinking)
    down = [x for n in shrinking for x in named(n) if abs(x) == 2]
    assert down
    assert set(down) == {-2.0}
    for network in shrinking:
        assert max(abs(x - y) for x, y in zip(network.octaves, named(network), strict=True)) <= NEAR
