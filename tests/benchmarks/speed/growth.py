"""How inference and memory grow with the number of trainings and the size of a network."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np

from scaler.execution.protocol import Experiment, Observation
from scaler.scaling.shares import Shares
from scaler.search.inference.selection import select
from tests.benchmarks.speed.ratio import Row, ratio, timed

GROUP = "growth"
SEEDS = 4
SIZES = (10, 100, 1000)


def rows() -> Iterator[Row]:
    """The memory of a large network's profile; inference over a hundred and a thousand trainings."""
    # First: a process begins with the size of the one that it came from, which inference makes a large one.
    memory = {name: _peak("profile", name, "--memory") for name in ("effnet-b0", "effnet-b7")}
    part = round(memory["effnet-b0"] / memory["effnet-b7"], 3)
    most = round(memory["effnet-b7"])
    yield Row(GROUP, "memory of profile effnet-b7", "effnet-b0", part, part, part, most, "MB", "once")
    for fewer, trainings in pairwise(SIZES):
        found = ratio(timed(partial(_select, trainings)), timed(partial(_select, fewer)))
        yield found.row(GROUP, f"choice over {trainings} trainings", f"over {fewer}", found.seconds, "s")


def _select(trainings: int) -> None:
    experiment, seen = trained(trainings)
    select(experiment, seen)


def trained(trainings: int) -> tuple[Experiment, list[Observation]]:
    """An experiment whose candidates were all trained, by a law and some noise."""
    random = np.random.default_rng(0)
    candidates = max(3, trainings // SEEDS)
    points = random.dirichlet((1, 1, 1), candidates)
    experiment = Experiment(
        shares=tuple(Shares(*(float(x) for x in point)) for point in points),
        epoch_flops=(1e12,) * candidates,
        rungs=(1,),
        max_seeds=SEEDS,
        seed=0,
        octaves=tuple((float(d), float(w), float(r)) for d, w, r in points),
    )
    worth = 0.6 + 0.05 * points @ np.array([0.5, 1.0, 0.8])
    seen = [
        Observation(c, s, 0, 1, 1000, 10**12, float(worth[c] + 0.01 * random.standard_normal()), 1.0, 1.0)
        for c in range(candidates)
        for s in range(SEEDS)
    ]
    return experiment, seen[:trainings]


def _peak(*arguments: str) -> float:
    """Most memory of a command, in MB; of all commands so far, so the hungriest comes last."""
    subprocess.run([sys.executable, "-m", "scaler", *arguments], check=True, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
