"""Networks realised, counted and filtered, against fvcore's count of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

from scaler.cost import closed_form as closed
from scaler.cost.counting import count
from scaler.networks.build import build
from scaler.networks.spec import NetworkSpec
from scaler.search.candidates.problem import Problem, pose
from scaler.search.space import Grid, Space, read_space
from tests.benchmarks.speed.ratio import Row, ratio

GROUP = "counting"

#: The grid of alpha, beta and gamma in steps of 0.1, and the finest lattice in use.
GRIDS = {
    "grid of 2,541 points": Grid(alpha=(1, 3), beta=(1, 2), gamma=(1, 2), step=0.1),
    "lattice of 1/40": Grid(lattice=40),
}
SAMPLES = 2


def rows() -> Iterator[Row]:
    """A row per grid: a network of the search against fvcore's count of a candidate."""
    for name, grid in GRIDS.items():
        space = read_space("quick").model_copy(update={"grid": grid})
        problem, networks, _ = _posed(space)
        sample = [candidate.native.spec for candidate in problem.candidates.kept[:SAMPLES]]
        for spec in sample:
            if count(spec) != closed.closed_form(spec):
                raise ValueError(f"{spec} is counted wrong")
        found = ratio(partial(_per_network, space), partial(_by_fvcore, sample))
        points = space.grid.points
        yield found.row(
            GROUP,
            f"{name}, per network counted",
            "fvcore's count of one candidate",
            1 / found.seconds,
            "networks/s",
            f"{networks / points:.1f} networks are counted per point: "
            f"{points / networks / found.seconds:.0f} points/s; {len(problem.candidates.kept)} candidates",
        )


def _posed(space: Space) -> tuple[Problem, int, float]:
    """A search posed from nothing: how many networks it counted, and the processor time."""
    for function in vars(closed).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()
    started = time.process_time()
    problem = pose(space, 96)
    seconds = time.process_time() - started
    return problem, closed.closed_form.cache_info().misses, seconds


def _per_network(space: Space) -> float:
    _, networks, seconds = _posed(space)
    return seconds / networks


def _by_fvcore(sample: list[NetworkSpec]) -> float:
    """FLOPs and activations as fvcore's users count them."""
    started = time.process_time()
    for spec in sample:
        network, image = build(spec).eval(), torch.rand(1, 3, spec.resolution, spec.resolution)
        for analysis in (FlopCountAnalysis, ActivationCountAnalysis):
            analysis(network, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
    return (time.process_time() - started) / len(sample)
