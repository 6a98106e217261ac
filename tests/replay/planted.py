"""Made-up networks on and off the budget, whose growth follows a planted law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from scaler.execution.protocol import Experiment
from scaler.replay.table import Array, Table
from scaler.scaling.shares import Shares, lattice
from scaler.search.candidates.off_budget import LARGEST, SMALLEST, STEPS
from scaler.search.inference.questions import returns

#: Deviation of a training from seed to seed in points of accuracy, and the part of its variance that all
#: networks of a seed index share.
DEVIATION, SHARED = 2.0, 0.3
#: Accuracy of the base in points.
LEVEL = 50.0

Smooth = Callable[[Array], Array]


@dataclass(frozen=True)
class Truth:
    """``smooth``: points of accuracy at octaves ``[P, 3]``; ``own``: deviation of networks' own parts."""

    smooth: Smooth
    own: float = 0.3


def additive(rng: np.random.Generator) -> Truth:
    """The law itself."""
    g, a = rng.uniform(2.0, 5.0, 3), rng.uniform(0.15, 1.2, 3)
    return Truth(lambda x: returns(x, a) @ g)


def interacting(rng: np.random.Generator) -> Truth:
    """What an axis buys depends on where the others stand."""
    g, a = rng.uniform(3.0, 6.0, 3), rng.uniform(0.1, 0.8, 3)
    c = rng.uniform(0.4, 0.9, 3) * rng.choice([-1, 1], 3)

    def smooth(x: Array) -> Array:
        h = returns(x, a)
        return np.asarray(h @ g + (h * np.roll(h, -1, axis=1)) @ c)

    return Truth(smooth)


def saturating(rng: np.random.Generator) -> Truth:
    """One axis stops helping at half an octave, as where images hold no more detail."""
    g, a = rng.uniform(2.5, 5.0, 3), rng.uniform(0.1, 0.8, 3)
    most = np.full(3, np.inf)
    most[rng.integers(3)] = 0.5
    return Truth(lambda x: returns(np.minimum(x, most), a) @ g)


def corner(rng: np.random.Generator) -> Truth:
    """One axis is worth far more than the others, without diminishing returns."""
    g = 1.5 + rng.uniform(-0.5, 0.5, 3)
    g[rng.integers(3)] = rng.uniform(5, 6)
    return Truth(lambda x: np.asarray(x @ g))


def punished(rng: np.random.Generator) -> Truth:
    """Depth costs accuracy further up, as where trainings are too short for it."""
    g, a = rng.uniform(2.5, 5.0, 3), rng.uniform(0.1, 0.8, 3)
    return Truth(lambda x: returns(x, a) @ g - 1.2 * np.maximum(x[:, 0] - 0.3, 0) ** 1.5)


def none(rng: np.random.Generator) -> Truth:
    """Only the sum of FLOPs counts: all directions are alike."""
    g, a = rng.uniform(2.0, 5.0), rng.uniform(0.15, 1.0)
    return Truth(lambda x: returns(x.sum(axis=1), np.array(a)) * g, own=0.0)


def power(rng: np.random.Generator) -> Truth:
    """Error is a product of powers, of which 32.5 points can be mended at the base."""
    a = rng.uniform(0.08, 0.25, 3)
    return Truth(lambda x: np.asarray(-32.5 * 2 ** -(x @ a)))


FAMILIES = {f.__name__: f for f in (additive, interacting, saturating, corner, punished, none, power)}


@dataclass(frozen=True)
class World:
    """A planted truth, and the trainings of its networks.

    Attributes:
        table: every network with every seed, the candidates first.
        truth: what was planted.
        latent: ``[I]``, expected points of accuracy of every network.
    """

    table: Table
    truth: Truth
    latent: Array

    def worth(self, sizes: Sequence[float]) -> Array:
        """``[C]``: mean points over sizes; at the budget of the candidate's own network."""
        experiment = self.table.experiment
        candidates = np.array(experiment.octaves)[: len(experiment.shares)]
        directions = candidates / candidates.sum(axis=1, keepdims=True)
        values = [
            self.latent[: len(candidates)]
            if size == experiment.budget
            else self.truth.smooth(directions * np.log2(size))
            for size in sizes
        ]
        return np.asarray(np.mean(values, axis=0))


def networks(seed: int = 0) -> Experiment:
    """16 candidates at 2x and a lattice about the base, nearly where they should lie."""
    rng = np.random.default_rng(seed)
    points = np.array([(s.depth, s.width, s.resolution) for s in (*lattice(4), Shares(1 / 3, 1 / 3, 1 / 3))])
    points = np.maximum(points + 0.04 * rng.standard_normal(points.shape), 0.0)
    candidates = points * (1 + 0.02 * rng.standard_normal((len(points), 1))) / points.sum(1, keepdims=True)
    about = np.array([p for p in product(STEPS, repeat=3) if SMALLEST <= sum(p) <= LARGEST])
    about = about + 0.05 * rng.standard_normal(about.shape)
    octaves = np.vstack([candidates, about])
    return Experiment(
        shares=tuple(Shares(*(row / row.sum())) for row in candidates),
        epoch_flops=tuple((1e12 * 2 ** octaves.sum(axis=1)).tolist()),
        rungs=(3, 6),
        max_seeds=4,
        seed=0,
        octaves=tuple((float(d), float(w), float(r)) for d, w, r in octaves),
    )


def plant(family: str, seed: int, experiment: Experiment | None = None) -> World:
    """A world of a family. Short trainings see nine tenths of what full ones do, and favour shallow nets."""
    experiment = replace(experiment or networks(), seed=seed)
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    truth = FAMILIES[family](rng)
    octaves = np.array(experiment.octaves)
    latent = truth.smooth(octaves) + truth.own * rng.standard_normal(len(octaves))
    early = -10 + 0.9 * latent - 0.6 * octaves[:, 0] + 0.3 * rng.standard_normal(len(octaves))
    noise = _noise(rng, (len(octaves), experiment.max_seeds))
    shared = _noise(rng, (1, experiment.max_seeds))
    deviation = DEVIATION * (np.sqrt(1 - SHARED) * noise + np.sqrt(SHARED) * shared)
    points = LEVEL + np.stack([early, latent], axis=1)[:, None] + deviation
    accuracy = points / 100
    images = 5000 * np.array(experiment.rungs)
    return World(Table(family, experiment, accuracy, 2 - accuracy, images), truth, latent)


def _noise(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """``[*shape, 2]`` at both rungs: of the same size, half of the variance in common."""
    common = rng.standard_normal((*shape, 1))
    return np.asarray(np.sqrt(0.5) * (common + rng.standard_normal((*shape, 2))))
